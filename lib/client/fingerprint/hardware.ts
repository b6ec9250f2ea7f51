import { platform } from 'node:os';
import { HostFiles } from '../../plugin/sdk/host-files.js';
import type { Facts, Fingerprint } from './fact.js';

const DMI = '/sys/class/dmi/id';
const POWER = '/sys/class/power_supply';

/** What machine this is, and what feeds it: for constraints such as "not on battery". */
export const hardwareFingerprint: Fingerprint = {
  name: 'hardware',
  periodMs: 30_000,
  slow: true,
  async run(): Promise<Facts> {
    if (platform() !== 'linux') return await otherHardware();
    const host = new HostFiles();
    // What the machine is stays: only what feeds it is looked at again and again.
    machine ??= await linuxMachine(host);
    return { attributes: { ...machine, ...(await linuxPower(host)) } };
  },
};

let machine: Record<string, string> | undefined;

/** What Linux says of the machine; firmware is files. */
export async function linuxMachine(host: HostFiles): Promise<Record<string, string>> {
  const manufacturer = await host.text(`${DMI}/sys_vendor`);
  const model = (await host.text(`${DMI}/product_name`)) ?? (await host.text('/proc/device-tree/model'));
  return {
    'hardware.virtual': String(await isVirtual(host, `${manufacturer} ${model}`)),
    ...named('hardware.manufacturer', manufacturer),
    ...named('hardware.model', model),
  };
}

/** Where there are no such files, systeminformation asks the system's own tools: loaded there alone. */
async function otherHardware(): Promise<Facts> {
  const { default: asked } = await import('systeminformation');
  const [system, battery] = await Promise.all([asked.system(), asked.battery()]);
  return {
    attributes: {
      'hardware.virtual': String(system.virtual),
      ...named('hardware.manufacturer', system.manufacturer),
      ...named('hardware.model', system.model),
      'power.source': battery.hasBattery && !battery.acConnected ? 'battery' : 'mains',
      'power.battery': String(battery.hasBattery),
    },
  };
}

const VIRTUAL_MAKERS =
  /qemu|kvm|vmware|virtualbox|innotek|xen|bochs|parallels|virtual machine|amazon ec2|google compute/i;

async function isVirtual(host: HostFiles, maker: string): Promise<boolean> {
  if (VIRTUAL_MAKERS.test(maker)) return true;
  if (await host.exists('/sys/hypervisor/type')) return true;
  return /^flags\s*:.*\bhypervisor\b/m.test((await host.text('/proc/cpuinfo')) ?? '');
}

/**
 * Which of them feeds the machine. A supply of its own for a mouse has the scope "Device"; a machine whose battery does not
 * discharge hangs on something, also when no adapter is named (USB-C, a charging dock).
 */
export async function linuxPower(host: HostFiles): Promise<Record<string, string>> {
  let hasBattery = false;
  let discharges = false;
  let hasMains = false;
  for (const name of await host.names(POWER)) {
    const folder = `${POWER}/${name}`;
    const type = await host.text(`${folder}/type`);
    if ((await host.text(`${folder}/scope`)) === 'Device') continue;
    if (type === 'Battery' && (await host.number(`${folder}/present`)) !== 0) {
      hasBattery = true;
      discharges ||= (await host.text(`${folder}/status`)) === 'Discharging';
    } else if (type === 'Mains' || type === 'USB') {
      hasMains ||= (await host.number(`${folder}/online`)) === 1;
    }
  }
  return {
    'power.source': discharges && !hasMains ? 'battery' : 'mains',
    'power.battery': String(hasBattery),
  };
}

// Boards whose maker filled nothing in say so in many ways.
const NOTHING = /^(-|unknown|none|default string|not specified|to be filled|system (product|manufacturer)|o\.e\.m)/i;

function named(key: string, text: string | null): Record<string, string> {
  // Device trees end their texts with a zero byte.
  const plain = (text ?? '').replace(/[^\x20-\x7e]/g, '').trim();
  return plain === '' || NOTHING.test(plain) ? {} : { [key]: plain };
}
