import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { DeviceProvider } from '../../lib/plugin/sdk/device.js';
import plugin from '../../plugins/device-drm/index.js';
import { namesIn } from '../../plugins/device-drm/pci-names.js';
import { type HostTree, layHostTree, renderTree } from '../support/host-tree.js';

// Trees after what the drivers amdgpu, i915, xe, v3d, intel_vpu and apex show in /sys; values are made up.

const RADEON = renderTree({
  address: '0000:03:00.0',
  ids: ['1002', '73bf'],
  driver: 'amdgpu',
  render: 128,
  card: 0,
  files: {
    mem_info_vram_total: '17163091968',
    mem_info_vram_used: '1073741824',
    gpu_busy_percent: '37',
    pp_dpm_sclk: '0: 500Mhz\n1: 1200Mhz *\n2: 2575Mhz',
    'hwmon/hwmon3/temp1_input': '51000',
    'hwmon/hwmon3/power1_average': '93000000',
    'hwmon/hwmon3/power1_cap': '255000000',
  },
});
const KFD: HostTree = {
  'sys/class/kfd/kfd/topology/nodes/0/properties': 'cpu_cores_count 16\nsimd_count 0\ndrm_render_minor 0',
  'sys/class/kfd/kfd/topology/nodes/1/properties':
    'simd_count 144\nsimd_per_cu 2\ngfx_target_version 100300\ndrm_render_minor 128\nunique_id 1152921504606846993',
  'dev/kfd': '',
};
const XE = renderTree({
  address: '0000:04:00.0',
  ids: ['8086', '56a0'],
  driver: 'xe',
  render: 129,
  card: 1,
  files: { 'tile0/physical_vram_size_bytes': '0x3fa000000', 'tile0/gt0/freq0/max_freq': '2400' },
});
const I915: HostTree = {
  ...renderTree({ address: '0000:00:02.0', ids: ['8086', '9a49'], driver: 'i915', render: 130, card: 2 }),
  'sys/devices/pci0000:00/0000:00:02.0/drm/card2/gt_max_freq_mhz': '1350',
  'sys/devices/pci0000:00/0000:00:02.0/drm/card2/gt_act_freq_mhz': '600',
};
const NVIDIA = renderTree({ address: '0000:05:00.0', ids: ['10de', '2204'], driver: 'nvidia', render: 131, card: 3 });
const SHOWS_ONLY: HostTree = { 'sys/class/drm/card9/dev': '226:9', 'sys/class/drm/card9-VGA-1/status': 'connected' };
const V3D: HostTree = {
  'sys/class/drm/renderD128': '-> ../../devices/platform/axi/fec00000.v3d/drm/renderD128',
  'sys/devices/platform/axi/fec00000.v3d/drm/renderD128/device': '-> ../../../fec00000.v3d',
  'sys/devices/platform/axi/fec00000.v3d/driver': '-> ../../../../bus/platform/drivers/v3d',
  'dev/dri/renderD128': '',
};
const NPU: HostTree = {
  'sys/class/accel/accel0': '-> ../../devices/pci0000:00/0000:00:0b.0/accel/accel0',
  'sys/devices/pci0000:00/0000:00:0b.0/accel/accel0/device': '-> ../../../0000:00:0b.0',
  'sys/devices/pci0000:00/0000:00:0b.0/vendor': '0x8086',
  'sys/devices/pci0000:00/0000:00:0b.0/device': '0x7d1d',
  'sys/devices/pci0000:00/0000:00:0b.0/driver': '-> ../../../bus/pci/drivers/intel_vpu',
  'sys/devices/pci0000:00/0000:00:0b.0/npu_memory_utilization': '2097152',
  'dev/accel/accel0': '',
};
const APEX: HostTree = {
  'sys/class/apex/apex_0/temp': '48300',
  'sys/class/apex/apex_0/device': '-> ../../../devices/pci0000:00/0000:06:00.0',
  'sys/devices/pci0000:00/0000:06:00.0/vendor': '0x1ac1',
  'dev/apex_0': '',
};
const PCI_IDS = [
  '# comment',
  '1002  Advanced Micro Devices, Inc. [AMD/ATI]',
  '\t73bf  Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]',
  '\t\t1002 0e3a  A subsystem',
  '8086  Intel Corporation',
  '\t56a0  DG2 [Arc A770]',
  '\t7d1d  Meteor Lake NPU',
  'C 03  Display controller',
  '\t00  VGA compatible controller',
].join('\n');

function provider(root: string, more: object = {}): DeviceProvider {
  return plugin.create({ config: { enabled: true, root, ...more }, stateDir: '/nowhere', log: () => {} });
}

