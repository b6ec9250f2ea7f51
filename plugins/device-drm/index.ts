import { bool, type Decoded, decodeFields, durationMs, list, text } from '../../lib/plugin/sdk/config-schema.js';
import type {
  DeviceInstanceStats,
  DevicePlugin,
  DeviceProvider,
  DeviceReservation,
} from '../../lib/plugin/sdk/device.js';
import type { DriverOptions } from '../../lib/plugin/sdk/driver.js';
import { groupDevices } from '../../lib/plugin/sdk/group-devices.js';
import { HostFiles } from '../../lib/plugin/sdk/host-files.js';
import type { NodeDeviceResource } from '../../lib/structs/node.js';
import type { Millis } from '../../lib/util/clock.js';
import type { Card } from './cards.js';

const FIELDS = {
  enabled: bool(true),
  /** Ids of cards (PCI addresses) that are not to be given out. */
  ignored_ids: list(text()),
  fingerprint_period: durationMs(60_000),
  /** Below which folder /sys and /dev of the machine are seen: a container may have them under /host. */
  root: text('/'),
};

/** GPUs of AMD, Intel and small boards, NPUs, and Coral's TPUs on PCIe, as the kernel shows them. */
const plugin: DevicePlugin = {
  name: 'drm',
  configProblems(config) {
    const decoded = decodeFields(FIELDS, config);
    return 'problems' in decoded ? decoded.problems : [];
  },
  create: (options) => new DrmProvider(options),
};
export default plugin;

class DrmProvider implements DeviceProvider {
  readonly name = 'drm';
  readonly periodMs: Millis;
  readonly #config: Decoded<typeof FIELDS>;
  readonly #host: HostFiles;
  #cards: readonly Card[] = [];

  constructor(options: DriverOptions) {
    const decoded = decodeFields(FIELDS, options.config);
    if ('problems' in decoded) throw new Error('the config was not checked');
    this.#config = decoded.config;
    this.periodMs = decoded.config.fingerprint_period;
    this.#host = new HostFiles(decoded.config.root);
  }

  async fingerprint(): Promise<NodeDeviceResource[]> {
    const { findCards, hasCards } = await import('./cards.js');
    const found = (await hasCards(this.#host)) ? await findCards(this.#host) : [];
    // Only when all are known: a task that starts meanwhile needs its card.
    this.#cards = found.filter(({ id }) => !this.#config.ignored_ids.includes(id));
    const described = this.#cards.map(async ({ id, vendor, type, model, pciBusId, nodes, attributes }) => {
      const isThere = nodes[0] !== undefined && (await this.#host.exists(nodes[0]));
      return {
        vendor,
        type,
        model,
        attributes,
        instance: {
          ID: id,
          Healthy: isThere,
          HealthDescription: isThere ? '' : `its device node ${nodes[0]} is missing`,
          Locality: pciBusId === null ? null : { PciBusID: pciBusId },
        },
      };
    });
    return groupDevices(await Promise.all(described));
  }

  async reserve(deviceIds: readonly string[]): Promise<DeviceReservation> {
    const deviceNodes = new Map<string, DeviceReservation['deviceNodes'][number]>();
    const own: Card[] = [];
    for (const id of deviceIds) {
      const card = this.#cards.find((one) => one.id === id);
      if (!card) throw new Error(`there is no card ${id} on this machine (any more)`);
      for (const path of card.nodes) {
        const node = await this.#host.deviceNode(path);
        if (node) deviceNodes.set(path, node);
        else if (path === card.nodes[0]) throw new Error(`the device node ${path} of card ${id} is missing`);
      }
      own.push(card);
    }
    // Programs take the first card they find, unless they are told: these are the nodes of this task's own.
    const env: Record<string, string> = { DRM_DEVICES: own.flatMap(({ nodes }) => nodes[0] ?? []).join(',') };
    const rocm = own.flatMap(({ rocmId }) => rocmId ?? []);
    if (rocm.length > 0) env['ROCR_VISIBLE_DEVICES'] = rocm.join(',');
    return { env, mounts: [], deviceNodes: [...deviceNodes.values()], cdiDevices: [] };
  }

  async stats(): Promise<Record<string, DeviceInstanceStats>> {
    if (this.#cards.length === 0) return {};
    const { figuresOf } = await import('./figures.js');
    const timestamp = new Date().toISOString();
    const read = this.#cards.map(async (card) => [card.id, await figuresOf(card, this.#host, timestamp)] as const);
    return Object.fromEntries(
      (await Promise.all(read)).filter((entry): entry is [string, DeviceInstanceStats] => entry[1] !== null),
    );
  }

  async close(): Promise<void> {}
}
