import type { Driver, TaskNetwork } from '../../plugin/sdk/driver.js';
import type { AllocNetworkStatus } from '../../structs/allocation.js';
import type { NetworkResource } from '../../structs/resources.js';
import { isDnsName } from '../../structs/validate/network.js';
import { type ClientContext, type HookState, hookState } from '../context.js';
import { patience, whenBack } from '../driver-away.js';
import { interpolateText } from '../interpolate.js';
import { hostResolver, hostsText, type Resolver, resolvText, writeNetworkFiles } from '../network/files.js';
import { type GroupNetwork, GroupNetworks, type NetworkAsk } from '../network/group-networks.js';
import { unmappedPorts } from '../network/result.js';
import { takenPorts } from '../network/taken-ports.js';
import { groupInterpolation } from '../task-env.js';
import { type AllocHook, type AllocHookContext, allocHook } from './hook.js';

/** The network namespace that the tasks of a group share; nothing with mode "host". */
export const networkHook: AllocHook = {
  ...allocHook('network', {
    async prerun(context) {
      const network = context.group.Networks?.[0];
      if (!network) return;
      if (!context.reattach) await warnOfTaken(context, network);
      if (!hasNamespace(network)) return;
      const maker = makerOf(context);
      const isFormer = context.state.get() !== null;
      // Kept where a restart of the machine does not reach, as what the engine made.
      if (maker && context.state.get() === null) context.state.put({ driver: maker.name });
      const given = interpolate(context, network.Hostname);
      // An engine gives its containers a name; they must find an address for it.
      const hostname = given === '' && maker ? context.alloc.ID.slice(0, 8) : given;
      // What a reference stands for is known only now.
      if (hostname !== '' && !isDnsName(hostname))
        throw new Error(`hostname ${JSON.stringify(hostname)} of the network is no DNS name`);
      const share = async (made: GroupNetwork): Promise<void> => {
        context.shared.network = await taskNetwork(context, network, hostname, made);
        context.shared.networkInode = made.inode;
        context.shared.networkStatus = made.status;
      };
      const ask: NetworkAsk = {
        allocId: context.alloc.ID,
        mode: network.Mode,
        ports: context.alloc.AllocatedResources.Shared.Ports ?? [],
        hostname,
        args: Object.fromEntries(
          Object.entries(network.CNI?.Args ?? {}).map(([key, value]) => [key, interpolate(context, value)]),
        ),
        maker,
        signal: context.signal,
        onChange: share,
        onLook: (inode) => leaveLost(context, inode),
      };
      const ensure = (): Promise<GroupNetwork> => networksOf(context.client).ensure(ask);
      // After a reboot the engine, or what plugins need, may come later than the agent: what ran here waits.
      const waiting = { ...context, ...context.client, mayPass: patience(context.client) };
      const made = isFormer && context.mayWait ? await whenBack(ensure, waiting) : await ensure();
      await share(made);
      if (!context.reattach) warnOfUnmapped(context, ask, made);
      if (!isFormer) context.state.put({ driver: maker?.name ?? null });
    },
    async postrun(context) {
      await remove(context);
      context.shared.network = null;
    },
    destroy: remove,
  }),
  serve: (client, signal) => networksOf(client).serve((allocId) => client.db.allocs.has(allocId), signal),
};

/** What is free in the eyes of the servers may be taken by a program that they know nothing of. */
async function warnOfTaken({ alloc, tell }: AllocHookContext, network: NetworkResource): Promise<void> {
  const taken = await takenPorts(alloc.AllocatedResources.Shared.Ports ?? []);
  const what = hasNamespace(network)
    ? 'who connects from elsewhere reaches this group instead; keep it from the scheduler by reserved { reserved_ports } of the client'
    : 'a task cannot listen there; keep it from the scheduler by reserved { reserved_ports } of the client, or use another';
  for (const one of taken) tell(`${one}: ${what}`);
}

/** A node of IPv6 alone has a bridge of IPv4 alone, unless its configuration says more. */
function warnOfUnmapped({ tell }: AllocHookContext, { mode, ports }: NetworkAsk, { status }: GroupNetwork): void {
  const remedy =
    mode === 'bridge'
      ? 'set bridge_network_subnet_ipv6 in client { }, such as "fd00:a110:c8::/64"'
      : `give the configuration of ${mode} a range of such addresses`;
  for (const one of status ? unmappedPorts(ports, status) : []) tell(`${one}; ${remedy}`);
}

