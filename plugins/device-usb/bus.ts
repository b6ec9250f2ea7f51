import type { HostFiles } from '../../lib/plugin/sdk/host-files.js';

const BUS = '/sys/bus/usb/devices';
const BY_ID = '/dev/serial/by-id';

/** A device on the USB, as the kernel knows it. */
export interface UsbDevice {
  /** Where it is plugged in: "1-1.4". */
  readonly port: string;
  /** "10c4:ea60". */
  readonly usbId: string;
  readonly manufacturer: string;
  readonly product: string;
  /** Of the device and its interfaces, two hexadecimal digits each: "ff", "03", … */
  readonly classes: readonly string[];
  /** /dev/bus/usb/BUS/DEVICE. */
  readonly node: string;
  /** MBit/s. */
  readonly speed: number | null;
  /** Kernel drivers of its interfaces. */
  readonly drivers: readonly string[];
  /** Its serial lines: "/dev/ttyUSB0", and the name that stays ("/dev/serial/by-id/…") if there is one. */
  readonly lines: readonly { path: string; byId: string | null }[];
  /** It is a network card, or holds a disk: the machine itself uses it. */
  readonly isTaken: boolean;
}

/**
 * What changes when something is plugged in or out: cheap to ask for. What interfaces hold is part of it: their drivers, and the lines and
 * network cards these make, come up to seconds after the device.
 */
export async function busState(host: HostFiles): Promise<string> {
  const names = await host.names(BUS);
  const states = names.map(async (name): Promise<string> => {
    if (isDevice(name)) return `${name}=${await host.text(`${BUS}/${name}/devnum`)}`;
    return name.includes(':') ? `${name}=${await host.names(`${BUS}/${name}`)}` : '';
  });
  return [...(await Promise.all(states)), ...(await host.names(BY_ID))].join();
}

/** All devices but hubs, in the order of their ports. */
export async function usbDevices(host: HostFiles): Promise<UsbDevice[]> {
  const names = await host.names(BUS);
  const byId = new Map<string, string>();
  for (const name of await host.names(BY_ID)) {
    const line = await host.linkName(`${BY_ID}/${name}`);
    if (line !== null) byId.set(line, `${BY_ID}/${name}`);
  }
  const found = await Promise.all(
    names.filter(isDevice).map((port) =>
      readDevice(
        host,
        port,
        names.filter((name) => name.startsWith(`${port}:`)),
        byId,
      ),
    ),
  );
  return found.filter((device) => device !== null);
}

/** "1-1.4"; an interface is "1-1.4:1.0", a root hub "usb1". */
function isDevice(name: string): boolean {
  return /^\d+-\d+(\.\d+)*$/.test(name);
}

async function readDevice(
  host: HostFiles,
  port: string,
  interfaces: readonly string[],
  byId: ReadonlyMap<string, string>,
): Promise<UsbDevice | null> {
  const text = (name: string): Promise<string | null> => host.text(`${BUS}/${port}/${name}`);
  const [vendor, product, bus, number] = await Promise.all(['idVendor', 'idProduct', 'busnum', 'devnum'].map(text));
  // It may be pulled out while it is read.
  if (!vendor || !product || !bus || !number) return null;
  const own = (await text('bDeviceClass')) ?? '00';
  if (own === '09') return null;
  const classes = new Set<string>(own === '00' ? [] : [own]);
  const drivers = new Set<string>();
  const lines: { path: string; byId: string | null }[] = [];
  let isTaken = false;
  for (const name of interfaces) {
    const folder = `${BUS}/${name}`;
    classes.add((await host.text(`${folder}/bInterfaceClass`)) ?? '00');
    const driver = await host.linkName(`${folder}/driver`);
    if (driver !== null) drivers.add(driver);
    const inside = await host.names(folder);
    isTaken ||= inside.includes('net') || driver === 'usb-storage' || driver === 'uas';
    const ttys = [...inside, ...(await host.names(`${folder}/tty`))].filter((one) => /^tty(USB|ACM)\d+$/.test(one));
    for (const tty of ttys) lines.push({ path: `/dev/${tty}`, byId: byId.get(tty) ?? null });
  }
  const three = (value: string): string => value.padStart(3, '0');
  return {
    port,
    usbId: `${vendor}:${product}`.toLowerCase(),
    manufacturer: (await text('manufacturer')) ?? '',
    product: (await text('product')) ?? '',
    classes: [...classes],
    node: `/dev/bus/usb/${three(bus)}/${three(number)}`,
    speed: await host.number(`${BUS}/${port}/speed`),
    drivers: [...drivers],
    lines,
    isTaken,
  };
}
