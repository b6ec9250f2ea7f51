import { setTimeout as sleep } from 'node:timers/promises';
import { bool, type Decoded, decodeFields, durationMs, list, text } from '../../lib/plugin/sdk/config-schema.js';
import type {
  DeviceInstanceStats,
  DevicePlugin,
  DeviceProvider,
  DeviceReservation,
} from '../../lib/plugin/sdk/device.js';
import type { ConfigProblem, DriverOptions, TaskDevice } from '../../lib/plugin/sdk/driver.js';
import { groupDevices } from '../../lib/plugin/sdk/group-devices.js';
import { HostFiles } from '../../lib/plugin/sdk/host-files.js';
import type { NodeDeviceResource } from '../../lib/structs/node.js';
import type { Millis } from '../../lib/util/clock.js';
import { busState, type UsbDevice, usbDevices } from './bus.js';

const FIELDS = {
  enabled: bool(true),
  /** Ids ("10c4:ea60") or makers ("10c4") to give out although they would be left to the machine. */
  include: list(text()),
  /** Those never to give out. */
  exclude: list(text()),
  fingerprint_period: durationMs(3000),
  /** Below which folder /sys and /dev of the machine are seen: a container may have them under /host. */
  root: text('/'),
};

/** What is plugged in is looked at when nothing has changed for so long: its name in /dev/serial/by-id is the last that comes. */
const QUIET_MS: Millis = 300;
/** A device that comes and goes all the time is looked at all the same. */
const QUIET_LOOKS_MAX = 10;

/** USB devices: serial lines (Zigbee and Z-Wave sticks, meters), Coral's TPU, and others that nobody at the machine uses. */
const plugin: DevicePlugin = {
  name: 'usb',
  configProblems: problemsOf,
  create: (options) => new UsbProvider(options),
};
export default plugin;

function problemsOf(config: Record<string, unknown>): ConfigProblem[] {
  const decoded = decodeFields(FIELDS, config);
  if ('problems' in decoded) return decoded.problems;
  return (['include', 'exclude'] as const).flatMap((path) =>
    decoded.config[path]
      .filter((id) => !/^[0-9a-f]{4}(:[0-9a-f]{4})?$/i.test(id))
      .map((id) => ({ path, message: `must hold ids such as "10c4:ea60" or "10c4", not "${id}"` })),
  );
}

class UsbProvider implements DeviceProvider {
  readonly name = 'usb';
  readonly periodMs: Millis;
  readonly #config: Decoded<typeof FIELDS>;
  readonly #host: HostFiles;
  /** Null before the first look. */
  #state: string | null = null;
  #groups: NodeDeviceResource[] = [];
  #devices: ReadonlyMap<string, UsbDevice> = new Map();

  constructor(options: DriverOptions) {
    const decoded = decodeFields(FIELDS, options.config);
    if ('problems' in decoded) throw new Error('the config was not checked');
    this.#config = decoded.config;
    this.periodMs = decoded.config.fingerprint_period;
    this.#host = new HostFiles(decoded.config.root);
  }

  async fingerprint(): Promise<NodeDeviceResource[]> {
    const state = await this.#quietState();
    if (state !== this.#state) {
      const { offered } = await import('./offer.js');
      const found = offered(await usbDevices(this.#host), this.#config);
      this.#devices = new Map(found.map(({ device, instance }) => [instance.ID, device]));
      this.#groups = groupDevices(found);
      this.#state = state;
    }
    return this.#groups;
  }

  /** The bus as it is; after a change, as it is once all that belongs to it has come. At the start nothing is waited for. */
  async #quietState(): Promise<string> {
    let state = await busState(this.#host);
    if (this.#state === null) return state;
    for (let i = 0; i < QUIET_LOOKS_MAX && state !== this.#state; i++) {
      await sleep(QUIET_MS);
      const before = state;
      state = await busState(this.#host);
      if (state === before) break;
    }
    return state;
  }

  async reserve(deviceIds: readonly string[]): Promise<DeviceReservation> {
    // It may have been plugged into another port since.
    await this.fingerprint();
    const deviceNodes: TaskDevice[] = [];
    const lines: string[] = [];
    const nodes: string[] = [];
    for (const id of deviceIds) {
      const device = this.#devices.get(id);
      if (!device) throw new Error(`the USB device ${id} is not plugged in (any more)`);
      for (const { path, byId } of device.lines) {
        for (const taskPath of byId === null ? [path] : [path, byId]) {
          const node = await this.#host.deviceNode(path, taskPath);
          if (node) deviceNodes.push(node);
        }
        lines.push(byId ?? path);
      }
      const node = await this.#host.deviceNode(device.node);
      if (node) deviceNodes.push(node);
      nodes.push(device.node);
    }
    const env: Record<string, string> = { USB_DEVICES: nodes.join(',') };
    if (lines.length > 0) env['SERIAL_DEVICES'] = lines.join(',');
    return { env, mounts: [], deviceNodes, cdiDevices: [] };
  }

  async stats(): Promise<Record<string, DeviceInstanceStats>> {
    return {};
  }

  async close(): Promise<void> {}
}
