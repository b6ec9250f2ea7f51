import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  type ClientConfig,
  DEFAULT_DENIED_USERS,
  DEFAULT_NETWORK_CONFIG,
  defaultClientConfig,
  type NetworkConfig,
  OWN_ENV_DENYLIST,
} from '../client/config.js';
import { type PluginBlocks, pluginBlockProblems } from '../plugin/registry.js';
import type { MeshRole } from '../structs/mesh.js';
import type { HostVolumeInfo } from '../structs/node.js';
import { parseCoreList } from '../structs/topology.js';
import { type Address, parseAddress } from '../transport/tcp.js';
import { err, ok, type Result } from '../util/result.js';
import { autoscalerSettings } from './autoscaler-settings.js';
import { type ClientOptions, readClientOptions } from './config/client-options.js';
import type { ClientSection } from './config/config.js';
import type { AgentConfig } from './config/index.js';
import { artifactSettings, templateSettings } from './content-settings.js';
import { readKeptNetwork } from './mesh/kept-network.js';
import { serverSettings } from './server-settings.js';
import type { AgentSettings, MeshSettings } from './settings.js';

/** The RPC port of a server whose address is given without one, as Nomad's. */
const RPC_PORT = 4647;
/** The UDP port of a DHT node that is named without one. */
const MESH_PORT = 49_737;

/** Works a configuration out for this machine; the error says what stands in the way, a line each. Reads secret and key files. */
export async function settingsFromConfig(
  config: AgentConfig,
  { version, member }: { version: string; member?: { name: string; role: MeshRole } | undefined },
): Promise<Result<AgentSettings, string>> {
  const problems = [...refused(config)];
  // Who is about to join will be what its invite says. Told with what else is wrong, such as the name of a plugin.
  if (!config.server.enabled && !config.client.enabled && config.mesh.joinKeyFile === null) {
    problems.push(
      'The agent has nothing to do: set server { enabled = true } or client { enabled = true }, use -dev, or join a mesh (meshnomad init, meshnomad join).',
    );
  }
  const servers = addresses([...config.client.servers, ...config.server.join], problems);
  if (config.server.enabled && member && member.role !== 'server') {
    problems.push(
      `this machine is in its mesh as ${member.role}, so it cannot be a server: leave server { enabled = true } out, or join again with an invite for a server`,
    );
  }
  if (config.client.enabled && !config.server.enabled && servers.length === 0 && !member) {
    problems.push(
      'a client without a server of its own needs one: join a mesh (meshnomad join), set client { servers = ["host:port"] }, or server { enabled = true }',
    );
  }
  const plugins = pluginBlocks(config);
  const pluginDir = pluginDirOf(config);
  for (const { place, path, message } of await pluginBlockProblems(plugins, pluginDir)) {
    problems.push(`${place}plugin ${path}: ${message}`);
  }
  const autoscaler = await autoscalerSettings(config, { pluginDir, problems });
  const secret = read(config.mesh.secretFile, 'mesh.secret_file', problems)?.trim() ?? config.mesh.secret;
  const tls = tlsOf(config, problems);
  const mesh = meshSettings(config, problems);
  const server = config.server.enabled ? serverSettings(config, problems) : null;
  const artifact = artifactSettings(config.client.artifact, problems);
  if (problems.length > 0) return err(problems.join('\n'));
  // In a mesh a name is somebody's: what the configuration says counts when joining, and from then on the certificate.
  const nodeName = member?.name ?? config.nodeName ?? hostname();
  const { http, rpc } = config.addresses;
  const options = readClientOptions(config.client.options);
  const settings: AgentSettings = {
    version,
    nodeName,
    region: config.region,
    datacenter: config.datacenter,
    dataDir: config.dataDir === null ? null : resolve(config.dataDir),
    http: {
      hosts: http,
      port: config.ports.http,
      connectionsPerAddressMax: config.limits.httpConnectionsMax,
      headers: config.httpHeaders,
      tls,
    },
    rpc: { host: rpc, port: config.ports.rpc },
    secret,
    mesh,
    server,
    client: config.client.enabled ? { ...clientSettings(config, nodeName, options), artifact } : null,
    autoscaler,
    servers: config.server.enabled ? [] : servers,
    plugins,
    pluginDir,
    enabledDrivers: options.enabledDrivers,
    allowsDriver: options.allowsDriver,
    allowExec: !config.client.disableRemoteExec,
  };
  return ok(settings);
}

// What a user relies on for safety must not be taken and then not done.
function* refused(config: AgentConfig): Generator<string> {
  if (config.acl.enabled)
    yield 'acl { enabled = true } is not supported yet: this version checks no tokens; keep the API on 127.0.0.1, or behind a proxy that does';
  if (config.tls.verifyClient && !config.tls.http) yield 'tls { verify_https_client = true } needs tls { http = true }';
}

