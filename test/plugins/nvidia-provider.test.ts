import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { DeviceProvider } from '../../lib/plugin/sdk/device.js';
import plugin from '../../plugins/device-nvidia/index.js';
import { NvidiaSmi } from '../../plugins/device-nvidia/smi.js';
import { type HostTree, layHostTree } from '../support/host-tree.js';
import { eventually, ROOT } from '../support/mesh-agent.js';

const DATA = join(ROOT, 'test/plugins/data/nvidia');

/** A provider over a tree of the machine; `smi`: shell lines of its nvidia-smi, null: it has none. */
function provider(t: Test, smi: string | null, tree: HostTree, more: object = {}) {
  const root = layHostTree(t, tree);
  const nvidia_smi = join(root, 'nvidia-smi');
  if (smi !== null) {
    writeFileSync(nvidia_smi, `#!/bin/sh\n${smi}\n`);
    chmodSync(nvidia_smi, 0o755);
  }
  const told: string[] = [];
  const made: DeviceProvider = plugin.create({
    config: { enabled: true, root, nvidia_smi, query_timeout: '5s', ...more },
    stateDir: '/nowhere',
    log: (_level, message) => told.push(message),
  });
  t.teardown(() => made.close());
  return { made, told, root };
}

const MIG = `case "$1" in -L) cat ${DATA}/v12-mig-list.txt;; *) cat ${DATA}/v12-mig.xml;; esac`;
const MIG_TREE: HostTree = {
  'dev/nvidia0': '',
  'dev/nvidia1': '',
  'dev/nvidiactl': '',
  'dev/nvidia-uvm': '',
  'dev/nvidia-caps/nvidia-cap12': '',
  'dev/nvidia-caps/nvidia-cap13': '',
  'proc/driver/nvidia/capabilities/gpu0/mig/gi11/access':
    'DeviceFileMinor: 12\nDeviceFileMode: 292\nDeviceFileModify: 1',
  'proc/driver/nvidia/capabilities/gpu0/mig/gi11/ci0/access': 'DeviceFileMinor: 13',
};
const PART = 'MIG-00000000-0000-5001-8001-0000000000d2';
const WHOLE = 'GPU-a1000000-0012-4001-8001-0000000000c2';

t.test('a part of a card comes with the nodes of its own, a whole card with its node', async (t) => {
  const { made } = provider(t, MIG, MIG_TREE);
  await made.fingerprint();
  const nodes = async (...ids: string[]) => (await made.reserve(ids)).deviceNodes.map(({ hostPath }) => hostPath);
  const common = ['/dev/nvidiactl', '/dev/nvidia-uvm'];
  t.same(await nodes(PART), [
    '/dev/nvidia0',
    '/dev/nvidia-caps/nvidia-cap12',
    '/dev/nvidia-caps/nvidia-cap13',
    ...common,
  ]);
  t.same(await nodes(WHOLE), ['/dev/nvidia1', ...common]);
  t.same((await made.reserve([PART, WHOLE])).env, {
    NVIDIA_VISIBLE_DEVICES: `${PART},${WHOLE}`,
    CUDA_VISIBLE_DEVICES: `${PART},${WHOLE}`,
  });
  const shared = await made.reserve([WHOLE], { memoryMb: 4096, share: 25 });
  t.match(shared.env, { CUDA_MPS_PINNED_DEVICE_MEM_LIMIT: '0=4096M', CUDA_MPS_ACTIVE_THREAD_PERCENTAGE: '25' });
});

t.test('a specification of CDI gives names: by UUID, by number, all or none', async (t) => {
  const spec = (...names: string[]): string =>
    ['cdiVersion: 0.5.0', 'devices:', ...names.map((name) => `- name: "${name}"`), 'kind: nvidia.com/gpu'].join('\n');
  for (const [names, expected] of [
    [
      ['0', '1', '0:2'],
      ['nvidia.com/gpu=0:2', 'nvidia.com/gpu=1'],
    ],
    [
      [PART, WHOLE, '1'],
      [`nvidia.com/gpu=${PART}`, `nvidia.com/gpu=${WHOLE}`],
    ],
    [['1'], []],
  ] as const) {
    const { made } = provider(t, MIG, { ...MIG_TREE, 'etc/cdi/nvidia.yaml': spec(...names) });
    await made.fingerprint();
    t.same((await made.reserve([PART, WHOLE])).cdiDevices, expected);
  }
});

