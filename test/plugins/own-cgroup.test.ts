// Control groups of tasks without a container, on trees as the two versions have them, laid out in a directory.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Cgroups, findCgroups } from '../../lib/plugin/sdk/cgroup-tree.js';
import { cgroupUsage, cpuShares, limitsSwap, memoryLimits, oomKills } from '../../plugins/driver-raw-exec/cgroup.js';
import { makeCgroup, removeCgroup, weightOf } from '../../plugins/driver-raw-exec/own-cgroup.js';

const MIB = 1024 * 1024;
const ASKED = { cpuMhz: 500, cpuPercent: 1, memoryMb: 64, memoryMaxMb: 0, cores: [] };
/** Some lines that a kernel 6.1 shows for a group whose task was killed for its memory. */
const RECORDED: Record<string, string> = {
  'memory.stat': 'anon 1048576\nfile 4096\nkernel 8192\nslab 1000\n',
  'memory.current': '1060864\n',
  'memory.peak': '33554432\n',
  'memory.swap.current': '0\n',
  'memory.events': 'low 0\nhigh 0\nmax 60\noom 1\noom_kill 1\noom_group_kill 0\n',
  'cpu.stat':
    'usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\nnr_periods 4\nnr_throttled 2\nthrottled_usec 3000\n',
  'cgroup.procs': '',
};

/** A tree with the files of some folders; the kernel makes them by itself. */
function tree(t: Test, folders: Record<string, Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'meshnomad-cgroup-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  for (const [folder, files] of Object.entries(folders)) {
    mkdirSync(join(root, folder), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(root, folder, name), text);
  }
  return root;
}

const read = (root: string, path: string): string => readFileSync(join(root, path), 'utf8').trim();

t.test('version 2: controllers are handed down, limits are set, swap is none', async (t) => {
  const files = {
    'memory.max': 'max',
    'memory.low': '0',
    'memory.swap.max': 'max',
    'cpu.weight': '100',
    'cpuset.cpus': '',
  };
  const root = tree(t, {
    '': { 'cgroup.controllers': 'cpuset cpu io memory pids', 'cgroup.subtree_control': 'memory pids' },
    mesh: { 'cgroup.controllers': 'cpuset cpu memory', 'cgroup.subtree_control': '' },
    'mesh/one': files,
    'mesh/two': files,
  });
  const cgroups: Cgroups = { version: 2, root };
  t.same(makeCgroup(cgroups, '/mesh/one', ASKED), [join(root, 'mesh/one/cgroup.procs')]);
  t.equal(read(root, 'cgroup.subtree_control'), '+cpu', 'what was handed on is not asked for again');
  t.match([read(root, 'mesh/one/memory.max'), read(root, 'mesh/one/memory.swap.max')], [String(64 * MIB), '0']);
  t.equal(read(root, 'mesh/one/cpu.weight'), '19');
  t.equal(read(root, 'mesh/one/cpuset.cpus'), '');
  makeCgroup(cgroups, '/mesh/two', { ...ASKED, memoryMaxMb: -1, cores: [1, 3] });
  t.equal(read(root, 'cgroup.subtree_control'), '+cpuset');
  t.match([read(root, 'mesh/two/memory.max'), read(root, 'mesh/two/memory.low')], ['max', String(64 * MIB)]);
  t.equal(read(root, 'mesh/two/cpuset.cpus'), '1,3');
});

