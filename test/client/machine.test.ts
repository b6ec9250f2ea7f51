import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { defaultClientConfig } from '../../lib/client/config.js';
import { cloudFingerprint } from '../../lib/client/fingerprint/cloud.js';
import { linuxMachine, linuxPower } from '../../lib/client/fingerprint/hardware.js';
import { diskMounts } from '../../lib/client/fingerprint/mounts.js';
import { HostFiles } from '../../lib/plugin/sdk/host-files.js';
import { type HostTree, layHostTree } from '../support/host-tree.js';

// Trees after what Linux shows in /sys/class/dmi and /sys/class/power_supply of such machines.

const supply = (name: string, files: Record<string, string>): HostTree =>
  Object.fromEntries(Object.entries(files).map(([file, text]) => [`sys/class/power_supply/${name}/${file}`, text]));
const BATTERY = supply('BAT0', { type: 'Battery', status: 'Discharging', present: '1' });
const MOUSE = supply('hid-1', { type: 'Battery', scope: 'Device', status: 'Discharging', present: '1' });

t.test('what feeds the machine', async (t) => {
  for (const [name, trees, source, battery] of [
    ['a desktop', [], 'mains', 'false'],
    ['a desktop with a mouse of its own battery', [MOUSE], 'mains', 'false'],
    ['a laptop on the road', [BATTERY, supply('AC', { type: 'Mains', online: '0' })], 'battery', 'true'],
    ['a laptop at its adapter', [BATTERY, supply('AC', { type: 'Mains', online: '1' })], 'mains', 'true'],
    ['a laptop at a dock', [BATTERY, supply('ucsi', { type: 'USB', online: '1' })], 'mains', 'true'],
    [
      'a full battery and no named adapter',
      [supply('B', { type: 'Battery', status: 'Full', present: '1' })],
      'mains',
      'true',
    ],
    [
      'a battery that was taken out',
      [supply('B', { type: 'Battery', status: 'Unknown', present: '0' })],
      'mains',
      'false',
    ],
  ] as const) {
    const found = await linuxPower(new HostFiles(layHostTree(t, ...trees)));
    t.same(found, { 'power.source': source, 'power.battery': battery }, name);
  }
});

t.test('what machine it is', async (t) => {
  const dmi = (vendor: string, product: string): HostTree => ({
    'sys/class/dmi/id/sys_vendor': vendor,
    'sys/class/dmi/id/product_name': product,
  });
  for (const [tree, expected] of [
    [
      dmi('LENOVO', '20XW'),
      { 'hardware.virtual': 'false', 'hardware.manufacturer': 'LENOVO', 'hardware.model': '20XW' },
    ],
    [dmi('To Be Filled By O.E.M.', 'System Product Name'), { 'hardware.virtual': 'false' }],
    [
      dmi('QEMU', 'Standard PC'),
      { 'hardware.virtual': 'true', 'hardware.manufacturer': 'QEMU', 'hardware.model': 'Standard PC' },
    ],
    [
      { 'proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.4\0' },
      { 'hardware.virtual': 'false', 'hardware.model': 'Raspberry Pi 4 Model B Rev 1.4' },
    ],
    [{ 'proc/cpuinfo': 'processor : 0\nflags\t\t: fpu hypervisor avx' }, { 'hardware.virtual': 'true' }],
    [{ 'proc/cpuinfo': 'processor : 0\nflags\t\t: fpu avx' }, { 'hardware.virtual': 'false' }],
  ] as const) {
    t.same(await linuxMachine(new HostFiles(layHostTree(t, tree))), expected);
  }
});