t.test('cards that are ignored, and parts of ignored cards, are not given out', async (t) => {
  const { made } = provider(t, MIG, {}, { ignored_gpu_ids: ['GPU-a1000000-0012-4001-8001-0000000000c1'] });
  const groups = await made.fingerprint();
  t.same(
    groups.flatMap(({ Instances }) => Instances.map(({ ID }) => ID)),
    [WHOLE],
  );
  await t.rejects(made.reserve([PART]), /no NVIDIA device MIG-/);
});

const CARD: HostTree = {
  'sys/bus/pci/devices/0000:01:00.0/vendor': '0x10de',
  'sys/bus/pci/devices/0000:01:00.0/class': '0x030000',
  'sys/bus/pci/devices/0000:01:00.0/max_link_speed': '16.0 GT/s PCIe',
  'sys/bus/pci/devices/0000:01:00.0/max_link_width': '16',
  'sys/bus/pci/devices/0000:01:00.1/vendor': '0x10de',
  'sys/bus/pci/devices/0000:01:00.1/class': '0x040300',
};

t.test('without nvidia-smi the kernel’s driver tells enough to give a card out', async (t) => {
  const { made, told } = provider(t, null, {
    ...CARD,
    'proc/driver/nvidia/version': 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 2024',
    'proc/driver/nvidia/gpus/0000:01:00.0/information':
      'Model: \t\t NVIDIA GeForce RTX 4090\nIRQ:   \t\t 120\nGPU UUID: \t GPU-40900000-0000-4001-8001-000000000001\nDevice Minor: \t 0',
    'proc/driver/nvidia/gpus/0000:02:00.0/information':
      'Model: \t\t NVIDIA T400\nGPU UUID: \t GPU-????????-????\nDevice Minor: \t 1',
    'dev/nvidia0': '',
  });
  const groups = await made.fingerprint();
  t.match(groups, [
    {
      Name: 'NVIDIA GeForce RTX 4090',
      Instances: [
        { ID: 'GPU-40900000-0000-4001-8001-000000000001', Healthy: true, Locality: { PciBusID: '0000:01:00.0' } },
      ],
      Attributes: { driver_version: { String: '550.54.14' }, pci_bandwidth: { Int: 31504, Unit: 'MB/s' } },
    },
  ]);
  t.equal(groups.length, 1, 'a card that nobody has opened yet is nameless');
  t.match(told, [/no nvidia-smi is found/]);
  t.same(
    (await made.reserve(['GPU-40900000-0000-4001-8001-000000000001'])).deviceNodes.map(({ hostPath }) => hostPath),
    ['/dev/nvidia0'],
  );
  await made.fingerprint();
  t.equal(told.length, 1, 'told once');
});

