import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';

/** Files below a root by path; "-> target" makes a symbolic link as /sys has them. */
export type HostTree = Record<string, string>;

/** Lays a tree of /sys, /proc and /dev out in a folder of its own, which goes when the test ends. */
export function layHostTree(t: Test, ...trees: HostTree[]): string {
  const root = mkdtempSync(join(tmpdir(), 'meshnomad-host-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  for (const tree of trees) addToTree(root, tree);
  return root;
}

export function addToTree(root: string, tree: HostTree): void {
  for (const [path, content] of Object.entries(tree)) {
    const at = join(root, path);
    mkdirSync(dirname(at), { recursive: true });
    const link = /^-> (.+)$/.exec(content)?.[1];
    if (link === undefined) writeFileSync(at, content === '' ? '' : `${content}\n`);
    else symlinkSync(link, at);
  }
}

/** A PCI device with its render node as the kernel links them, and its nodes in /dev. */
export function renderTree(options: {
  address: string;
  ids: [vendor: string, device: string];
  driver: string;
  render: number;
  card: number;
  files?: HostTree;
}): HostTree {
  const { address, ids, driver, render, card, files = {} } = options;
  const device = `sys/devices/pci0000:00/${address}`;
  const drm = (name: string): HostTree => ({
    [`sys/class/drm/${name}`]: `-> ../../devices/pci0000:00/${address}/drm/${name}`,
    [`${device}/drm/${name}/device`]: `-> ../../../${address}`,
    [`dev/dri/${name}`]: '',
  });
  return {
    [`${device}/vendor`]: `0x${ids[0]}`,
    [`${device}/device`]: `0x${ids[1]}`,
    [`${device}/class`]: '0x030000',
    [`${device}/driver`]: `-> ../../../bus/pci/drivers/${driver}`,
    [`sys/bus/pci/drivers/${driver}/module`]: '',
    [`sys/bus/pci/devices/${address}`]: `-> ../../../devices/pci0000:00/${address}`,
    ...drm(`renderD${render}`),
    ...drm(`card${card}`),
    ...Object.fromEntries(Object.entries(files).map(([path, text]) => [`${device}/${path}`, text])),
  };
}

/** A device in a USB port with its interfaces: [class, kernel driver, serial line or ""]. */
export function usbTree(options: {
  port: string;
  id: [vendor: string, product: string];
  names?: [manufacturer: string, product: string];
  bus?: number;
  number: number;
  deviceClass?: string;
  interfaces: [string, string, string][];
  byId?: string;
}): HostTree {
  const { port, id, names, number, interfaces, byId } = options;
  const base = `sys/bus/usb/devices/${port}`;
  const three = (value: number): string => String(value).padStart(3, '0');
  const tree: HostTree = {
    [`${base}/idVendor`]: id[0],
    [`${base}/idProduct`]: id[1],
    [`${base}/busnum`]: String(options.bus ?? 1),
    [`${base}/devnum`]: String(number),
    [`${base}/bDeviceClass`]: options.deviceClass ?? '00',
    [`${base}/speed`]: '12',
    [`dev/bus/usb/${three(options.bus ?? 1)}/${three(number)}`]: '',
  };
  if (names) {
    tree[`${base}/manufacturer`] = names[0];
    tree[`${base}/product`] = names[1];
  }
  interfaces.forEach(([bInterfaceClass, driver, tty], i) => {
    const folder = `${base}:1.${i}`;
    tree[`${folder}/bInterfaceClass`] = bInterfaceClass;
    if (driver !== '') tree[`${folder}/driver`] = `-> ../../../../bus/usb/drivers/${driver}`;
    if (tty.startsWith('ttyUSB')) tree[`${folder}/${tty}/port_number`] = '0';
    if (tty.startsWith('ttyACM')) tree[`${folder}/tty/${tty}/dev`] = '166:0';
    if (tty === 'net') tree[`${folder}/net/eth1/address`] = '02:00:00:00:00:01';
    if (tty.startsWith('tty')) tree[`dev/${tty}`] = '';
    if (tty.startsWith('tty') && byId) tree[`dev/serial/by-id/${byId}`] = `-> ../../${tty}`;
  });
  return tree;
}
