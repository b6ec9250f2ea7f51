// Trees of strangers are removed, and nothing of what is mounted in them.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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

t.test('a tree of many files goes a few at a time', async (t) => {
  const [dirs, files] = [8, 250];
  const root = mkdtempSync(join(tmpdir(), 'remove-tree-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const tree = join(root, 'tree');
  for (let dir = 0; dir < dirs; dir++) {
    mkdirSync(join(tree, `d${dir}`), { recursive: true });
    for (let file = 0; file < files; file++) writeFileSync(join(tree, `d${dir}`, `f${file}`), '');
  }
  let isDone = false;
  const removed = removeTree(tree).finally(() => {
    isDone = true;
  });
  const begun = (): number => {
    let count = 0;
    for (let dir = 0; dir < dirs; dir++) {
      const path = join(tree, `d${dir}`);
      const left = existsSync(path) ? readdirSync(path).length : files;
      if (left < files) count++;
    }
    return count;
  };
  let most = 0;
  while (!isDone) {
    most = Math.max(most, begun());
    await sleep(1);
  }
  await removed;
  t.ok(most <= 1, `${most} of ${dirs} directories were removed together`);
  t.notOk(existsSync(tree));
});

t.test('names that are no UTF-8, links, and a file go', async (t) => {
  const { root, tree, file } = folders(t);
  symlinkSync(join(root, 'precious'), join(tree, 'link'));
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/caf`), Buffer.of(0xe9)]), '');
  await removeTree(tree);
  t.notOk(existsSync(tree));
  t.equal(readFileSync(file, 'utf8'), 'of 1999');
  await removeTree(file);
  t.notOk(existsSync(file));
});
