import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { DeviceProvider } from '../../lib/plugin/sdk/device.js';
import plugin from '../../plugins/device-usb/index.js';
import { addToTree, layHostTree, usbTree } from '../support/host-tree.js';

// Sticks as the kernel shows them in /sys/bus/usb; serial numbers are made up.

const HUB = usbTree({
  port: '1-1',
  id: ['2109', '3431'],
  names: ['VIA', 'USB2.0 Hub'],
  number: 2,
  deviceClass: '09',
  interfaces: [['09', 'hub', '']],
});
const ZIGBEE_ID = 'usb-ITEAD_SONOFF_Zigbee_3.0_USB_Dongle_Plus_V2_00000001-if00-port0';
const ZIGBEE = usbTree({
  port: '1-1.2',
  id: ['10c4', 'ea60'],
  names: ['ITEAD', 'SONOFF Zigbee 3.0 USB Dongle Plus V2'],
  number: 7,
  interfaces: [['ff', 'cp210x', 'ttyUSB0']],
  byId: ZIGBEE_ID,
});
const METER = usbTree({
  port: '1-1.3',
  id: ['1a86', '7523'],
  names: ['', 'USB Serial'],
  number: 8,
  interfaces: [['ff', 'ch341', 'ttyUSB1']],
});
const MODEM = usbTree({
  port: '1-2',
  id: ['1cf1', '0030'],
  names: ['dresden elektronik ingenieurtechnik GmbH', 'ConBee II'],
  number: 9,
  interfaces: [
    ['02', 'cdc_acm', 'ttyACM0'],
    ['0a', 'cdc_acm', ''],
  ],
});
const CORAL = usbTree({ port: '2-1', bus: 2, id: ['1a6e', '089a'], number: 3, interfaces: [['fe', '', '']] });
const KEYBOARD = usbTree({
  port: '1-3',
  id: ['046d', 'c31c'],
  names: ['Logitech', 'USB Keyboard'],
  number: 4,
  interfaces: [
    ['03', 'usbhid', ''],
    ['03', 'usbhid', ''],
  ],
});
const DISK = usbTree({
  port: '2-2',
  bus: 2,
  id: ['0781', '5581'],
  names: ['SanDisk', 'Ultra'],
  number: 4,
  interfaces: [['08', 'usb-storage', '']],
});
const ETHERNET = usbTree({
  port: '2-3',
  bus: 2,
  id: ['0bda', '8153'],
  names: ['Realtek', 'USB 10/100/1000 LAN'],
  number: 5,
  interfaces: [['ff', 'r8152', 'net']],
});
const RADIO = usbTree({
  port: '1-4',
  id: ['0bda', '2838'],
  names: ['Realtek', 'RTL2838UHIDIR'],
  number: 6,
  interfaces: [['ff', '', '']],
});
const ALL = [HUB, ZIGBEE, METER, MODEM, CORAL, KEYBOARD, DISK, ETHERNET, RADIO];

function provider(root: string, more: object = {}): DeviceProvider {
  return plugin.create({ config: { enabled: true, root, ...more }, stateDir: '/nowhere', log: () => {} });
}
const listed = async (usb: DeviceProvider): Promise<string[][]> =>
  (await usb.fingerprint()).map(({ Vendor, Type, Name, Instances }) => [
    Vendor,
    Type,
    Name,
    ...Instances.map(({ ID }) => ID),
  ]);

t.test('sticks are given out; keyboards, disks, network cards and hubs are not', async (t) => {
  const usb = provider(layHostTree(t, ...ALL));
  t.same(await listed(usb), [
    ['itead', 'serial', 'SONOFF Zigbee 3.0 USB Dongle Plus V2', ZIGBEE_ID],
    ['1a86', 'serial', 'USB Serial', 'port-1-1.3'],
    ['dresden-elektronik-ingenieurtechnik-gmbh', 'serial', 'ConBee II', 'port-1-2'],
    ['realtek', 'usb', 'RTL2838UHIDIR', 'port-1-4'],
    ['google', 'tpu', 'Coral USB Accelerator', 'port-2-1'],
  ]);
  t.match((await usb.fingerprint())[0]?.Attributes, {
    usb_id: { String: '10c4:ea60' },
    driver: { String: 'cp210x' },
    speed: { Int: 12 },
  });
});

t.test('the agent’s config has the last word', async (t) => {
  const root = layHostTree(t, ...ALL);
  const usb = provider(root, { include: ['0781', '046D:C31C'], exclude: ['10c4:ea60', '0bda', '1a6e', '1cf1'] });
  t.same(
    (await listed(usb)).map(([, type, name]) => [type, name]),
    [
      ['serial', 'USB Serial'],
      ['usb', 'USB Keyboard'],
      ['usb', 'Ultra'],
    ],
  );
  t.match(plugin.configProblems({ include: ['zigbee'] }), [{ path: 'include', message: /"10c4:ea60"/ }]);
});

