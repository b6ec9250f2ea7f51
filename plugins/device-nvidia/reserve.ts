import type { DevicePart, DeviceReservation } from '../../lib/plugin/sdk/device.js';
import type { TaskDevice } from '../../lib/plugin/sdk/driver.js';
import type { HostFiles } from '../../lib/plugin/sdk/host-files.js';
import { cdiNames } from './cdi.js';
import type { NvidiaInstance } from './instances.js';

/** Nodes that every user of the driver opens, whichever card it uses. */
const COMMON_NODES = ['/dev/nvidiactl', '/dev/nvidia-uvm', '/dev/nvidia-uvm-tools', '/dev/nvidia-modeset'];

/**
 * What a task needs to use these instances. NVIDIA_VISIBLE_DEVICES is what NVIDIA's container runtime goes by;
 * CUDA_VISIBLE_DEVICES keeps a task that sees all device nodes of the host (raw_exec) to its own. Of a part, CUDA's
 * Multi-Process Service keeps it to that; where it does not run, nobody does.
 */
export async function reservationOf(
  instances: readonly NvidiaInstance[],
  part: DevicePart | null,
  host: HostFiles,
): Promise<DeviceReservation> {
  const ids = instances.map(({ id }) => id).join(',');
  const known = await cdiNames(host);
  const paths = new Set<string>();
  for (const instance of instances) for (const path of await nodesOf(instance, host)) paths.add(path);
  for (const path of COMMON_NODES) paths.add(path);
  const deviceNodes: TaskDevice[] = [];
  for (const path of paths) {
    const node = await host.deviceNode(path);
    if (node) deviceNodes.push(node);
  }
  const cdiDevices = instances.map((instance) => cdiNameOf(instance, known));
  return {
    env: { NVIDIA_VISIBLE_DEVICES: ids, CUDA_VISIBLE_DEVICES: ids, ...limits(instances.length, part) },
    mounts: [],
    deviceNodes,
    // All or none: an engine that got half of them by name would not be told of the rest.
    cdiDevices: cdiDevices.every((name) => name !== null) ? cdiDevices : [],
  };
}

function limits(count: number, part: DevicePart | null): Record<string, string> {
  if (!part) return {};
  const memory = Array.from({ length: count }, (_, i) => `${i}=${part.memoryMb}M`).join(',');
  const share = part.share === null ? {} : { CUDA_MPS_ACTIVE_THREAD_PERCENTAGE: String(part.share) };
  return { CUDA_MPS_PINNED_DEVICE_MEM_LIMIT: memory, ...share };
}

async function nodesOf({ gpu, part }: NvidiaInstance, host: HostFiles): Promise<string[]> {
  if (gpu.minor === null) return [];
  const nodes = [`/dev/nvidia${gpu.minor}`];
  if (!part) return nodes;
  const folder = `/proc/driver/nvidia/capabilities/gpu${gpu.minor}/mig/gi${part.gpuInstance}`;
  for (const file of [`${folder}/access`, `${folder}/ci${part.computeInstance}/access`]) {
    const minor = /^DeviceFileMinor:\s*(\d+)$/m.exec((await host.text(file)) ?? '')?.[1];
    if (minor !== undefined) nodes.push(`/dev/nvidia-caps/nvidia-cap${minor}`);
  }
  return nodes;
}

/** Specifications name a device by its UUID, by its number, or both. */
function cdiNameOf({ id, gpu, part }: NvidiaInstance, known: ReadonlySet<string>): string | null {
  const number = part ? `${gpu.index}:${part.index}` : String(gpu.index);
  const name = [id, number].find((candidate) => known.has(candidate));
  return name === undefined ? null : `nvidia.com/gpu=${name}`;
}
