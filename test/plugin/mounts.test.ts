import t from 'tap';
import { runCommand } from '../../lib/plugin/sdk/mounts.js';

t.test('a program that fails is quoted with what it said, wherever it said it', async (t) => {
  const fails = (script: string) => runCommand('sh', ['-c', script]);
  await t.rejects(fails('echo /dev/loop1 is in use.; echo Cannot continue >&2; exit 8'), {
    message: 'sh: /dev/loop1 is in use.\nCannot continue',
    exitCode: 8,
  });
  await t.rejects(fails('echo no room >&2; exit 1'), { message: 'sh: no room', said: 'no room' });
});
