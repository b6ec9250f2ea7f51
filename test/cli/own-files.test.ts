import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t from 'tap';
import { absentText } from '../../lib/util/replaced.js';
import { MESHNOMAD } from '../support/mesh-agent.js';

const ROOT = dirname(dirname(dirname(MESHNOMAD)));

t.test('a program that was not installed whole says what is missing, without a stack', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'own-files-'));
  t.teardown(() => rmSync(home, { recursive: true }));
  // More than these no command needs that is tried here, or lacks.
  for (const part of ['dist/bin', 'dist/lib/cli', 'dist/lib/util', 'dist/lib/structs', 'package.json'])
    cpSync(join(ROOT, part), join(home, part), { recursive: true });
  const run = (...args: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, [join(home, 'dist/bin/meshnomad.js'), ...args]);
    return { status, error: stderr.toString() };
  };
  const lacks = (name: string): object => ({
    status: 1,
    error: new RegExp(
      `^meshnomad [a-z ]+: meshnomad lacks a file of its own, ${home}/${name}.*: install it again .*\n$`,
    ),
  });
  t.match(run('version'), { status: 0, error: '' });
  t.match(run('job', 'run', 'x.hcl'), lacks('dist/lib/jobspec/'));
  t.match(run('agent', '-dev'), lacks('dist/lib/agent/'));
  rmSync(join(home, 'package.json'));
  t.match(run('version'), lacks('package.json'));
  rmSync(join(home, 'dist/lib/cli/main.js'));
  t.match(run('version'), { status: 1, error: /^meshnomad is not installed whole: install it again .*\n.*main\.js/ });
  t.notMatch(run('version').error, /\n +at /);
});

t.test('only files of this program are missed', async (t) => {
  t.equal(absentText(new Error(`ENOENT: no such file or directory, open '/srv/package.json'`)), null);
  t.match(
    absentText(new Error(`Cannot find package 'ws' imported from ${ROOT}/dist/lib/x.js`)),
    /lacks the package ws: install/,
  );
  const absent = `ENOENT: no such file or directory, open '${ROOT}/lib/plugin/proto/csi.proto'`;
  t.match(absentText(new Error('no plugin', { cause: new Error(absent) })), /lacks a file of its own, .*csi\.proto:/);
});
