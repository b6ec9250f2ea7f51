// Trees of strangers are removed, and nothing of what is mounted in them.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { removeAllocDir } from '../../lib/client/alloc-dir.js';
import { listMounts, mountAt } from '../../lib/plugin/sdk/mounts.js';
import { removeTree } from '../../lib/plugin/sdk/remove-tree.js';
import { eventually } from '../support/mesh-agent.js';
import { mayMount, ownMounts } from '../support/own-mounts.js';

ownMounts(import.meta.url);

const skip = mayMount ? {} : { skip: 'only root can mount' };

/** A tree of two directories, and a place beside it with something that must stay. */
function folders(t: Test): { root: string; tree: string; inside: string; precious: string; file: string } {
  const root = mkdtempSync(join(tmpdir(), 'remove-tree-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const tree = join(root, 'tree');
  const inside = join(tree, 'web', 'with space');
  const precious = join(root, 'precious');
  mkdirSync(inside, { recursive: true });
  mkdirSync(precious);
  const file = join(precious, 'photo');
  writeFileSync(file, 'of 1999');
  return { root, tree, inside, precious, file };
}

function mount(...args: string[]): void {
  execFileSync('mount', args, { stdio: 'pipe' });
}

t.test('what a task has mounted in its directory stays', skip, async (t) => {
  const { root, tree, inside, precious, file } = folders(t);
  mount('--bind', precious, inside);
  mount('--bind', precious, inside);
  mount('-t', 'tmpfs', 'mine', join(tree, 'web'));
  await removeAllocDir(root, 'tree');
  t.notOk(existsSync(tree));
  t.equal(readFileSync(file, 'utf8'), 'of 1999');
  t.same(
    (await listMounts()).filter(({ target }) => target.startsWith(root)),
    [],
  );
});

t.test('also what is mounted at its root, in use, or reached by a link', skip, async (t) => {
  const { root, tree, inside, precious, file } = folders(t);
  mount('--bind', precious, inside);
  const user = spawn('sleep', ['1000'], { cwd: inside, stdio: 'ignore' });
  t.teardown(() => user.kill('SIGKILL'));
  const link = join(root, 'link');
  symlinkSync(root, link);
  await removeTree(join(link, 'tree'));
  t.notOk(existsSync(tree));
  t.equal(readFileSync(file, 'utf8'), 'of 1999');
  mkdirSync(tree);
  mount('--bind', precious, tree);
  await removeTree(tree);
  t.notOk(existsSync(tree));
  t.equal(readFileSync(file, 'utf8'), 'of 1999');
});

t.test('a mount whose server is gone holds nothing up', skip, async (t) => {
  const { tree, inside, precious, file } = folders(t);
  // One is below, one at the root.
  for (const at of [inside, tree]) {
    mkdirSync(at, { recursive: true });
    const server = spawn('bindfs', ['-f', precious, at], { stdio: 'ignore' });
    t.teardown(() => server.kill('SIGKILL'));
    await eventually(`${at} is mounted`, () => mountAt(at));
    server.kill('SIGKILL');
    await once(server, 'exit');
    await removeTree(tree);
    t.notOk(existsSync(tree));
    t.equal(readFileSync(file, 'utf8'), 'of 1999');
  }
});

t.test('a copy of a shared tree does not take the mounts of the tree along', skip, async (t) => {
  const { tree, inside, precious } = folders(t);
  const drive = join(precious, 'drive');
  mount('--bind', precious, precious);
  mount('--make-shared', precious);
  mkdirSync(drive);
  mount('-t', 'tmpfs', 'drive', drive);
  writeFileSync(join(drive, 'song'), 'la');
  mount('--rbind', precious, inside);
  await removeTree(tree);
  t.notOk(existsSync(tree));
  t.equal(readFileSync(join(drive, 'song'), 'utf8'), 'la');
  execFileSync('umount', ['-R', precious]);
});

t.test('a missing one is removed', async () => {
  await removeTree(join(tmpdir(), 'remove-tree-of-nobody'));
});
