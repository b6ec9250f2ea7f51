import type { NodeDeviceResource } from '../../structs/node.js';
import type { Millis } from '../../util/clock.js';
import type { ConfigProblem, DriverOptions, TaskDevice, TaskMount } from './driver.js';

/** What a task needs to use the devices that were reserved for it. */
export interface DeviceReservation {
  env: Record<string, string>;
  mounts: TaskMount[];
  deviceNodes: TaskDevice[];
  /** Names for engines that know the Container Device Interface. */
  cdiDevices: string[];
}

/** What a task may use of each instance that it shares with others. */
export interface DevicePart {
  memoryMb: number;
  /** Percent of it, where the job says so. */
  share: number | null;
}

/** One figure of a device, as Nomad's `node status -stats` shows it; `of` is what it is a part of ("2 / 16384 MiB"). */
export interface DeviceStat {
  value: { int: number; of?: number } | { float: number; of?: number } | { text: string } | { bool: boolean };
  /** "MiB", "W", "C", … */
  unit: string;
  description: string;
}

/** The figures of one device. */
export interface DeviceInstanceStats {
  /** The most telling one. */
  summary: DeviceStat;
  stats: Record<string, DeviceStat>;
  /** RFC 3339. */
  timestamp: string;
}

/** The devices of one kind on this machine, running. */
export interface DeviceProvider {
  readonly name: string;
  /** Ask it again after so long; what can be plugged in and out is cheap to ask and asked often. */
  readonly periodMs: Millis;
  /**
   * What there is now, by vendor, type and model. [] when there is none. Throws with a reason when it cannot be told
   * (a hanging tool): the last answer then holds, its instances unhealthy.
   */
  fingerprint(): Promise<NodeDeviceResource[]>;
  /** What a task needs to use these instances, or its `part` of each. Throws when one of them is not there (any more). */
  reserve(deviceIds: readonly string[], part?: DevicePart): Promise<DeviceReservation>;
  /** Figures by instance id; an id without figures is left out. */
  stats(): Promise<Record<string, DeviceInstanceStats>>;
  /** Lets go of timers and processes. */
  close(): Promise<void>;
}

/** A device package's default export. `options` is the agent's config of `plugin "name"`. */
export interface DevicePlugin {
  /** What the plugin of a package is; a bundled one need not say it. */
  readonly kind?: 'device';
  readonly name: string;
  /** Checks the agent's plugin config; returns the problems. Pure. */
  configProblems(config: Record<string, unknown>): ConfigProblem[];
  create(options: DriverOptions): DeviceProvider;
}
