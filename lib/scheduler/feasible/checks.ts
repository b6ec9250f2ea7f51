import type { Job, TaskGroup } from '../../structs/job.js';
import type { NetworkResource } from '../../structs/resources.js';
import { type Check, compileCheck, isDistinct } from './constraint.js';
import { DeviceUse } from './device-use.js';
import type { DeviceProgram } from './devices.js';

// The conditions of a group on a node, in the order in which they are asked. Those of one computed class answer alike and
// are asked once for it (class-memo.ts); `availability` is asked of every node.

/** What a group's nodes must be like. */
export interface GroupChecks {
  readonly group: readonly Check[];
  readonly availability: readonly AvailabilityCheck[];
}

/** A condition that depends on the allocation's index too. */
export interface AvailabilityCheck {
  readonly reason: string;
  holds(node: Parameters<Check['holds']>[0], allocName: string): boolean;
}

/** The conditions of the job itself. */
export function jobChecks(job: Job): Check[] {
  return (job.Constraints ?? []).filter((constraint) => !isDistinct(constraint)).map(compileCheck);
}

/** The conditions of a group and its tasks. */
export function groupChecks(group: TaskGroup, devices: DeviceProgram | null): GroupChecks {
  const constraints = [...(group.Constraints ?? []), ...group.Tasks.flatMap((task) => task.Constraints ?? [])];
  return {
    group: [
      driverCheck(group),
      ...constraints.filter((constraint) => !isDistinct(constraint)).map(compileCheck),
      ...(devices ? [deviceCheck(devices)] : []),
      ...(group.Networks ?? []).flatMap(networkChecks),
    ],
    availability: [...(devices ? [instanceCheck(devices)] : []), ...volumeChecks(group)],
  };
}

function driverCheck(group: TaskGroup): Check {
  const drivers = [...new Set(group.Tasks.map((task) => task.Driver))];
  return {
    reason: 'missing drivers',
    escapes: false,
    holds: (node) =>
      drivers.every((name) => {
        const driver = Object.hasOwn(node.Drivers, name) ? node.Drivers[name] : undefined;
        if (driver) return driver.Detected && driver.Healthy;
        const attribute = node.Attributes[`driver.${name}`];
        return attribute === '1' || attribute === 'true';
      }),
  };
}

const MISSING_DEVICES = 'missing devices';

function deviceCheck(devices: DeviceProgram): Check {
  return { reason: MISSING_DEVICES, escapes: devices.escapes, holds: (node) => devices.isKnown(node) };
}

/** How many instances a node has, and whether they are healthy, is no part of its class. */
function instanceCheck(devices: DeviceProgram): AvailabilityCheck {
  const none = new DeviceUse();
  return { reason: MISSING_DEVICES, holds: (node) => devices.offer(node, none) !== null };
}

/** What mode "bridge" is made of on a node: Nomad adds these constraints to the job itself. */
const BRIDGE_CHECKS: readonly Check[] = ['bridge', 'firewall', 'host-local', 'loopback', 'portmap'].map((plugin) =>
  compileCheck({ LTarget: `\${attr.plugins.cni.version.${plugin}}`, Operand: 'semver', RTarget: '>= 0.4.0' }),
);

function networkChecks(network: NetworkResource): Check[] {
  const mode = network.Mode === '' ? 'host' : network.Mode;
  const checks: Check[] = mode === 'bridge' ? [...BRIDGE_CHECKS] : [];
  if (mode !== 'host' && mode !== 'none') {
    checks.push({
      reason: 'missing network',
      escapes: false,
      holds: ({ NodeResources: { Networks, NodeNetworks } }) =>
        (Networks ?? []).some((has) => has.Mode === mode) || (NodeNetworks ?? []).some((has) => has.Mode === mode),
    });
  }
  for (const port of [...(network.ReservedPorts ?? []), ...(network.DynamicPorts ?? [])]) {
    if (port.HostNetwork === '' || port.HostNetwork === 'default') continue;
    checks.push({
      reason: `missing host network "${port.HostNetwork}" for port "${port.Label}"`,
      escapes: false,
      holds: ({ NodeResources: { NodeNetworks } }) =>
        (NodeNetworks ?? []).some(({ Addresses }) => Addresses.some(({ Alias }) => Alias === port.HostNetwork)),
    });
  }
  return checks;
}

function volumeChecks(group: TaskGroup): AvailabilityCheck[] {
  const requests = Object.values(group.Volumes ?? {});
  const host = requests.filter((request) => request.Type === 'host' || request.Type === '');
  const checks: AvailabilityCheck[] = [];
  if (host.length > 0) {
    checks.push({
      reason: 'missing compatible host volumes',
      holds: (node, allocName) =>
        host.every((request) => {
          const source = request.PerAlloc ? request.Source + indexSuffix(allocName) : request.Source;
          const volumes = node.HostVolumes;
          const volume = volumes && Object.hasOwn(volumes, source) ? volumes[source] : undefined;
          return volume !== undefined && (request.ReadOnly || !volume.ReadOnly);
        }),
    });
  }
  if (host.length < requests.length) checks.push({ reason: 'missing CSI plugins', holds: () => false });
  return checks;
}

function indexSuffix(allocName: string): string {
  return allocName.slice(allocName.lastIndexOf('['));
}
