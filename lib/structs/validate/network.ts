import type { TaskGroup } from '../job.js';
import { PORT_MAX } from '../port-ranges.js';
import type { NetworkResource, Port } from '../resources.js';
import type { Report } from './issue.js';

/** IPv4, or IPv6 by its colons. */
const ADDRESS = /^\d+(\.\d+){3}$|:/;

interface Seen {
  labels: Map<string, string>;
  /** Host network → static port → who has it. */
  ports: Map<string, Map<number, string>>;
}

/** Ports of the group and of its tasks: their labels become variables, and a number is there once on a node. */
export function validateNetworks(group: TaskGroup, report: Report): void {
  const seen: Seen = { labels: new Map(), ports: new Map() };
  const networks = group.Networks ?? [];
  if (networks.length > 1) report.error('Networks', 'A group may have one network block only');
  for (const [i, network] of networks.entries()) {
    validateNetwork(
      network,
      'group network',
      seen,
      report.at('Networks').at(i, 'Task group network validation failed: '),
    );
  }
  for (const [t, task] of group.Tasks.entries()) {
    if (task.Resources.Networks) {
      const key = `Tasks[${t}].Resources.Networks`;
      report.warning(
        key,
        `Task ${JSON.stringify(task.Name)}: networks belong to the group: please move the network block there`,
      );
    }
    for (const [i, network] of (task.Resources.Networks ?? []).entries()) {
      const at = report.at('Tasks').at(t).at('Resources').at('Networks');
      validateNetwork(network, `task ${task.Name}`, seen, at.at(i, 'Task group network validation failed: '));
    }
  }
}

function validateNetwork(network: NetworkResource, owner: string, seen: Seen, report: Report): void {
  const { Mode, CNI } = network;
  const isHost = Mode === '' || Mode === 'host';
  if (!isHost && Mode !== 'bridge' && Mode !== 'none' && !/^cni\/[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(Mode)) {
    report.error('Mode', `Mode ${JSON.stringify(Mode)} is none of "host", "bridge", "none" and "cni/NAME"`);
  }
  if (CNI && !Mode.startsWith('cni/')) {
    report.warning('CNI', `cni in the ${owner} has no effect without mode = "cni/NAME"`);
  }
  for (const text of Object.entries(CNI?.Args ?? {}).flat()) {
    // They become CNI_ARGS, "KEY=VALUE;KEY=VALUE".
    if (/[;=]/.test(text)) report.error('CNI', `CNI argument ${JSON.stringify(text)} contains ; or =`);
  }
  if (isHost && network.Hostname !== '')
    report.warning(
      'Hostname',
      `hostname has no effect in the ${owner}: it needs a network of its own, mode = "bridge", "none" or "cni/NAME"`,
    );
  for (const server of network.DNS?.Servers ?? []) {
    // resolv.conf takes addresses; what else stands there is passed over, and nobody says so.
    if (!server.includes('${') && !ADDRESS.test(server))
      report.warning('DNS', `dns server ${JSON.stringify(server)} is no address: programs pass it over`);
  }
  for (const list of ['ReservedPorts', 'DynamicPorts'] as const) {
    for (const [i, port] of (network[list] ?? []).entries()) {
      validatePort(port, list, owner, seen, report.at(list).at(i));
      if (port.IgnoreCollision && !isHost)
        report
          .at(list)
          .at(i)
          .error(
            'IgnoreCollision',
            `Port ${port.Label} may ignore collisions only with mode = "host", not ${JSON.stringify(Mode)}`,
          );
    }
  }
  if (network.MBits !== null && network.MBits > 0) {
    report.warning('MBits', 'mbits has no effect: please remove it from the network block');
  }
  if (network.Hostname !== '' && !network.Hostname.includes('${') && !isDnsName(network.Hostname)) {
    report.error('Hostname', `Hostname ${JSON.stringify(network.Hostname)} is no DNS name`);
  }
}

/** Whether a machine can have this name. */
export function isDnsName(name: string): boolean {
  return name.length <= 253 && /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?$/.test(name);
}

function validatePort(port: Port, list: string, owner: string, seen: Seen, report: Report): void {
  const { Label, Value, To, HostNetwork, IgnoreCollision } = port;
  // The label stands in NOMAD_PORT_<label>: what would break such a name is refused.
  if (Label === '') report.error('Label', 'Port label must not be empty');
  else if (/[\s=\0]/.test(Label))
    report.error('Label', `Port label ${JSON.stringify(Label)} contains a blank, = or null`);
  const other = seen.labels.get(Label);
  if (other !== undefined) report.error('Label', `Port label ${Label} is taken by the ${other}`);
  seen.labels.set(Label, owner);

  if (Value < 0 || Value > PORT_MAX) {
    report.error('Value', `Port ${JSON.stringify(Label)} is ${Value}: it must lie between 1 and ${PORT_MAX}`);
  } else if (list === 'ReservedPorts' && Value === 0) {
    report.error('Value', `Port ${Label} is reserved but has no number`);
  } else if (Value !== 0) {
    const taken = seen.ports.get(HostNetwork) ?? new Map<number, string>();
    seen.ports.set(HostNetwork, taken);
    const holder = taken.get(Value);
    if (holder !== undefined && !IgnoreCollision) {
      report.error('Value', `Static port ${Value} is taken by ${holder}`);
    }
    taken.set(Value, `${owner}:${Label}`);
  }
  if (To < -1 || To > PORT_MAX) {
    report.error('To', `Port ${JSON.stringify(Label)} leads to ${To}: it must lie between 1 and ${PORT_MAX}, or be -1`);
  }
}
