// The control groups which plugins built on Nomad's executor expect, on trees as the two versions have them, laid out in a directory.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { scopeOf, TaskCgroups } from '../../lib/plugin/external/task-cgroups.js';
import type { Cgroups } from '../../lib/plugin/sdk/cgroup-tree.js';

const task = (id: string, cores: number[] = []) => ({
  id,
  resources: { cpuMhz: 100, cpuPercent: 1, memoryMb: 10, memoryMaxMb: 0, cores },
});

function tree(t: Test, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'meshnomad-task-cgroups-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

t.test('version 1: a group in each tree the executor writes to, cores shared or of its own', async (t) => {
  const files = Object.fromEntries(
    ['nomad', 'nomad/share', 'nomad/reserve'].flatMap((dir) => [
      [`cpuset/${dir}/cpuset.cpus`, ''],
      [`cpuset/${dir}/cpuset.mems`, ''],
    ]),
  );
  const root = tree(t, { ...files, 'cpuset/cpuset.cpus': '0-3', 'cpuset/cpuset.mems': '0' });
  const names = ['freezer', 'cpu', 'memory', 'cpuset', 'devices', 'unified'];
  for (const name of names) mkdirSync(join(root, name), { recursive: true });
  const { unified = '', ...roots } = Object.fromEntries(names.map((name) => [name, join(root, name)]));
  const groups = new TaskCgroups({ version: 1, roots, unified }, () => {});

  const shared = task('alloc-1/web/0a0b0c0d');
  groups.make(shared);
  t.equal(groups.pathOf(shared), join(root, 'cpuset/nomad/share'));
  for (const name of ['freezer', 'cpu', 'memory']) t.ok(existsSync(join(root, name, 'nomad/alloc-1.web')), name);
  for (const dir of ['nomad', 'nomad/share', 'nomad/reserve'])
    t.equal(readFileSync(join(root, 'cpuset', dir, 'cpuset.cpus'), 'utf8'), '0-3', dir);

  const cores = task('alloc-1/db/0a0b0c0d', [2]);
  groups.make(cores);
  t.equal(groups.pathOf(cores), join(root, 'cpuset/nomad/reserve/alloc-1.db'));
  t.equal(readFileSync(join(groups.pathOf(cores), 'cpuset.mems'), 'utf8'), '0');

  // As a container runtime makes them.
  mkdirSync(join(root, 'devices/nomad/alloc-1.db'), { recursive: true });
  mkdirSync(join(root, 'unified/nomad/alloc-1.db/below'), { recursive: true });
  rmSync(join(groups.pathOf(cores), 'cpuset.mems'));
  await groups.remove(cores.id);
  await groups.remove(cores.id);
  t.same(
    ['devices', 'unified', 'freezer', 'cpu', 'memory'].map((name) => readdirSync(join(root, name, 'nomad'))),
    [[], [], ['alloc-1.web'], ['alloc-1.web'], ['alloc-1.web']],
  );
  t.notOk(existsSync(groups.pathOf(cores)));
  t.ok(existsSync(groups.pathOf(shared)), 'what tasks share stays');
});

t.test('version 2: a scope in one of two slices, which have all the controllers', async (t) => {
  const controllers = 'cpuset cpu io memory pids';
  const root = tree(t, {
    'cgroup.controllers': controllers,
    'cgroup.subtree_control': 'cpuset cpu io memory pids',
    'nomad.slice/cgroup.controllers': controllers,
    'nomad.slice/cgroup.subtree_control': 'cpu io memory pids',
    'nomad.slice/share.slice/cgroup.controllers': controllers,
    'nomad.slice/share.slice/cgroup.subtree_control': 'cpuset cpu io memory',
  });
  const groups = new TaskCgroups({ version: 2, root }, () => {});
  const [shared, cores] = [task('alloc-1/web/0a0b0c0d'), task('alloc-1/db/0a0b0c0d', [1])];
  groups.make(shared);
  t.equal(readFileSync(join(root, 'nomad.slice/cgroup.subtree_control'), 'utf8'), '+cpuset');
  t.equal(readFileSync(join(root, 'nomad.slice/share.slice/cgroup.subtree_control'), 'utf8'), '+pids');
  groups.make(cores);
  t.equal(groups.pathOf(shared), join(root, 'nomad.slice/share.slice/alloc-1.web.scope'));
  t.equal(groups.pathOf(cores), join(root, 'nomad.slice/reserve.slice/alloc-1.db.scope'));
  t.ok(existsSync(groups.pathOf(shared)) && existsSync(groups.pathOf(cores)));
  await groups.remove(shared.id);
  await groups.remove(cores.id);
  t.notOk(existsSync(groups.pathOf(shared)) || existsSync(groups.pathOf(cores)));
});

t.test('without control groups, or without the right to make any, tasks are started all the same', async (t) => {
  const logs: string[] = [];
  const one = task('a/t/1');
  const on = (cgroups: Cgroups | undefined): TaskCgroups =>
    new TaskCgroups(cgroups, (level, message) => logs.push(`${level} ${message}`));
  const none = on(undefined);
  none.make(one);
  t.equal(none.pathOf(one), '');
  await none.remove(one.id);
  t.same(logs, []);
  on({ version: 2, root: '/proc/meshnomad-nowhere' }).make(one);
  t.match(logs, [/^warn .*may not make control groups/]);
});

t.test('all starts of a task have one name', async (t) => {
  t.equal(scopeOf('alloc/web/0a0b0c0d'), scopeOf('alloc/web/ffffffff'));
  t.not(scopeOf('alloc/web/0a0b0c0d'), scopeOf('alloc/db/0a0b0c0d'));
});
