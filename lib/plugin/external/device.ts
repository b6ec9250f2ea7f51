import type { NodeDeviceResource } from '../../structs/node.js';
import { messageOf, type PluginInstance, type PluginSupervisor } from '../go-plugin/supervise.js';
import type { DeviceInstanceStats, DeviceProvider, DeviceReservation, DeviceStat } from '../sdk/device.js';
import { attributeValue, deviceMethod, type PluginFacts, type ProtoAttribute } from './nomad-plugin.js';
import { fromProtoTime, type ProtoTime } from './times.js';

// A device plugin that is a program of its own, behind our contract.

const RESERVE_MS = 60_000;
const FIRST_MS = 5_000;
const STATS_PERIOD_S = 5;
const AGAIN_MS = 5_000;
const AGAIN_MAX_MS = 60_000;

interface ProtoGroup {
  vendor: string;
  device_type: string;
  device_name: string;
  devices: {
    ID: string;
    healthy: boolean;
    health_description: string;
    hw_locality: { pci_bus_id: string } | null;
  }[];
  attributes: Record<string, ProtoAttribute>;
}

interface ProtoStat {
  float_numerator_val: { value: number } | null;
  float_denominator_val: { value: number } | null;
  int_numerator_val: { value: number } | null;
  int_denominator_val: { value: number } | null;
  string_val: { value: string } | null;
  bool_val: { value: boolean } | null;
  unit: string;
  desc: string;
}

interface ProtoStatObject {
  nested: Record<string, ProtoStatObject>;
  attributes: Record<string, ProtoStat>;
}

interface ProtoGroupStats {
  instance_stats: Record<
    string,
    { summary: ProtoStat | null; stats: ProtoStatObject | null; timestamp: ProtoTime | null }
  >;
}

interface ProtoReservation {
  envs: Record<string, string>;
  mounts: { task_path: string; host_path: string; read_only: boolean }[];
  devices: { task_path: string; host_path: string; permissions: string }[];
}

/** Makes the provider of a device plugin; `onUp` is to be called with every new instance of it. */
export class ExternalDevices implements DeviceProvider {
  readonly name: string;
  readonly periodMs = 10_000;
  readonly #supervisor: PluginSupervisor<PluginFacts>;
  #found: Latest<NodeDeviceResource[]> | undefined;
  #stats: Latest<Record<string, DeviceInstanceStats>> | undefined;

  constructor(facts: PluginFacts, supervisor: PluginSupervisor<PluginFacts>) {
    this.name = facts.name;
    this.#supervisor = supervisor;
  }

  async onUp(instance: PluginInstance<PluginFacts>): Promise<void> {
    const { facts } = instance;
    if (facts.kind !== 'device' || facts.name !== this.name) {
      throw new Error(
        `it was device plugin "${this.name}" and calls itself ${facts.kind} "${facts.name}" now; restart the agent`,
      );
    }
    this.#found = new Latest<NodeDeviceResource[]>(instance, 'Fingerprint', {}, (answer) =>
      (answer as { device_group: ProtoGroup[] }).device_group.map(toResource),
    );
    const period = { collection_interval: { seconds: STATS_PERIOD_S, nanos: 0 } };
    this.#stats = new Latest(instance, 'Stats', period, (answer) =>
      toStats((answer as { groups: ProtoGroupStats[] }).groups),
    );
  }

  async fingerprint(): Promise<NodeDeviceResource[]> {
    if (!(await this.#supervisor.checkOrWait(FIRST_MS))) {
      throw new Error(this.#supervisor.problem ?? `device plugin ${this.name} is being started`);
    }
    const found = await this.#found?.get();
    if (!found) throw new Error(`device plugin ${this.name} has not said which devices there are`);
    return found;
  }

  async reserve(deviceIds: readonly string[]): Promise<DeviceReservation> {
    const { container_res: found } = await this.#supervisor.use(({ connection }) =>
      connection.call<{ container_res: ProtoReservation | null }>(
        deviceMethod('Reserve'),
        { device_ids: deviceIds },
        { timeoutMs: RESERVE_MS },
      ),
    );
    return {
      env: found?.envs ?? {},
      mounts: (found?.mounts ?? []).map(({ task_path, host_path, read_only }) => ({
        taskPath: task_path,
        hostPath: host_path,
        readOnly: read_only,
        propagation: 'private',
      })),
      deviceNodes: (found?.devices ?? []).map(({ task_path, host_path, permissions }) => ({
        taskPath: task_path,
        hostPath: host_path,
        permissions,
      })),
      cdiDevices: [],
    };
  }

  async stats(): Promise<Record<string, DeviceInstanceStats>> {
    return (await this.#stats?.get()) ?? {};
  }

  close(): Promise<void> {
    return this.#supervisor.close('end');
  }
}

/** The newest message of a stream of one instance; the stream is opened when it is first asked for. */
class Latest<T> {
  readonly #follow: () => Promise<void>;
  readonly #first: Promise<void>;
  #wake: () => void = () => {};
  #value: T | undefined;
  #isOpen = false;
  #problem: Error | undefined;

  constructor(
    { connection, signal }: PluginInstance<unknown>,
    name: string,
    request: object,
    read: (answer: object) => T,
  ) {
    this.#first = new Promise((resolve) => {
      this.#wake = resolve;
    });
    this.#follow = async () => {
      for (let againMs = AGAIN_MS; !signal.aborted; againMs = Math.min(2 * againMs, AGAIN_MAX_MS)) {
        try {
          const stream = await connection.stream<object>(deviceMethod(name), request, signal);
          stream.on('error', () => {});
          for await (const answer of stream) {
            againMs = AGAIN_MS;
            this.#value = read(answer);
            this.#problem = undefined;
            this.#wake();
          }
        } catch (error) {
          this.#problem = new Error(messageOf(error));
          this.#wake();
        }
        await new Promise<void>((resolve) => setTimeout(resolve, againMs).unref());
      }
    };
  }

  async get(): Promise<T | undefined> {
    if (!this.#isOpen) {
      this.#isOpen = true;
      void this.#follow();
    }
    const timeout = new AbortController();
    await Promise.race([
      this.#first,
      new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, FIRST_MS);
        timeout.signal.addEventListener('abort', () => clearTimeout(timer));
      }),
    ]);
    timeout.abort();
    if (this.#problem) throw this.#problem;
    return this.#value;
  }
}