t.test('without nvidia-smi OpenCL tells the memory, and the size of a PCI window is none', async (t) => {
  const { made, root } = provider(t, null, {
    ...CARD,
    'proc/driver/nvidia/version': 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 2024',
    'proc/driver/nvidia/gpus/0000:0c:00.0/information':
      'Model: \t\t NVIDIA GeForce RTX 4090\nGPU UUID: \t GPU-40900000-0000-4001-8001-000000000001\nDevice Minor: \t 0',
    'proc/driver/nvidia/gpus/0000:02:00.0/information':
      'Model: \t\t NVIDIA T400\nGPU UUID: \t GPU-40000000-0000-4001-8001-000000000002\nDevice Minor: \t 1',
  });
  const programs = join(root, 'programs');
  mkdirSync(programs);
  const calls = join(root, 'calls');
  const program = (name: string, ...lines: string[]): void =>
    writeFileSync(
      join(programs, name),
      `#!/bin/sh\necho ${name} >> ${calls}\ncat <<'END'\n${lines.join('\n')}\nEND\n`,
      {
        mode: 0o755,
      },
    );
  program(
    'lspci',
    '0c:00.0 VGA compatible controller: NVIDIA Corporation AD102 [GeForce RTX 4090] (rev a1) (prog-if 00 [VGA controller])',
    '\tRegion 1: Memory at 6000000000 (64-bit, prefetchable) [size=256M]',
    '',
    '02:00.0 3D controller: NVIDIA Corporation TU117 [T400] (rev a1)',
    '\tRegion 1: Memory at 7000000000 (64-bit, prefetchable) [size=256M]',
    '',
  );
  program(
    'clinfo',
    '[NVIDIA/0] CL_DEVICE_TYPE                    CL_DEVICE_TYPE_GPU',
    '[NVIDIA/0] CL_DEVICE_NAME                    NVIDIA GeForce RTX 4090',
    '[NVIDIA/0] CL_DEVICE_GLOBAL_MEM_SIZE         25386352640',
    '[NVIDIA/0] CL_DEVICE_PCI_BUS_ID_NV           12',
    '[NVIDIA/0] CL_DEVICE_PCI_SLOT_ID_NV          0',
  );
  const { PATH } = process.env;
  process.env['PATH'] = `${programs}:${PATH}`;
  t.teardown(() => {
    process.env['PATH'] = PATH;
  });
  const memories = (await made.fingerprint()).map(({ Name, Attributes }) => [Name, Attributes?.['memory']?.Int]);
  t.same(memories, [
    ['NVIDIA GeForce RTX 4090', 24210],
    ['NVIDIA T400', undefined],
  ]);
  const asked = readFileSync(calls, 'utf8');
  await made.fingerprint();
  await made.stats();
  t.equal(readFileSync(calls, 'utf8'), asked, 'the same cards are asked for once');
});

t.test('a card without a driver is told, and is none', async (t) => {
  const { made, told } = provider(t, null, CARD);
  t.same(await made.fingerprint(), []);
  t.same(told, ['no NVIDIA driver is loaded for 0000:01:00.0']);
  const none = provider(t, null, {});
  t.same(await none.made.fingerprint(), []);
  t.same(none.told, []);
});

t.test('what nvidia-smi complains of is passed on', async (t) => {
  for (const [smi, message] of [
    [`cat ${DATA}/lost.txt; exit 15`, /fails \(code 15\): Unable to determine the device handle/],
    ['echo "Failed to initialize NVML: Driver/library version mismatch" >&2; exit 18', /code 18.*version mismatch/],
    ['kill -9 $$', /fails \(SIGKILL\)/],
    ['yes x | head -c 9000000', /writes more than 8388608 bytes/],
    ['echo nonsense', /cannot read what nvidia-smi -q -x wrote/],
  ] as const) {
    await t.rejects(provider(t, smi, {}).made.fingerprint(), message);
  }
});

t.test(
  'one that hangs is ended, leaves no zombie, and the next question is asked as if nothing had been',
  async (t) => {
    const root = layHostTree(t, {});
    const path = join(root, 'nvidia-smi');
    writeFileSync(
      path,
      `#!/bin/sh\necho $$ >> ${root}/pids\n[ -e ${root}/well ] && echo fine && exit 0\nexec sleep 1000\n`,
    );
    chmodSync(path, 0o755);
    const smi = new NvidiaSmi(path, 200);
    await t.rejects(smi.run(path, ['-q', '-x']), /nvidia-smi -q -x does not answer for 0\.2 s/);
    const pid = readFileSync(`${root}/pids`, 'utf8').trim();
    await eventually('it to be gone, and not a zombie', () => (existsSync(`/proc/${pid}`) ? undefined : true));
    writeFileSync(`${root}/well`, '');
    t.equal(await smi.run(path, []), 'fine\n');
  },
);