/** Whether a group's tasks have a network of their own. */
function hasNamespace({ Mode }: NetworkResource): boolean {
  return Mode !== '' && Mode !== 'host';
}

/** Where a task remembers in which namespace it was started. */
export function namespaceOf(client: ClientContext, allocId: string, task: string): HookState {
  return hookState(client, allocId, `${task}/network`);
}

/** Who still is in a namespace that was lost, with an engine say, is reached by nobody: it must start again. */
function leaveLost({ alloc, group, client, restart }: AllocHookContext, inode: number): void {
  for (const { Name } of group.Tasks) {
    const startedIn = namespaceOf(client, alloc.ID, Name).get();
    if (startedIn !== null && startedIn !== inode) restart(Name, 'the network of its group was lost and made anew');
  }
}

async function remove({ alloc, group, client, state }: AllocHookContext): Promise<void> {
  await networksOf(client).remove(alloc.ID, group.Networks?.[0]?.Mode ?? '');
  const kept = state.get() as { driver: string | null } | null;
  if (kept === null) return;
  if (kept.driver !== null) await client.drivers[kept.driver]?.destroyNetwork?.(alloc.ID, {});
  state.put(null);
}

/** The driver that must make the namespace. Throws when a driver of the group cannot use one, or two want to make it. */
function makerOf({ group, client }: AllocHookContext): Driver | null {
  const mode = group.Networks?.[0]?.Mode ?? '';
  let maker: Driver | null = null;
  for (const { Name, Driver: name } of group.Tasks) {
    const driver = client.drivers[name];
    if (!driver) continue;
    if (!driver.createNetwork && driver.capabilities.joinsNetwork !== true)
      throw new Error(`task "${Name}": driver "${name}" cannot use a network with mode = "${mode}"`);
    if (!driver.createNetwork) continue;
    if (maker && maker !== driver)
      throw new Error(
        `drivers "${maker.name}" and "${name}" both have to make the group's network: put their tasks into two groups`,
      );
    maker = driver;
  }
  return maker;
}

async function taskNetwork(
  context: AllocHookContext,
  network: NetworkResource,
  hostname: string,
  made: GroupNetwork,
): Promise<TaskNetwork> {
  const { status } = made;
  const addresses = [status?.Address ?? '', status?.AddressIPv6 ?? ''];
  const present = [...new Set(addresses)].filter((address) => address !== '');
  const files = await writeNetworkFiles(context.alloc.ID, {
    hosts: hostsText(hostname, present.length > 0 ? present : ['127.0.0.1']),
    resolv: resolvText(await resolver(context, network, status)),
  });
  return {
    mode: network.Mode,
    netnsPath: made.netnsPath,
    labels: made.labels,
    ip: status?.Address ?? '',
    hostname,
    ...files,
  };
}

/** The job's own, else the network's, else the host's. */
async function resolver(
  context: AllocHookContext,
  network: NetworkResource,
  status: AllocNetworkStatus | null,
): Promise<Resolver> {
  const given = network.DNS ?? status?.DNS;
  if (!given) return hostResolver();
  const texts = (list: string[] | null): string[] => (list ?? []).map((text) => interpolate(context, text));
  const host = (given.Servers ?? []).length > 0 ? null : await hostResolver();
  return {
    servers: host?.servers ?? texts(given.Servers),
    searches: texts(given.Searches),
    options: texts(given.Options),
  };
}

function interpolate({ alloc, job, group, client }: AllocHookContext, text: string): string {
  return interpolateText(
    text,
    groupInterpolation({ alloc, job, group, node: client.node(), region: client.config().region }),
  );
}

const networks = new WeakMap<ClientContext, GroupNetworks>();

/** A client has one of them for all its allocations. */
export function networksOf(client: ClientContext): GroupNetworks {
  const present = networks.get(client);
  if (present) return present;
  const made = new GroupNetworks({
    config: () => client.config().network,
    stateDir: () => client.config().stateDir,
    drivers: client.drivers,
    timers: client.timers,
    log: client.log.child('network'),
  });
  networks.set(client, made);
  return made;
}
