import { bool, type Decoded, decodeFields, durationMs, list, text } from '../../lib/plugin/sdk/config-schema.js';
import type {
  DeviceInstanceStats,
  DevicePart,
  DevicePlugin,
  DeviceProvider,
  DeviceReservation,
} from '../../lib/plugin/sdk/device.js';
import type { DriverOptions } from '../../lib/plugin/sdk/driver.js';
import { HostFiles } from '../../lib/plugin/sdk/host-files.js';
import type { NodeDeviceResource } from '../../lib/structs/node.js';
import type { Millis } from '../../lib/util/clock.js';
import type { NvidiaInstance } from './instances.js';
import { hasDriver, kernelReport, nvidiaCards } from './kernel.js';
import type { Report } from './report.js';
import { NvidiaSmi } from './smi.js';

const FIELDS = {
  enabled: bool(true),
  /** UUIDs of GPUs, or of parts of them, that are not to be given out. */
  ignored_gpu_ids: list(text()),
  fingerprint_period: durationMs(60_000),
  /** Where nvidia-smi lies; '' = on the PATH or where systems put it. */
  nvidia_smi: text(),
  /** nvidia-smi is ended after so long. Without persistence mode a driver needs seconds to wake all cards of a machine. */
  query_timeout: durationMs(15_000),
  /** Below which folder /sys, /proc and /dev of the machine are seen: a container may have them under /host. */
  root: text('/'),
};

/** NVIDIA GPUs, whole or in parts (MIG), under the names of Nomad's own plugin. */
const plugin: DevicePlugin = {
  name: 'nvidia',
  configProblems(config) {
    const decoded = decodeFields(FIELDS, config);
    return 'problems' in decoded ? decoded.problems : [];
  },
  create: (options) => new NvidiaProvider(options),
};
export default plugin;

class NvidiaProvider implements DeviceProvider {
  readonly name = 'nvidia';
  readonly periodMs: Millis;
  readonly #config: Decoded<typeof FIELDS>;
  readonly #log: DriverOptions['log'];
  readonly #host: HostFiles;
  readonly #smi: NvidiaSmi;
  #instances: readonly NvidiaInstance[] = [];
  #told = '';
  /** What others know of the memory of cards, asked when there were those at these addresses. */
  #memory: { of: string; found: ReadonlyMap<string, number> } | null = null;

  constructor(options: DriverOptions) {
    const decoded = decodeFields(FIELDS, options.config);
    if ('problems' in decoded) throw new Error('the config was not checked');
    this.#config = decoded.config;
    this.periodMs = decoded.config.fingerprint_period;
    this.#log = options.log;
    this.#host = new HostFiles(decoded.config.root);
    this.#smi = new NvidiaSmi(decoded.config.nvidia_smi, decoded.config.query_timeout);
  }

  async fingerprint(): Promise<NodeDeviceResource[]> {
    const report = await this.#report();
    if (!report) {
      this.#instances = [];
      return [];
    }
    const { groupsOf, instancesOf } = await import('./instances.js');
    const ignored = new Set(this.#config.ignored_gpu_ids);
    this.#instances = instancesOf(report, await this.#listing(report)).filter(
      ({ id, gpu }) => !ignored.has(id) && !ignored.has(gpu.uuid),
    );
    return groupsOf(this.#instances);
  }

  async reserve(deviceIds: readonly string[], part?: DevicePart): Promise<DeviceReservation> {
    const chosen = deviceIds.flatMap((id) => this.#instances.find((instance) => instance.id === id) ?? []);
    const missing = deviceIds.filter((id) => !chosen.some((instance) => instance.id === id));
    if (missing.length > 0)
      throw new Error(`there is no NVIDIA device ${missing.join(', ')} on this machine (any more)`);
    const { reservationOf } = await import('./reserve.js');
    return await reservationOf(chosen, part ?? null, this.#host);
  }

  async stats(): Promise<Record<string, DeviceInstanceStats>> {
    if (this.#instances.length === 0) return {};
    const report = await this.#report();
    if (!report) return {};
    const { instancesOf } = await import('./instances.js');
    const { figuresOf } = await import('./figures.js');
    const timestamp = new Date().toISOString();
    const ours = new Set(this.#instances.map(({ id }) => id));
    const now = instancesOf(report, await this.#listing(report)).filter(({ id }) => ours.has(id));
    return Object.fromEntries(now.map((instance) => [instance.id, figuresOf(instance, timestamp)]));
  }

  async close(): Promise<void> {
    this.#smi.close();
  }

  /** Null on a machine without NVIDIA's hardware or driver: nothing of what reads reports is loaded there. */
  async #report(): Promise<Report | null> {
    const program = await this.#smi.find();
    if (program === null) return await this.#fromKernel();
    const { parseReport } = await import('./report.js');
    const report = parseReport(await this.#smi.run(program, ['-q', '-x']));
    if (!report.ok) throw new Error(report.error);
    return report.value;
  }

  /** Names of parts cost a second question, which is asked only where there are parts. */
  async #listing(report: Report) {
    const { parseListing } = await import('./listing.js');
    const program = report.gpus.some(({ parts }) => parts.length > 0) ? await this.#smi.find() : null;
    return parseListing(program === null ? '' : await this.#smi.run(program, ['-L']));
  }

  async #fromKernel(): Promise<Report | null> {
    const cards = await nvidiaCards(this.#host);
    if (!(await hasDriver(this.#host))) {
      if (cards.length > 0) this.#tellOnce(`no NVIDIA driver is loaded for ${cards.join(', ')}`);
      return null;
    }
    this.#tellOnce('no nvidia-smi is found: temperature, power and use of the NVIDIA cards stay unknown');
    // Asked once for the same cards: three programs are run for it.
    if (!this.#memory || this.#memory.of !== cards.join()) {
      const { memoryByModel } = await import('./second-source.js');
      this.#memory = { of: cards.join(), found: await memoryByModel() };
    }
    return await kernelReport(this.#host, this.#memory.found);
  }

  #tellOnce(message: string): void {
    if (this.#told === message) return;
    this.#told = message;
    this.#log('warn', message);
  }
}