t.test('cards of all makers, by the names of the machine’s list', async (t) => {
  const root = layHostTree(t, RADEON, KFD, XE, I915, NVIDIA, SHOWS_ONLY, NPU, APEX, {
    'usr/share/misc/pci.ids': PCI_IDS,
  });
  const groups = await provider(root).fingerprint();
  t.same(
    groups.map(({ Vendor, Type, Name, Instances }) => [Vendor, Type, Name, ...Instances.map(({ ID }) => ID)]),
    [
      ['amd', 'gpu', 'Radeon RX 6800/6800 XT / 6900 XT', '0000:03:00.0'],
      ['intel', 'gpu', 'Arc A770', '0000:04:00.0'],
      ['intel', 'gpu', 'intel gpu 8086:9a49', '0000:00:02.0'],
      ['intel', 'npu', 'Meteor Lake NPU', '0000:00:0b.0'],
      ['google', 'tpu', 'Coral Edge TPU', '0000:06:00.0'],
    ],
  );
  t.same(groups[0]?.Attributes, {
    driver: { String: 'amdgpu' },
    memory: { Int: 16368, Unit: 'MiB' },
    cores_clock: { Int: 2575, Unit: 'MHz' },
    power: { Int: 255, Unit: 'W' },
    gfx: { String: 'gfx1030' },
    compute_units: { Int: 72 },
    pci_id: { String: '1002:73bf' },
  });
  t.match(groups[1]?.Attributes, { memory: { Int: 16288, Unit: 'MiB' }, cores_clock: { Int: 2400 } });
  t.match(groups[2]?.Attributes, { cores_clock: { Int: 1350 } });
  t.same(groups[0]?.Instances[0], {
    ID: '0000:03:00.0',
    Healthy: true,
    HealthDescription: '',
    Locality: { PciBusID: '0000:03:00.0' },
  });
});

t.test('the GPU of a small board, which is no PCI device', async (t) => {
  const groups = await provider(layHostTree(t, V3D)).fingerprint();
  t.match(groups, [
    { Vendor: 'broadcom', Type: 'gpu', Name: 'broadcom gpu v3d', Instances: [{ ID: 'fec00000.v3d', Locality: null }] },
  ]);
});

t.test('a machine without any has none', async (t) => {
  const none = provider(layHostTree(t, SHOWS_ONLY));
  t.same(await none.fingerprint(), []);
  t.same(await none.stats(), {});
});

t.test('a task gets the nodes of its card, and is told which they are', async (t) => {
  const root = layHostTree(t, RADEON, KFD, NPU);
  const drm = provider(root);
  await drm.fingerprint();
  const reserved = await drm.reserve(['0000:03:00.0', '0000:00:0b.0']);
  t.same(
    reserved.deviceNodes.map(({ hostPath, permissions }) => [hostPath, permissions]),
    [
      ['/dev/dri/renderD128', 'rwm'],
      ['/dev/dri/card0', 'rwm'],
      ['/dev/kfd', 'rwm'],
      ['/dev/accel/accel0', 'rwm'],
    ],
  );
  t.same(reserved.env, {
    DRM_DEVICES: '/dev/dri/renderD128,/dev/accel/accel0',
    ROCR_VISIBLE_DEVICES: 'GPU-1000000000000011',
  });
  await t.rejects(drm.reserve(['0000:09:00.0']), /no card 0000:09:00.0/);
  rmSync(join(root, 'dev/dri/renderD128'));
  t.match((await drm.fingerprint())[0]?.Instances[0], {
    Healthy: false,
    HealthDescription: 'its device node /dev/dri/renderD128 is missing',
  });
});

t.test('cards do what the kernel says', async (t) => {
  const drm = provider(layHostTree(t, RADEON, I915, NPU, APEX));
  await drm.fingerprint();
  const stats = await drm.stats();
  const values = (id: string): object =>
    Object.fromEntries(
      Object.entries(stats[id]?.stats ?? {}).map(([name, { value, unit }]) => [name, { ...value, unit }]),
    );
  t.same(values('0000:03:00.0'), {
    'Memory state': { int: 1024, of: 16368, unit: 'MiB' },
    'GPU utilization': { int: 37, unit: '%' },
    Temperature: { int: 51, unit: 'C' },
    'Power usage': { int: 93, unit: 'W' },
    Clock: { int: 1200, unit: 'MHz' },
  });
  t.same(values('0000:00:02.0'), { Clock: { int: 600, unit: 'MHz' } });
  t.same(values('0000:00:0b.0'), { 'Memory in use': { int: 2, unit: 'MiB' } });
  t.same(values('0000:06:00.0'), { Temperature: { int: 48, unit: 'C' } });
});

t.test('cards can be kept back, and unknown keys are refused', async (t) => {
  const root = layHostTree(t, RADEON, I915);
  const groups = await provider(root, { ignored_ids: ['0000:03:00.0'] }).fingerprint();
  t.same(
    groups.map(({ Vendor }) => Vendor),
    ['intel'],
  );
  t.match(plugin.configProblems({ ignored_id: [] }), [{ path: 'ignored_id', message: /did you mean "ignored_ids"/ }]);
});

t.test('names in a list of PCI ids', async (t) => {
  const names = namesIn(PCI_IDS, ['1002:73bf', '8086:7d1d', '8086:0000', '0300:0000']);
  t.same(
    [...names],
    [
      ['1002:73bf', 'Radeon RX 6800/6800 XT / 6900 XT'],
      ['8086:7d1d', 'Meteor Lake NPU'],
    ],
  );
});