t.test('version 1: a group in each tree that is needed, and cores come down from the top', async (t) => {
  const files = { 'memory.memsw.limit_in_bytes': '-1' };
  const root = tree(t, {
    'memory/mesh/one': files,
    cpuset: { 'cpuset.cpus': '0-3', 'cpuset.mems': '0' },
    'cpuset/mesh': { 'cpuset.cpus': '', 'cpuset.mems': '' },
    'cpu,cpuacct': {},
  });
  const roots = { memory: join(root, 'memory'), cpuset: join(root, 'cpuset'), cpu: join(root, 'cpu,cpuacct') };
  const cgroups: Cgroups = { version: 1, roots, unified: null };
  const made = makeCgroup(cgroups, '/mesh/one', { ...ASKED, memoryMaxMb: 100, cores: [2] });
  t.same(
    made,
    ['memory', 'cpu,cpuacct', 'cpuset'].map((name) => join(root, name, 'mesh/one/cgroup.procs')),
  );
  t.equal(read(root, 'memory/mesh/one/memory.limit_in_bytes'), String(100 * MIB));
  t.equal(read(root, 'memory/mesh/one/memory.memsw.limit_in_bytes'), String(100 * MIB));
  t.equal(read(root, 'memory/mesh/one/memory.soft_limit_in_bytes'), String(64 * MIB));
  t.equal(read(root, 'cpu,cpuacct/mesh/one/cpu.shares'), '500');
  t.same([read(root, 'cpuset/mesh/cpuset.cpus'), read(root, 'cpuset/mesh/one/cpuset.mems')], ['0-3', '0']);
  t.equal(read(root, 'cpuset/mesh/one/cpuset.cpus'), '2');
  const noCores = makeCgroup(cgroups, '/mesh/two', ASKED);
  t.equal(noCores?.length, 2);
  t.notOk(existsSync(join(root, 'cpuset/mesh/two')));
});

t.test('who may make none is told so, and a group that is not there is removed', async (t) => {
  const nowhere: Cgroups = { version: 2, root: '/proc/meshnomad-nowhere' };
  t.equal(makeCgroup(nowhere, '/mesh/one', ASKED), null);
  await removeCgroup(nowhere, '/mesh/one');
  const root = tree(t, { mesh: {} });
  makeCgroup({ version: 2, root }, '/mesh/one', ASKED);
  await removeCgroup({ version: 2, root }, '/mesh/one');
  t.same(readdirSync(join(root, 'mesh')), []);
});

t.test('limits and weights', async (t) => {
  t.same(memoryLimits({ memoryMb: 10, memoryMaxMb: 0 }), { hardBytes: 10 * MIB, softBytes: null });
  t.same(memoryLimits({ memoryMb: 10, memoryMaxMb: 20 }), { hardBytes: 20 * MIB, softBytes: 10 * MIB });
  t.same(memoryLimits({ memoryMb: 10, memoryMaxMb: -1 }), { hardBytes: null, softBytes: 10 * MIB });
  t.same([0, 100.4, 1e9].map(cpuShares), [2, 100, 262_144]);
  t.same([2, 1024, 262_144].map(weightOf), [1, 39, 10_000]);
});

t.test('what version 2 measures is read', async (t) => {
  const root = tree(t, { 'mesh/one': RECORDED });
  const cgroups: Cgroups = { version: 2, root };
  t.equal(oomKills(cgroups, '/mesh/one'), 1);
  t.equal(oomKills(cgroups, '/mesh/nowhere'), 0);
  t.ok(limitsSwap(cgroups));
  const { usage, sample } = cgroupUsage(cgroups, '/mesh/one', undefined);
  t.match(usage.ResourceUsage.MemoryStats, {
    RSS: 1_048_576,
    Cache: 4096,
    Usage: 1_060_864,
    MaxUsage: 33_554_432,
    KernelUsage: 8192,
  });
  t.match(usage.ResourceUsage.CpuStats, { ThrottledPeriods: 2, ThrottledTime: 3_000_000 });
  t.match(sample, { userTicks: 100, systemTicks: 50 });
  const next = cgroupUsage(cgroups, '/mesh/one', { ...sample, userTicks: 0, atMs: sample.atMs - 1000 });
  t.ok(next.usage.ResourceUsage.CpuStats.UserMode > 50 && next.usage.ResourceUsage.CpuStats.UserMode <= 101);
});

t.test('the version is told from the mounts', async (t) => {
  const v2 = 'cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nsdelegate,memory_recursiveprot 0 0';
  t.same(findCgroups(`proc /proc proc rw 0 0\n${v2}`), { version: 2, root: '/sys/fs/cgroup' });
  const v1 =
    'cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0';
  t.match(findCgroups(v1), { version: 1, unified: null, roots: { cpuacct: '/sys/fs/cgroup/cpu,cpuacct' } });
  t.match(findCgroups(`${v1}\n${v2.replace('/sys/fs/cgroup', '/sys/fs/cgroup/unified')}`), {
    version: 1,
    unified: '/sys/fs/cgroup/unified',
  });
  t.equal(findCgroups('proc /proc proc rw 0 0'), undefined);
});