t.test('a task gets the line under both its names, and the names in its environment', async (t) => {
  const usb = provider(layHostTree(t, ...ALL));
  await usb.fingerprint();
  const { env, deviceNodes } = await usb.reserve([ZIGBEE_ID, 'port-2-1']);
  t.same(
    deviceNodes.map(({ hostPath, taskPath }) => [hostPath, taskPath]),
    [
      ['/dev/ttyUSB0', '/dev/ttyUSB0'],
      ['/dev/ttyUSB0', `/dev/serial/by-id/${ZIGBEE_ID}`],
      ['/dev/bus/usb/001/007', '/dev/bus/usb/001/007'],
      ['/dev/bus/usb/002/003', '/dev/bus/usb/002/003'],
    ],
  );
  t.same(env, {
    USB_DEVICES: '/dev/bus/usb/001/007,/dev/bus/usb/002/003',
    SERIAL_DEVICES: `/dev/serial/by-id/${ZIGBEE_ID}`,
  });
});

t.test('what is plugged in or out is seen at the next look, what moves keeps its id', async (t) => {
  const root = layHostTree(t, HUB, ZIGBEE);
  const usb = provider(root);
  t.equal((await usb.fingerprint()).length, 1);
  const same = await usb.fingerprint();
  t.equal(await usb.fingerprint(), same, 'nothing is read twice while nothing changes');
  addToTree(root, RADIO);
  t.equal((await usb.fingerprint()).length, 2);

  const at = (name: string): string => join(root, 'sys/bus/usb/devices', name);
  renameSync(at('1-1.2'), at('1-1.4'));
  renameSync(at('1-1.2:1.0'), at('1-1.4:1.0'));
  writeFileSync(join(at('1-1.4'), 'devnum'), '12\n');
  addToTree(root, { 'dev/bus/usb/001/012': '' });
  t.match((await usb.reserve([ZIGBEE_ID])).env, { USB_DEVICES: '/dev/bus/usb/001/012' });

  rmSync(at('1-1.4'), { recursive: true });
  rmSync(at('1-1.4:1.0'), { recursive: true });
  rmSync(join(root, 'dev/serial'), { recursive: true });
  t.same(
    (await listed(usb)).map(([, , name]) => name),
    ['RTL2838UHIDIR'],
  );
  await t.rejects(usb.reserve([ZIGBEE_ID]), /is not plugged in/);
});

t.test('a stick is known by its lasting name also when that comes last', async (t) => {
  const root = layHostTree(t, HUB);
  const usb = provider(root);
  await usb.fingerprint();
  const { [`dev/serial/by-id/${ZIGBEE_ID}`]: name = '', ...early } = ZIGBEE;
  addToTree(root, early);
  const found = listed(usb);
  // It has looked by now, and looks again.
  setTimeout(() => addToTree(root, { [`dev/serial/by-id/${ZIGBEE_ID}`]: name }), 50);
  t.same(await found, [['itead', 'serial', 'SONOFF Zigbee 3.0 USB Dongle Plus V2', ZIGBEE_ID]]);
});

t.test('a driver that comes long after its device is seen', async (t) => {
  const card = { port: '1-7', id: ['0bda', '8153'] as [string, string], number: 7 };
  const root = layHostTree(t, usbTree({ ...card, interfaces: [['ff', '', '']] }));
  const usb = provider(root);
  t.equal((await usb.fingerprint()).length, 1);
  rmSync(join(root, 'sys/bus/usb/devices/1-7:1.0'), { recursive: true });
  addToTree(root, usbTree({ ...card, interfaces: [['ff', 'r8152', 'net']] }));
  t.same(await usb.fingerprint(), [], 'a network card is the machine’s');
});

t.test('two kinds that call themselves alike are two models', async (t) => {
  const other = usbTree({
    port: '1-9',
    id: ['1a86', '55d4'],
    names: ['', 'USB Serial'],
    number: 9,
    interfaces: [['ff', 'cdc_acm', 'ttyACM3']],
  });
  t.same(
    (await listed(provider(layHostTree(t, METER, other)))).map(([, , name]) => name),
    ['USB Serial (1a86:7523)', 'USB Serial (1a86:55d4)'],
  );
});

t.test('a machine without USB has none', async (t) => {
  t.same(await provider(layHostTree(t)).fingerprint(), []);
});