function addresses(texts: readonly string[], problems: string[]): Address[] {
  return texts.flatMap((text) => {
    const address = parseAddress(text, RPC_PORT);
    if (!address) problems.push(`${JSON.stringify(text)} is no address of a server: write it as "host:port"`);
    return address ?? [];
  });
}

function read(path: string | null, key: string, problems: string[]): string | undefined {
  if (path === null) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    problems.push(`${key}: cannot read ${path}: ${(error as Error).message}`);
    return undefined;
  }
}

/** Where a data directory has what belongs to the mesh. */
export function meshFolder(dataDir: string): string {
  return join(resolve(dataDir), 'mesh');
}

/** How the agent takes part in a mesh; what is wrong is added to `problems`. */
export function meshSettings({ mesh, dataDir }: AgentConfig, problems: string[]): MeshSettings {
  const folder = dataDir === null ? null : meshFolder(dataDir);
  const kept = folder === null ? undefined : readKeptNetwork(folder);
  const list = (key: string, texts: readonly string[]): Address[] =>
    texts.flatMap((text) => {
      const address = parseAddress(text, MESH_PORT);
      const said = `mesh.${key}: ${JSON.stringify(text)}`;
      if (!address) problems.push(`${said} is no address: write it as "host:port"`);
      else if (isIPv6(address.host))
        problems.push(`${said} is an IPv6 address, and members are linked over IPv4: write an IPv4 address or a name`);
      return address ?? [];
    });
  return {
    folder,
    bootstrap: mesh.bootstrap === null ? (kept?.bootstrap ?? 'public') : list('bootstrap', mesh.bootstrap),
    port: mesh.port === 0 ? null : mesh.port,
    hints: [...list('hints', mesh.hints), ...(kept?.hints ?? [])],
    mdns: mesh.mdns,
    relay: mesh.relay,
    clientApi: mesh.clientApi,
    voter: mesh.voter === 'auto',
    advertise: list('advertise', mesh.advertise),
    joinKeyFile: mesh.joinKeyFile,
  };
}

function tlsOf({ tls }: AgentConfig, problems: string[]): AgentSettings['http']['tls'] {
  if (!tls.http) return null;
  const cert = read(tls.certFile, 'tls.cert_file', problems);
  const key = read(tls.keyFile, 'tls.key_file', problems);
  const ca = read(tls.caFile, 'tls.ca_file', problems);
  if (cert === undefined || key === undefined) return null;
  return { cert, key, ...(ca === undefined ? {} : { ca }), verifyClient: tls.verifyClient };
}

/** The part of a client's settings that a reload may change. */
export function reloadableClient(config: AgentConfig): Pick<ClientConfig, 'hostVolumes' | 'meta'> {
  const volume = ([name, { path, readOnly }]: [string, { path: string; readOnly: boolean }]): [
    string,
    HostVolumeInfo,
  ] => [name, { Name: name, Path: path, ReadOnly: readOnly, ID: '' }];
  return {
    hostVolumes: Object.fromEntries(Object.entries(config.client.hostVolumes).map(volume)),
    meta: config.client.meta,
  };
}

