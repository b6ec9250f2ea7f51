import t from 'tap';
import { serviceUnit } from '../../lib/cli/service.js';
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