function toResource(group: ProtoGroup): NodeDeviceResource {
  return {
    Vendor: group.vendor,
    Type: group.device_type,
    Name: group.device_name,
    Instances: group.devices.map(({ ID, healthy, health_description, hw_locality }) => ({
      ID,
      Healthy: healthy,
      HealthDescription: health_description,
      Locality: hw_locality && hw_locality.pci_bus_id !== '' ? { PciBusID: hw_locality.pci_bus_id } : null,
    })),
    Attributes: Object.fromEntries(
      Object.entries(group.attributes).flatMap(([name, attribute]) => {
        const value = toAttribute(attribute);
        return value ? [[name, value]] : [];
      }),
    ),
  };
}

function toAttribute(attribute: ProtoAttribute): NonNullable<NodeDeviceResource['Attributes']>[string] | undefined {
  const value = attributeValue(attribute);
  const unit = attribute.unit === '' ? {} : { Unit: attribute.unit };
  if (typeof value === 'string') return { String: value, ...unit };
  if (typeof value === 'boolean') return { Bool: value, ...unit };
  if (value === undefined) return undefined;
  return attribute.value === 'float_val' ? { Float: value, ...unit } : { Int: value, ...unit };
}

function toStats(groups: ProtoGroupStats[]): Record<string, DeviceInstanceStats> {
  const found: Record<string, DeviceInstanceStats> = {};
  for (const { instance_stats } of groups) {
    for (const [id, { summary, stats, timestamp }] of Object.entries(instance_stats)) {
      const told = summary && toStat(summary);
      if (!told) continue;
      found[id] = {
        summary: told,
        stats: flatten(stats, ''),
        timestamp: new Date(fromProtoTime(timestamp)).toISOString(),
      };
    }
  }
  return found;
}

const NESTED_MAX = 8;

/** Figures within figures get names such as "memory.used". */
function flatten(object: ProtoStatObject | null, prefix: string, depth = 0): Record<string, DeviceStat> {
  if (!object || depth > NESTED_MAX) return {};
  const found: Record<string, DeviceStat> = {};
  for (const [name, stat] of Object.entries(object.attributes)) {
    const told = toStat(stat);
    if (told) found[`${prefix}${name}`] = told;
  }
  for (const [name, inner] of Object.entries(object.nested)) {
    Object.assign(found, flatten(inner, `${prefix}${name}.`, depth + 1));
  }
  return found;
}

function toStat(stat: ProtoStat): DeviceStat | undefined {
  const rest = { unit: stat.unit, description: stat.desc };
  const { int_numerator_val: int, float_numerator_val: float } = stat;
  if (int) return { value: { int: int.value, ...whole(stat.int_denominator_val) }, ...rest };
  if (float) return { value: { float: float.value, ...whole(stat.float_denominator_val) }, ...rest };
  if (stat.string_val) return { value: { text: stat.string_val.value }, ...rest };
  return stat.bool_val ? { value: { bool: stat.bool_val.value }, ...rest } : undefined;
}

/** What a figure is a part of. */
function whole(value: { value: number } | null): { of?: number } {
  return value ? { of: value.value } : {};
}