t.test('disks are told once each; tasks’ mounts, loops and made-up file systems are not', async (t) => {
  const text = [
    'proc /proc proc rw 0 0',
    '/dev/nvme0n1p2 / ext4 rw 0 0',
    '/dev/nvme0n1p1 /boot vfat rw 0 0',
    '/dev/sda1 /srv/data btrfs rw 0 0',
    '/dev/sda1 /home/ana/data btrfs rw 0 0',
    'tank/media /media zfs rw 0 0',
    'nas:/export /mnt/nas nfs4 rw 0 0',
    'overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0',
    '/dev/nvme0n1p2 /var/lib/docker/volumes/x ext4 rw 0 0',
    '/dev/loop3 /snap/core/1 squashfs ro 0 0',
    '/dev/sdb1 /data/alloc/123/web ext4 rw 0 0',
    'tmpfs /run tmpfs rw 0 0',
  ].join('\n');
  t.same(
    diskMounts(text, '/data/alloc').map(({ path, device }) => [path, device]),
    [
      ['/', '/dev/nvme0n1p2'],
      ['/boot', '/dev/nvme0n1p1'],
      ['/media', 'tank/media'],
      ['/mnt/nas', 'nas:/export'],
      ['/srv/data', '/dev/sda1'],
    ],
  );
});

const INPUT = {
  config: defaultClientConfig({ stateDir: null, allocDir: '/nowhere', nodeName: 'n' }),
  httpAddr: '',
  version: '',
};

t.test('a cloud that is named in the config is asked, with what it wants to be asked with', async (t) => {
  const asked: string[] = [];
  const answers: Record<string, string> = {
    'PUT /latest/api/token': 'secret',
    'GET /latest/meta-data/instance-id': 'i-1',
    'GET /latest/meta-data/instance-type': 't3.small',
    'GET /latest/meta-data/placement/availability-zone': 'eu-west-1a',
    'GET /gce/id': '12345',
    'GET /gce/zone': 'projects/7/zones/us-central1-f',
    'GET /gce/machine-type': 'projects/7/machineTypes/n1-standard-1',
  };
  let isUp = true;
  const server = createServer((request, response) => {
    const what = `${request.method} ${request.url}`;
    asked.push(what);
    const needsToken =
      request.url?.startsWith('/latest/meta-data/') && request.headers['x-aws-ec2-metadata-token'] !== 'secret';
    const needsFlavor = request.url?.startsWith('/gce/') && request.headers['metadata-flavor'] !== 'Google';
    const text = isUp && !needsToken && !needsFlavor ? answers[what] : undefined;
    response.writeHead(text === undefined ? 404 : 200).end(text ?? '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.env['AWS_ENV_URL'] = `${base}/latest/meta-data/`;
  process.env['GCE_ENV_URL'] = `${base}/gce/`;
  t.teardown(() => {
    delete process.env['AWS_ENV_URL'];
    delete process.env['GCE_ENV_URL'];
  });

  const aws = cloudFingerprint({ name: 'env_aws', retryAttempts: 0, retryIntervalMs: 1 });
  t.same(await aws.run(INPUT), {
    attributes: {
      'unique.platform.aws.instance-id': 'i-1',
      'platform.aws.instance-type': 't3.small',
      'platform.aws.placement.availability-zone': 'eu-west-1a',
    },
    links: { 'aws.ec2': 'eu-west-1a.i-1' },
  });
  const before = asked.length;
  await aws.run(INPUT);
  t.equal(asked.length, before, 'asked once');

  isUp = false;
  const gce = cloudFingerprint({ name: 'env_gce', retryAttempts: 1, retryIntervalMs: 5 });
  t.equal(gce.periodMs, 5);
  await t.rejects(gce.run(INPUT), /does not answer as gce would/);
  isUp = true;
  t.match(await gce.run(INPUT), {
    attributes: { 'platform.gce.zone': 'us-central1-f', 'platform.gce.machine-type': 'n1-standard-1' },
    links: { gce: '12345' },
  });
});

t.test('a cloud that is not there is asked as often as the config says, then no more', async (t) => {
  process.env['DO_ENV_URL'] = 'http://127.0.0.1:9/metadata/v1/';
  t.teardown(() => {
    delete process.env['DO_ENV_URL'];
  });
  const cloud = cloudFingerprint({ name: 'env_digitalocean', retryAttempts: 1, retryIntervalMs: 5 });
  await t.rejects(cloud.run(INPUT), /does not answer/);
  await t.rejects(cloud.run(INPUT), /does not answer/);
  t.same(await cloud.run(INPUT), { attributes: {} });
});
