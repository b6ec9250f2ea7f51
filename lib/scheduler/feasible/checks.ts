import type { Job, Task, TaskGroup } from '../../structs/job.js';
import type { Node } from '../../structs/node.js';
import { BRIDGE_PROBLEM, CNI_CONFIG_DIR, CNI_CONFIG_PROBLEMS } from '../../structs/node-attributes.js';
import type { NetworkResource } from '../../structs/resources.js';
import { signalCalled } from '../../structs/signal.js';
import { type Check, compileCheck, isDistinct } from './constraint.js';
import { DeviceUse } from './device-use.js';
import type { DeviceProgram } from './devices.js';
import { type VolumeWorld, volumeChecks } from './volumes.js';

// The conditions of a group on a node, in the order in which they are asked. Those of one computed class answer alike and
// are asked once for it (class-memo.ts); `availability` is asked of every node.

/** What a group's nodes must be like. */
export interface GroupChecks {
  readonly group: readonly Check[];
  readonly availability: readonly AvailabilityCheck[];
}

/** A condition that depends on the allocation's index too, and on what others use. */
export interface AvailabilityCheck {
  /** Why the node will not do; '' = it will. `stays`: the allocation is there already, and has what it asks for. */
  refusal(node: Node, allocName: string, stays: boolean): string;
  /** What of it the node lacks, for a person who asks. */
  told?(node: Node, allocName: string): string;
}

/** The conditions of the job itself. */
export function jobChecks(job: Job): Check[] {
  return (job.Constraints ?? []).filter((constraint) => !isDistinct(constraint)).map(compileCheck);
}

/** The conditions of a group and its tasks. */
export function groupChecks(group: TaskGroup, devices: DeviceProgram | null, volumes: VolumeWorld): GroupChecks {
  const constraints = [...(group.Constraints ?? []), ...group.Tasks.flatMap((task) => task.Constraints ?? [])];
  return {
    group: [
      driverCheck(group),
      ...constraints.filter((constraint) => !isDistinct(constraint)).map(compileCheck),
      ...(devices ? [deviceCheck(devices)] : []),
      ...(group.Networks ?? []).flatMap(networkChecks),
      ...signalChecks(group),
      ...secretChecks(group),
      ...serviceChecks(group),
    ],
    availability: [...(devices ? [instanceCheck(devices)] : []), ...volumeChecks(group, volumes)],
  };
}

function driverCheck(group: TaskGroup): Check {
  const drivers = [...new Set(group.Tasks.map((task) => task.Driver))];
  const lack = (node: Node, name: string): string => {
    const driver = Object.hasOwn(node.Drivers, name) ? node.Drivers[name] : undefined;
    if (!driver) {
      const attribute = node.Attributes[`driver.${name}`];
      return attribute === '1' || attribute === 'true' ? '' : `no "${name}"`;
    }
    if (driver.Detected && driver.Healthy) return '';
    const why = driver.HealthDescription === '' ? '' : ` (${driver.HealthDescription})`;
    return `"${name}" ${driver.Detected ? 'is not healthy' : 'was not found'}${why}`;
  };
  return {
    reason: 'missing drivers',
    escapes: false,
    holds: (node) => drivers.every((name) => lack(node, name) === ''),
    told: (node) => drivers.flatMap((name) => lack(node, name) || []).join(', '),
  };
}

/** A node's system must know the signals that tasks are sent; Nomad adds this constraint to the job itself. */
function signalChecks({ Tasks }: TaskGroup): Check[] {
  const names = new Set(Tasks.flatMap(signalsOf).flatMap((text) => signalCalled(text) ?? []));
  if (names.size === 0) return [];
  const RTarget = [...names].sort().join(',');
  return [compileCheck({ LTarget: '${attr.os.signals}', Operand: 'set_contains', RTarget })];
}

function signalsOf({ KillSignal, Templates, Identity, Identities }: Task): string[] {
  const changing = [...(Templates ?? []), ...(Identities ?? []), ...(Identity ? [Identity] : [])];
  return [KillSignal, ...changing.flatMap((one) => (one.ChangeMode === 'signal' ? one.ChangeSignal : []))];
}

/** Who keeps a task's secrets must be on the node. */
function secretChecks(group: TaskGroup): Check[] {
  const providers = new Set(group.Tasks.flatMap((task) => (task.Secrets ?? []).map(({ Provider }) => Provider)));
  if (providers.size === 0) return [];
  const attributes = [...providers].map((name) => `plugins.secrets.${name}.version`);
  return [
    {
      reason: 'missing secrets provider',
      escapes: false,
      holds: (node) => attributes.every((name) => Object.hasOwn(node.Attributes, name)),
    },
  ];
}

/** A node may list no services; Nomad adds this constraint to the job itself. */
function serviceChecks(group: TaskGroup): Check[] {
  const services = [...(group.Services ?? []), ...group.Tasks.flatMap((task) => task.Services ?? [])];
  if (!services.some(({ Provider }) => Provider === 'nomad')) return [];
  return [
    {
      reason: `\${attr.nomad.service_discovery} = true`,
      escapes: false,
      holds: (node) => node.Attributes['nomad.service_discovery'] !== 'false',
    },
  ];
}

const MISSING_DEVICES = 'missing devices';

function deviceCheck(devices: DeviceProgram): Check {
  return {
    reason: MISSING_DEVICES,
    escapes: devices.escapes,
    holds: (node) => devices.isKnown(node),
    told: (node) => devices.unknownTo(node).join(', '),
  };
}

/** How many instances a node has, and whether they are healthy, is no part of its class. */
function instanceCheck(devices: DeviceProgram): AvailabilityCheck {
  const none = new DeviceUse();
  return {
    refusal: (node) => (devices.offer(node, none) === null ? MISSING_DEVICES : ''),
    told: () => 'fewer healthy ones than are asked for',
  };
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
      told: ({ Attributes }) => lackOfNetwork(mode, Attributes),
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

/** Why a node has no network of a mode, as far as its client says. */
function lackOfNetwork(mode: string, attributes: Node['Attributes']): string {
  if (!mode.startsWith('cni/')) return [`no "${mode}"`, attributes[BRIDGE_PROBLEM]].filter(Boolean).join(': ');
  const dir = attributes[CNI_CONFIG_DIR];
  const where = dir === undefined ? '' : `: no file in its cni_config_dir ${dir} has a network of that name`;
  const problems = attributes[CNI_CONFIG_PROBLEMS];
  return `no "${mode}"${where}${problems === undefined ? '' : `; ${problems}`}`;
}
