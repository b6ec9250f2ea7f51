import { isDeepStrictEqual } from 'node:util';
import type { DeviceProvider, DeviceReservation } from '../plugin/sdk/device.js';
import type { DeviceGroupStats } from '../structs/device-stats.js';
import type { NodeDeviceResource } from '../structs/node.js';
import type { AllocatedDevice } from '../structs/resources.js';
import { devicesProblem } from '../structs/validate/hardware.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import { deviceStats } from './device-stats.js';
import { sleep, type Timers } from './timers.js';

/** The node is told to the servers without the devices of a provider that needs longer for its first answer. */
const PATIENCE_MS: Millis = 200;
/** A provider that has not answered by then has failed; it is not asked again before it has. */
const ANSWER_MAX_MS: Millis = 45_000;
/** A task that is about to start waits so long for a provider's first answer. */
const RESERVE_WAIT_MS: Millis = 30_000;
/** Between two questions to a provider that fails. */
const FAILING_PERIOD_MAX_MS: Millis = 10 * 60_000;
/** Whoever asks for figures waits no longer for a provider that hangs. */
const STATS_MAX_MS: Millis = 5000;
/** Figures are not asked for again within so long: many may watch. */
const STATS_FRESH_MS: Millis = 2000;

export interface DevicesOptions {
  providers: Readonly<Record<string, DeviceProvider>>;
  timers: Timers;
  log: Log;
  /** Hears that the devices are not what they were. */
  onChange: () => void;
}

/** What is known of one provider. */
interface Provided {
  readonly provider: DeviceProvider;
  /** As it last answered; null before its first answer. */
  groups: NodeDeviceResource[] | null;
  /** Why it does not answer now; null when it does. */
  failure: string | null;
  failures: number;
  /** A question that it has not answered yet. */
  asked: Promise<NodeDeviceResource[]> | null;
}

/** Knows the devices of this machine through their providers, hands them to tasks, and says how they do. */
export class Devices {
  private readonly options: DevicesOptions;
  private readonly provided: readonly Provided[];
  private readonly waiting = new Set<() => void>();
  private current: NodeDeviceResource[] = [];
  private stats: { atMs: Millis; figures: Promise<DeviceGroupStats[]> } | null = null;

  constructor(options: DevicesOptions) {
    this.options = options;
    this.provided = Object.values(options.providers).map((provider) => ({
      provider,
      groups: null,
      failure: null,
      failures: 0,
      asked: null,
    }));
  }

  /** For the node: by vendor, type and model; null when there are none. */
  get resources(): NodeDeviceResource[] | null {
    return this.current.length > 0 ? this.current : null;
  }

  /** The first look: settles soon, whatever the providers do. */
  async first(signal: AbortSignal): Promise<void> {
    const patience = new AbortController();
    const looks = this.look();
    await Promise.race([
      looks.then(() => patience.abort()),
      sleep(this.options.timers, PATIENCE_MS, signal, patience.signal),
    ]);
  }

  /** Looks at once, also at what failed the last time. Never rejects. */
  async look(): Promise<void> {
    await Promise.all(this.provided.map((provided) => this.lookAt(provided)));
  }

  /** Looks again and again until `signal` is aborted. */
  async watch(signal: AbortSignal): Promise<void> {
    await Promise.all(
      this.provided.map(async (provided) => {
        while (await sleep(this.options.timers, periodOf(provided), signal)) await this.lookAt(provided, signal);
      }),
    );
  }

  /** What a task needs to use what the scheduler gave it. Throws an Error that says which device is not there, and why. */
  async reserve(devices: readonly AllocatedDevice[], signal: AbortSignal): Promise<DeviceReservation> {
    const all: DeviceReservation = { env: {}, mounts: [], deviceNodes: [], cdiDevices: [] };
    for (const device of devices) {
      const provider = await this.providerOf(device, signal);
      const { MemoryMB, Share } = device;
      const part = MemoryMB === undefined ? undefined : { memoryMb: MemoryMB, share: Share ?? null };
      const { env, mounts, deviceNodes, cdiDevices } = await provider.reserve(device.DeviceIDs, part);
      if (part) env['NOMAD_DEVICE_MEMORY_LIMIT'] = String(part.memoryMb);
      // Two asks of one kind are one list to the task.
      for (const [name, value] of Object.entries(env)) all.env[name] = joined(all.env[name], value);
      all.mounts.push(...mounts);
      all.deviceNodes.push(...deviceNodes);
      all.cdiDevices.push(...cdiDevices);
    }
    return all;
  }

  /** What all devices do now. A provider that does not say leaves its devices out. */
  figures(): Promise<DeviceGroupStats[]> {
    const nowMs = this.options.timers.now();
    if (!this.stats || nowMs - this.stats.atMs > STATS_FRESH_MS) {
      this.stats = { atMs: nowMs, figures: this.readFigures() };
    }
    return this.stats.figures;
  }

