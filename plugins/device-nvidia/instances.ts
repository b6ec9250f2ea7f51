import { groupDevices } from '../../lib/plugin/sdk/group-devices.js';
import type { NodeDeviceResource } from '../../lib/structs/node.js';
import type { ListedPart } from './listing.js';
import type { Gpu, MigPart, Report } from './report.js';

type Attributes = NonNullable<NodeDeviceResource['Attributes']>;

/** One thing that a task can have: a whole GPU, or a part of one. */
export interface NvidiaInstance {
  readonly id: string;
  readonly model: string;
  readonly gpu: Gpu;
  readonly part: MigPart | null;
  readonly attributes: Attributes;
}

/** MB/s of one lane, by generation. */
const LANE_MB_PER_S = [0, 250, 500, 985, 1969, 3938, 7563];

/**
 * What there is to give out. Attributes and names are those of Nomad's NVIDIA plugin; `cuda_version`, `architecture`,
 * `compute_mode` and `mig_*` are ours. A GPU that is partitioned stands for its parts: with none, it offers nothing.
 */
export function instancesOf(report: Report, listing: ReadonlyMap<string, readonly ListedPart[]>): NvidiaInstance[] {
  return report.gpus.flatMap((gpu): NvidiaInstance[] => {
    const common = commonAttributes(report, gpu);
    if (!gpu.isPartitioned) {
      return [{ id: gpu.uuid, model: gpu.model, gpu, part: null, attributes: { ...common, ...wholeAttributes(gpu) } }];
    }
    const listed = listing.get(gpu.uuid) ?? [];
    return gpu.parts.map((part, i) => {
      const profile = listed[i]?.profile ?? null;
      return {
        id: part.uuid ?? listed[i]?.uuid ?? `MIG-${gpu.uuid}/${part.gpuInstance}/${part.computeInstance}`,
        model: `${gpu.model} MIG ${profile ?? `${part.memoryMiB ?? 0} MiB`}`,
        gpu,
        part,
        attributes: { ...common, ...partAttributes(part, profile) },
      };
    });
  });
}

/** As the node has them. */
export function groupsOf(instances: readonly NvidiaInstance[]): NodeDeviceResource[] {
  return groupDevices(
    instances.map(({ id, model, gpu, attributes }) => ({
      vendor: 'nvidia',
      type: 'gpu',
      model,
      attributes,
      instance: {
        ID: id,
        Healthy: gpu.trouble === null,
        HealthDescription: gpu.trouble ?? '',
        Locality: gpu.pciBusId === null ? null : { PciBusID: gpu.pciBusId },
      },
    })),
  );
}

function commonAttributes({ driverVersion, cudaVersion }: Report, gpu: Gpu): Attributes {
  return {
    driver_version: { String: driverVersion },
    ...text('cuda_version', cudaVersion),
    ...text('architecture', gpu.architecture),
    ...text('compute_mode', gpu.computeMode),
    persistence_mode: { String: gpu.persistenceMode },
  };
}

function wholeAttributes(gpu: Gpu): Attributes {
  const lane = LANE_MB_PER_S[gpu.linkGen ?? 0] ?? 0;
  const bandwidth = lane * (gpu.linkWidth ?? 0);
  return {
    display_state: { String: gpu.displayState },
    ...amount('memory', gpu.memoryMiB, 'MiB'),
    ...amount('power', gpu.powerLimitW, 'W'),
    ...amount('bar1', gpu.bar1MiB, 'MiB'),
    ...amount('cores_clock', gpu.coresClockMhz, 'MHz'),
    ...amount('memory_clock', gpu.memoryClockMhz, 'MHz'),
    ...amount('pci_bandwidth', bandwidth > 0 ? bandwidth : null, 'MB/s'),
  };
}

function partAttributes(part: MigPart, profile: string | null): Attributes {
  return {
    mig: { Bool: true },
    ...text('mig_profile', profile),
    ...amount('memory', part.memoryMiB, 'MiB'),
    ...(part.multiprocessors === null ? {} : { multiprocessors: { Int: part.multiprocessors } }),
  };
}

function text(name: string, value: string | null): Attributes {
  return value === null ? {} : { [name]: { String: value } };
}

function amount(name: string, value: number | null, unit: string): Attributes {
  return value === null ? {} : { [name]: { Int: Math.floor(value), Unit: unit } };
}
