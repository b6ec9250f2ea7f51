// Secrets in memory: mounted with their size and mode, taken up by the next agent, gone with the allocation.
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ensureAllocDir, ensureTaskDir, removeAllocDir, taskPaths } from '../../lib/client/alloc-dir.js';
import { listMounts, mountAt } from '../../lib/plugin/sdk/mounts.js';
import { mayMount, ownMounts } from '../support/own-mounts.js';

ownMounts(import.meta.url);

const skip = mayMount ? {} : { skip: 'only root can mount' };
const MIB = 1024 * 1024;

function folder(t: Test): string {
  const root = mkdtempSync(join(tmpdir(), 'secrets-test-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

t.test('secrets with a size lie in memory, for their owner alone, as long as the allocation', skip, async (t) => {
  const root = folder(t);
  const { secretsDir } = taskPaths(root, 'a', 'web');
  const task = { owner: { uid: 1234, gid: 1235 }, use: 'work', secretsMb: 2 } as const;
  await ensureAllocDir(root, 'a');
  await ensureTaskDir(root, 'a', 'web', task);
  t.match(await mountAt(secretsDir), { fsType: 'tmpfs', source: 'meshnomad-secrets' });
  t.same((await mountAt(secretsDir))?.options.filter((one) => one.startsWith('no')).sort(), [
    'nodev',
    'noexec',
    'nosuid',
  ]);
  const { mode, uid, gid } = statSync(secretsDir);
  t.same([mode & 0o7777, uid, gid], [0o700, 1234, 1235]);
  writeFileSync(join(secretsDir, 'key'), Buffer.alloc(MIB));
  t.throws(() => writeFileSync(join(secretsDir, 'more'), Buffer.alloc(2 * MIB)), { code: 'ENOSPC' });
  rmSync(join(secretsDir, 'more'));

  await ensureTaskDir(root, 'a', 'web', { ...task, secretsMb: 4 });
  t.ok(existsSync(join(secretsDir, 'key')), 'the next start, or agent, finds them');
  t.equal((await listMounts()).filter(({ target }) => target === secretsDir).length, 1, 'mounted once');
  writeFileSync(join(secretsDir, 'more'), Buffer.alloc(2 * MIB));

  await removeAllocDir(root, 'a');
  t.equal(await mountAt(secretsDir), undefined);
  t.notOk(existsSync(join(root, 'a')));
  await removeAllocDir(root, 'a');
});

t.test(
  'secrets of a user whom only an image knows are open to it, and to nobody who comes by the path',
  skip,
  async (t) => {
    const root = folder(t);
    const modes = (task: string): number[] => {
      const { taskDir, secretsDir } = taskPaths(root, 'a', task);
      return [taskDir, secretsDir].map((dir) => statSync(dir).mode & 0o777);
    };
    await ensureAllocDir(root, 'a');
    for (const secretsMb of [0, 1]) {
      const unknown = { owner: null, use: 'source', secretsMb } as const;
      await ensureTaskDir(root, 'a', `unknown${secretsMb}`, unknown);
      await ensureTaskDir(root, 'a', `unknown${secretsMb}`, unknown);
      t.same(modes(`unknown${secretsMb}`), [0o700, 0o777]);
      await ensureTaskDir(root, 'a', `known${secretsMb}`, { ...unknown, owner: { uid: 1234, gid: 1234 } });
      t.same(modes(`known${secretsMb}`), [0o700, 0o700]);
    }
    await removeAllocDir(root, 'a');
  },
);

t.test('without a size they lie on the disk, and nothing is mounted', async (t) => {
  const root = folder(t);
  await ensureAllocDir(root, 'a');
  await ensureTaskDir(root, 'a', 'web', { owner: null, use: 'work', secretsMb: 0 });
  t.equal(await mountAt(taskPaths(root, 'a', 'web').secretsDir), undefined);
  await removeAllocDir(root, 'a');
});
