import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { serviceUnit } from '../../lib/cli/service.js';
import { cli } from '../support/mesh-agent.js';
import { unitProblems } from '../support/systemd.js';

t.test('the unit that join and up install is one that systemd understands', async (t) => {
  const unit = serviceUnit({
    node: process.execPath,
    script: '/opt/mesh nomad/100%/$HOME/meshnomad.js',
    args: ['-data-dir=/var/lib/meshnomad'],
  });
  t.same(await unitProblems('meshnomad.service', unit), []);
  t.match(unit, '"/opt/mesh nomad/100%%/$$HOME/meshnomad.js" agent -data-dir=/var/lib/meshnomad\n');
  t.match(unit, /^KillMode=process$/m, 'tasks outlive the agent');
  t.notMatch(unit, /Environment|mn1-/);
  t.notSame(await unitProblems('meshnomad.service', unit.replace('Type=exec', 'Type=nonsense')), [], 'it does look');
});

t.test('where no service can be installed this is said before anything is done', async (t) => {
  const isRoot = process.getuid?.() === 0;
  if (isRoot && existsSync('/run/systemd/system')) {
    t.pass('here it could be');
    return;
  }
  const dir = mkdtempSync(join(tmpdir(), 'meshnomad-service-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const said = await cli(['init', '-install-service', `-data-dir=${join(dir, 'data')}`]);
  t.match(said, { code: 1, err: /systemd does not run on this machine|use sudo/ });
  t.notOk(existsSync(join(dir, 'data')), 'no mesh was founded');
});