  private async readFigures(): Promise<DeviceGroupStats[]> {
    const found = await Promise.all(
      this.provided
        .filter(({ groups, failure }) => (groups ?? []).length > 0 && failure === null)
        .map(async ({ provider, groups }) => {
          const over = new AbortController();
          const late = sleep(this.options.timers, STATS_MAX_MS, over.signal).then(() => ({}));
          const read = provider.stats().catch((error: unknown) => {
            this.options.log.debug('no figures of devices', { provider: provider.name, why: messageOf(error) });
            return {};
          });
          const figures = await Promise.race([read, late]);
          over.abort();
          return deviceStats(groups ?? [], figures);
        }),
    );
    return found.flat();
  }

  private async providerOf(device: AllocatedDevice, signal: AbortSignal): Promise<DeviceProvider> {
    const find = (): Provided | undefined => this.provided.find(({ groups }) => groups?.some((g) => isOf(g, device)));
    const name = `${device.Vendor}/${device.Type}/${device.Name}`;
    if (!find()) await this.firstAnswers(signal);
    const found = find();
    if (!found) throw new Error(`this machine has no device ${name} (any more)`);
    if (found.failure !== null) throw new Error(`the device ${name} cannot be used: ${found.failure}`);
    return found.provider;
  }

  /** Settles when every provider has answered once, or has had its time. */
  private async firstAnswers(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const check = (): void => {
      if (this.provided.every(({ groups, failure }) => groups !== null || failure !== null)) over.abort();
    };
    this.waiting.add(check);
    check();
    if (!over.signal.aborted) await sleep(this.options.timers, RESERVE_WAIT_MS, signal, over.signal);
    this.waiting.delete(check);
  }

  private async lookAt(provided: Provided, signal?: AbortSignal): Promise<void> {
    const { provider } = provided;
    try {
      const groups = await this.ask(provided, signal);
      if (groups === null) return;
      // The servers would refuse the whole node.
      const wrong = devicesProblem(groups);
      if (wrong !== null) throw new Error(`what it says cannot be read: ${wrong}`);
      if (provided.failure !== null) this.options.log.info('devices answer again', { provider: provider.name });
      provided.groups = groups;
      provided.failure = null;
      provided.failures = 0;
    } catch (error) {
      const why = messageOf(error);
      if (provided.failure !== why)
        this.options.log.warn('devices cannot be looked at', { provider: provider.name, why });
      provided.failure = why;
      provided.failures++;
    }
    for (const check of [...this.waiting]) check();
    this.rebuild();
  }

  /** Null when the client ends meanwhile. */
  private async ask(provided: Provided, signal?: AbortSignal): Promise<NodeDeviceResource[] | null> {
    const over = new AbortController();
    provided.asked ??= provided.provider.fingerprint().finally(() => {
      provided.asked = null;
    });
    const signals = signal ? [signal, over.signal] : [over.signal];
    const late = sleep(this.options.timers, ANSWER_MAX_MS, ...signals).then((inTime): null => {
      if (inTime) throw new Error(`no answer for ${ANSWER_MAX_MS / 1000} s`);
      return null;
    });
    return await Promise.race([provided.asked, late]).finally(() => over.abort());
  }

  private rebuild(): void {
    const taken = new Set<string>();
    const next: NodeDeviceResource[] = [];
    for (const { groups, failure, provider } of this.provided) {
      for (const group of groups ?? []) {
        const key = `${group.Vendor}/${group.Type}/${group.Name}`;
        if (taken.has(key)) {
          this.options.log.debug('a device is offered by another provider too', {
            device: key,
            provider: provider.name,
          });
          continue;
        }
        taken.add(key);
        next.push(failure === null ? group : unhealthy(group, failure));
      }
    }
    if (isDeepStrictEqual(next, this.current)) return;
    this.options.log.info('devices', { devices: next.map(describe).join(', ') || 'none' });
    this.current = next;
    this.options.onChange();
  }
}

function periodOf({ provider, failures }: Provided): Millis {
  return Math.max(provider.periodMs, Math.min(FAILING_PERIOD_MAX_MS, provider.periodMs * 2 ** Math.min(failures, 20)));
}

function isOf(group: NodeDeviceResource, { Vendor, Type, Name }: AllocatedDevice): boolean {
  return group.Vendor === Vendor && group.Type === Type && group.Name === Name;
}

/** Its instances take no new tasks, and say why. */
function unhealthy(group: NodeDeviceResource, why: string): NodeDeviceResource {
  const Instances = group.Instances.map((one) => ({ ...one, Healthy: false, HealthDescription: why }));
  return { ...group, Instances };
}

function describe({ Vendor, Type, Name, Instances }: NodeDeviceResource): string {
  const healthy = Instances.filter(({ Healthy }) => Healthy).length;
  const count = healthy === Instances.length ? `${healthy}` : `${healthy} of ${Instances.length} healthy`;
  return `${Vendor}/${Type}/${Name} (${count})`;
}

function joined(before: string | undefined, value: string): string {
  return before === undefined || before === value ? value : `${before},${value}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
