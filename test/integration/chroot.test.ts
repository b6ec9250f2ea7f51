// The root of a task whose driver shuts it up in its directory: made of the machine's own files, which nothing can change through it.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { allocPaths, ensureAllocDir, ensureTaskDir, removeAllocDir, taskPaths } from '../../lib/client/alloc-dir.js';
import { buildChroot } from '../../lib/client/chroot.js';
import { dirHook } from '../../lib/client/hooks/dir.js';
import { holdsSecrets } from '../../lib/client/secrets-dir.js';
import { treeSize } from '../../lib/client/tree-size.js';
import { DEFAULT_CHROOT } from '../../lib/plugin/sdk/chroot.js';
import { detachBelow, listMounts, mountAt } from '../../lib/plugin/sdk/mounts.js';
import { fakeTask } from '../client/fakes.js';
import { mayMount, ownMounts } from '../support/own-mounts.js';

ownMounts(import.meta.url);

const skip = mayMount ? {} : { skip: 'only root can mount' };

/** A machine's tree, and the directories of a task beside it. */
async function place(t: Test, secretsMb = 0) {
  const root = mkdtempSync(join(tmpdir(), 'chroot-test-'));
  const host = join(root, 'host');
  mkdirSync(join(host, 'usr/bin'), { recursive: true });
  mkdirSync(join(host, 'etc'));
  writeFileSync(join(host, 'usr/bin/tool'), 'tool');
  writeFileSync(join(host, 'usr/large'), Buffer.alloc(4 << 20, 1));
  writeFileSync(join(host, 'etc/passwd'), 'root');
  symlinkSync('usr/bin', join(host, 'bin'));
  const allocs = join(root, 'allocs');
  await ensureAllocDir(allocs, 'a');
  await ensureTaskDir(allocs, 'a', 'web', { owner: null, use: 'root', secretsMb });
  const paths = { ...allocPaths(allocs, 'a'), ...taskPaths(allocs, 'a', 'web') };
  t.teardown(async () => {
    await detachBelow(root);
    rmSync(root, { recursive: true, force: true });
  });
  const mounted = async (): Promise<string[]> =>
    (await listMounts()).map(({ target }) => target).filter((target) => target.startsWith(`${paths.taskDir}/`));
  return { allocs, host, paths, mounted, inside: (path: string) => join(paths.taskDir, path) };
}

t.test('directories, single files and links are shown where the map says, and cannot be written', skip, async (t) => {
  const { host, paths, mounted, inside } = await place(t);
  const chroot = {
    [join(host, 'usr')]: '/usr',
    [join(host, 'etc/passwd')]: '/etc/passwd',
    [join(host, 'bin')]: '/opt/bin/',
    [join(host, 'absent')]: '/absent',
  };
  await buildChroot(paths, chroot);
  t.equal(readFileSync(inside('usr/bin/tool'), 'utf8'), 'tool');
  t.equal(readFileSync(inside('etc/passwd'), 'utf8'), 'root');
  t.same(readdirSync(inside('opt/bin')), ['tool'], 'what a link leads to');
  t.notOk(existsSync(inside('absent')));
  t.throws(() => writeFileSync(inside('usr/bin/tool'), 'x'), { code: 'EROFS' });
  t.throws(() => rmSync(inside('etc/passwd')), { code: /EBUSY|EROFS/ });
  writeFileSync(inside('alloc/data/mine'), 'x');
  t.ok(existsSync(join(paths.dataDir, 'mine')), 'the directory of the group can be');
  t.ok((await treeSize(paths.allocDir)) < 1 << 20, "what is the machine's takes up none of its disk");
  const before = await mounted();
  t.equal(before.length, 4);
  await buildChroot(paths, chroot);
  t.same(await mounted(), before, 'once, however often the task starts');
});

t.test("links between the machine's directories stay links", skip, async (t) => {
  const { paths, inside } = await place(t);
  await buildChroot(paths, DEFAULT_CHROOT);
  if (lstatSync('/bin').isSymbolicLink()) t.equal(readlinkSync(inside('bin')), readlinkSync('/bin'));
  t.equal(
    execFileSync('chroot', [paths.taskDir, '/bin/sh', '-c', 'echo "$0" from within; test -d /alloc/logs']).toString(),
    '/bin/sh from within\n',
  );
});

t.test('a root that a killed agent has half made is made whole', skip, async (t) => {
  const { host, paths, inside } = await place(t);
  mkdirSync(inside('usr'));
  execFileSync('mount', ['--bind', join(host, 'usr'), inside('usr')]);
  await buildChroot(paths, { [join(host, 'usr')]: '/usr' });
  t.ok((await mountAt(inside('usr')))?.options.includes('ro'));
  t.throws(() => writeFileSync(inside('usr/bin/tool'), 'x'), { code: 'EROFS' });
});

t.test('a link that a task has left in the way is not followed', skip, async (t) => {
  const { host, paths, inside, mounted } = await place(t);
  symlinkSync(join(host, 'etc'), inside('usr'));
  await t.rejects(buildChroot(paths, { [join(host, 'usr')]: '/usr' }), /is a link/);
  t.same(await mounted(), []);
});

t.test('with the allocation it goes away, and nothing of the machine with it', skip, async (t) => {
  const { allocs, host, paths, mounted, inside } = await place(t);
  await buildChroot(paths, { [join(host, 'usr')]: '/usr' });
  // As one would be that was left by an agent killed between its two steps.
  mkdirSync(inside('etc'));
  execFileSync('mount', ['--bind', join(host, 'etc'), inside('etc')]);
  await removeAllocDir(allocs, 'a');
  t.same(await mounted(), []);
  t.notOk(existsSync(paths.allocDir));
  t.same([readdirSync(join(host, 'usr/bin')), readdirSync(join(host, 'etc'))], [['tool'], ['passwd']]);
});

t.test(
  'the hook makes it for a driver that says "chroot", and takes it away when the task is over',
  skip,
  async (t) => {
    const { allocs, host, paths, mounted, inside } = await place(t);
    const task = fakeTask({ Name: 'web', Resources: { SecretsMB: 1 } } as never);
    const hookFor = (capabilities: object, reattach = false) =>
      ({
        config: { allocDir: allocs, chrootEnv: { [join(host, 'usr')]: '/usr' } },
        ...{ alloc: { ID: 'a' }, task, paths, reattach, draft: { user: 'nomad-81000' }, driver: { capabilities } },
      }) as never;
    for (const other of [
      { fsIsolation: 'none' },
      { fsIsolation: 'image' },
      { fsIsolation: 'chroot', buildsRoot: true },
    ]) {
      await dirHook.prestart(hookFor(other));
      t.same(await mounted(), [paths.secretsDir], JSON.stringify(other));
    }
    await dirHook.prestart(hookFor({ fsIsolation: 'chroot' }, true));
    t.equal((await mounted()).length, 1, 'a running task is left alone');
    const chroot = hookFor({ fsIsolation: 'chroot' });
    await dirHook.prestart(chroot);
    t.ok(existsSync(inside('usr/bin/tool')));
    t.equal(lstatSync(paths.secretsDir).uid, 81_000, 'secrets are those of the user that was made for it');
    await dirHook.stop(chroot);
    t.same(
      (await listMounts()).filter(({ target }) => target.startsWith(paths.taskDir)).filter((one) => !holdsSecrets(one)),
      [],
    );
    t.ok(existsSync(join(host, 'usr/bin/tool')));
  },
);