function clientSettings(config: AgentConfig, nodeName: string, options: ClientOptions): ClientConfig {
  const { client, dataDir } = config;
  const below = (name: string): string => join(resolve(dataDir as string), name);
  const stateDir = dataDir === null ? null : (client.stateDir ?? below('client'));
  // Tasks of an agent that keeps nothing need a place all the same, while it runs.
  const allocDir = client.allocDir ?? (dataDir === null ? mkdtempSync(join(tmpdir(), 'meshnomad-')) : below('alloc'));
  return defaultClientConfig({
    stateDir: stateDir === null ? null : resolve(stateDir),
    allocDir: resolve(allocDir),
    ...(dataDir === null ? {} : { csiDir: below('csi'), archivesDir: below('volume_archives') }),
    hostVolumesDir: resolve(
      client.hostVolumesDir ?? (dataDir === null ? `${allocDir}.volumes` : below('host_volumes')),
    ),
    hostVolumePluginDir: resolve(
      client.hostVolumePluginDir ?? (dataDir === null ? `${allocDir}.volume_plugins` : below('host_volume_plugins')),
    ),
    commonPluginDir: resolve(
      client.commonPluginDir ?? (dataDir === null ? `${allocDir}.common_plugins` : below('common_plugins')),
    ),
    csiPlugins: client.csiPlugins,
    nodeName,
    datacenter: config.datacenter,
    region: config.region,
    nodeClass: client.nodeClass,
    nodePool: client.nodePool,
    ...reloadableClient(config),
    reserved: {
      cpuMhz: client.reserved.cpuMhz,
      cores: parseCoreList(client.reserved.cores) ?? [],
      memoryMb: client.reserved.memoryMb,
      diskMb: client.reserved.diskMb,
      ports: client.reserved.ports,
    },
    reservableCores: client.reservableCores === null ? null : (parseCoreList(client.reservableCores) ?? []),
    networkInterface: client.networkInterface,
    networkSpeedMbits: client.networkSpeedMbits,
    preferredFamily: client.preferredFamily,
    network: networkSettings(client),
    hostNetworks: hostNetworks(client),
    clouds: Object.entries(client.clouds).map(([name, { retryIntervalMs, retryAttempts }]) => ({
      name,
      retryIntervalMs,
      retryAttempts,
    })),
    cpuTotalMhz: client.cpuTotalMhz,
    memoryTotalMb: client.memoryTotalMb,
    diskTotalMb: client.diskFreeMb ?? client.diskTotalMb,
    nodeMaxAllocs: client.nodeMaxAllocs,
    defaultIneligible: client.defaultIneligible,
    serviceDiscovery: client.serviceDiscovery,
    maxKillTimeoutMs: client.maxKillTimeoutMs,
    minDynamicPort: client.minDynamicPort,
    maxDynamicPort: client.maxDynamicPort,
    template: templateSettings(client.template),
    ...(Object.keys(client.chrootEnv).length > 0 ? { chrootEnv: client.chrootEnv } : {}),
    ...(client.cgroupParent === null ? {} : { cgroupParent: client.cgroupParent }),
    dynamicUsers: client.dynamicUsers,
    deniedUsers: {
      names: options.deniedUsers.names ?? DEFAULT_DENIED_USERS.names,
      drivers: options.deniedUsers.drivers ?? DEFAULT_DENIED_USERS.drivers,
    },
    // Instead of the usual ones, as with Nomad.
    ...(options.envDenylist === null ? {} : { envDenylist: [...OWN_ENV_DENYLIST, ...options.envDenylist] }),
    sleepCommand: client.sleepCommand,
    gc: {
      intervalMs: client.gc.intervalMs,
      parallelDestroys: client.gc.parallelDestroys,
      maxAllocs: client.gc.maxAllocs,
      diskUsagePercent: client.gc.diskUsagePercent,
      inodeUsagePercent: client.gc.inodeUsagePercent,
    },
  });
}

/** Each plugin's block; what the client's block says of the tasks of one driver goes to that driver. */
function pluginBlocks({ plugins, client }: AgentConfig): PluginBlocks {
  const ofBoth = client.cgroupParent === null ? {} : { cgroup_parent: client.cgroupParent };
  const ofExec = { ...ofBoth, ...(Object.keys(client.chrootEnv).length > 0 ? { chroot_env: client.chrootEnv } : {}) };
  const blocks: Record<string, PluginBlocks[string]> = { ...plugins };
  for (const [name, given] of Object.entries({ exec: ofExec, raw_exec: ofBoth })) {
    if (Object.keys(given).length === 0) continue;
    const block = plugins[name] ?? { args: [], config: {}, package: null };
    blocks[name] = { ...block, config: { ...given, ...block.config } };
  }
  return blocks;
}

/** Where plugins that are programs lie; as in Nomad, `plugins` in the data directory when nothing is said. */
function pluginDirOf({ pluginDir, dataDir }: AgentConfig): string | null {
  if (pluginDir !== null) return resolve(pluginDir);
  const usual = dataDir === null ? null : join(resolve(dataDir), 'plugins');
  return usual !== null && existsSync(usual) ? usual : null;
}

function networkSettings({ cniPath, cniConfigDir, bridge, bindWildcard, hostNetworks }: ClientSection): NetworkConfig {
  const { cniPath: usual, cniConfigDir: usualDir, bridge: usualBridge } = DEFAULT_NETWORK_CONFIG;
  const path = (cniPath ?? process.env['CNI_PATH'] ?? '').split(':').filter((dir) => dir !== '');
  return {
    cniPath: path.length > 0 ? path : usual,
    cniConfigDir: cniConfigDir ?? usualDir,
    bridge: {
      name: bridge.name ?? usualBridge.name,
      subnet: bridge.subnet ?? usualBridge.subnet,
      subnetIpv6: bridge.subnetIpv6 ?? usualBridge.subnetIpv6,
      hairpin: bridge.hairpin,
    },
    // Whoever names networks wants to say on which of them a port is.
    anyAddress: bindWildcard && Object.keys(hostNetworks).length === 0,
  };
}

function hostNetworks({ hostNetworks: given }: ClientSection): ClientConfig['hostNetworks'] {
  const entries = Object.entries(given).map(([Name, { cidr, interface: Interface, reservedPorts }]) => {
    return [Name, { Name, CIDR: cidr, Interface, ReservedPorts: reservedPorts }] as const;
  });
  return Object.fromEntries(entries);
}
