import t from 'tap';
import { allocsFit } from '../../lib/scheduler/fit.js';
import { mockAlloc, mockAllocated, mockJob, mockNode } from './mock.js';

const job = mockJob();
const alloc = (changes: Parameters<typeof mockAllocated>[0], rest = {}) =>
  mockAlloc(job, { AllocatedResources: mockAllocated(changes), ...rest });
const port = (Value: number, HostIP = '10.0.0.0', IgnoreCollision = false) => ({
  Label: 'http',
  Value,
  To: 0,
  HostIP,
  IgnoreCollision,
});

t.test('the first dimension that is short is named', async (t) => {
  for (const [name, allocs, dimension] of [
    ['nothing', [], ''],
    ['all of it', [alloc({ cpu: 4000, memory: 8192, disk: 102400 })], ''],
    ['cpu before memory', [alloc({ cpu: 4001, memory: 9000 })], 'cpu'],
    ['memory', [alloc({ memory: 8000 }), alloc({ memory: 193 })], 'memory'],
    ['disk', [alloc({ disk: 102401 })], 'disk'],
    ['a core twice', [alloc({ cores: [1] }), alloc({ cores: [1] })], 'cores'],
    ['a core it has not', [alloc({ cores: [4] })], 'cores'],
    ['ended ones take nothing', [alloc({ cpu: 4001 }, { ClientStatus: 'complete' })], ''],
    ['stopping ones still do', [alloc({ cpu: 4001 }, { DesiredStatus: 'stop' })], 'cpu'],
  ] as const) {
    const fit = allocsFit(mockNode(0), allocs);
    t.equal(fit.dimension, dimension, name);
    t.equal(fit.fits, dimension === '', name);
  }
});

t.test('what the machine keeps for itself is not given out', async (t) => {
  const node = mockNode(0, {
    ReservedResources: {
      Cpu: { CpuShares: 1000 },
      Memory: { MemoryMB: 512 },
      Disk: { DiskMB: 0 },
      Networks: { ReservedHostPorts: '22,8000-8100' },
    },
  });
  t.equal(allocsFit(node, [alloc({ cpu: 3000 })]).fits, true);
  t.equal(allocsFit(node, [alloc({ cpu: 3001 })]).dimension, 'cpu');
  t.match(allocsFit(node, [alloc({ ports: [port(8080)] })]).dimension, /^reserved node port collision: http=8080$/);
});

t.test('a port of an address is held once, unless its holders share it', async (t) => {
  t.match(
    allocsFit(mockNode(0), [alloc({ ports: [port(80)] }), alloc({ ports: [port(80)] })]).dimension,
    /^reserved alloc port/,
  );
  t.ok(allocsFit(mockNode(0), [alloc({ ports: [port(80)] }), alloc({ ports: [port(80, '10.9.9.9')] })]).fits);
  t.ok(allocsFit(mockNode(0), [alloc({ ports: [port(80)] }), alloc({ ports: [port(80, '10.0.0.0', true)] })]).fits);
});

t.test('tasks that never run together share what they ask for', async (t) => {
  const task = (cpu: number, memory: number) => ({
    Cpu: { CpuShares: cpu, ReservedCores: null },
    Memory: { MemoryMB: memory, MemoryMaxMB: 0 },
    Networks: null,
    Devices: null,
  });
  const resources = {
    Tasks: { init: task(700, 100), proxy: task(50, 50), web: task(500, 300), warm: task(100, 0), bye: task(900, 10) },
    TaskLifecycles: {
      init: { Hook: 'prestart', Sidecar: false },
      proxy: { Hook: 'prestart', Sidecar: true },
      web: null,
      warm: { Hook: 'poststart', Sidecar: false },
      bye: { Hook: 'poststop', Sidecar: false },
    },
    Shared: { DiskMB: 1, Networks: null, Ports: null },
  };
  const { used } = allocsFit(mockNode(0), [mockAlloc(job, { AllocatedResources: resources })]);
  t.same(used, { cpuMhz: 950, memoryMb: 350, diskMb: 1, cores: [] });
});
