import { type Diagnostic, errorAt, hasErrors, type SourceRange } from '../../hcl/index.js';
import { CLOUD_NAMES } from '../../structs/cloud-names.js';
import type { MeshRole } from '../../structs/mesh.js';
import { parseCoreList } from '../../structs/topology.js';
import { type InterfaceAddress, resolveAddress } from '../../util/address-template.js';
import { nearest } from '../../util/nearest.js';
import { err, ok, type Result } from '../../util/result.js';
import type { AgentConfig, AgentFlags } from './config.js';
import type { Shape } from './fields.js';
import { mergeBlock } from './merge.js';
import { isPortList, networkProblems } from './networks.js';
import { notInForce } from './not-in-force.js';
import { collectPluginPlaces, type PluginPlaces } from './plugin-places.js';
import { parseRaw } from './raw.js';
import { type Checked, type Findings, readFields } from './read.js';
import { AGENT_FIELDS } from './schema.js';
import { settle } from './settle.js';

/** A configuration file: its name is for messages only. */
export interface ConfigFile {
  readonly name: string;
  readonly source: string;
}

export interface ConfigInput {
  /** In the order in which they count: later ones win. */
  readonly files: readonly ConfigFile[];
  readonly flags: AgentFlags;
  readonly dev: boolean;
  /** Where state is kept when neither files nor flags say so. */
  readonly dataDirDefault?: string;
  /** The role that the owner of a data directory has in its mesh: what the agent is where nothing else is said. */
  readonly roleIn?: (dataDir: string) => MeshRole | undefined;
  /** The addresses of this machine, for `{{ GetPrivateIP }}` and the like. */
  readonly interfaces?: readonly InterfaceAddress[];
}

export interface LoadedConfig {
  readonly config: AgentConfig;
  /** What to log once: keys of Nomad that mean nothing here, and what replaces them. */
  readonly notices: readonly string[];
}

const ROOT: Shape = { kind: 'block', fields: AGENT_FIELDS };

/** The whole configuration out of its sources: `-dev`'s defaults, over them the files in order, over these the flags. */
export function loadAgentConfig(input: ConfigInput): Result<LoadedConfig, Diagnostic[]> {
  const findings: Findings = { diagnostics: [], replaced: new Map(), places: new Map() };
  let merged: Checked = input.dataDirDefault === undefined ? {} : { data_dir: input.dataDirDefault };
  const places: PluginPlaces = {};
  for (const { name, source } of input.files) {
    const { root, diagnostics } = parseRaw(source, name);
    collectPluginPlaces(root, places);
    findings.diagnostics.push(...diagnostics);
    merged = mergeBlock(merged, readFields(root, AGENT_FIELDS, '', findings), ROOT);
  }
  merged = mergeBlock(merged, flagsAsFile(input.flags), ROOT);
  const config = settle(merged, input.dev);
  for (const [name, plugin] of Object.entries(config.plugins)) plugin.places = places[name] ?? {};
  if (!config.rolesSaid && config.dataDir !== null) {
    const role = input.roleIn?.(config.dataDir);
    config.server.enabled = role === 'server';
    config.client.enabled = role === 'server' || role === 'client';
  }
  if (!hasErrors(findings.diagnostics)) {
    for (const problem of [...resolveAddresses(config, input.interfaces ?? []), ...problemsOf(config)]) {
      findings.diagnostics.push(errorAt(placeOf(problem, findings, input.files), 'Invalid configuration', problem));
    }
  }
  if (hasErrors(findings.diagnostics)) return err(findings.diagnostics);
  return ok({ config, notices: [...noticesOf(findings), ...notInForce(merged)] });
}

/**
 * Where the key stands that a problem begins with. What is wrong only as a whole has no line of its own: it is said of the last file, or of
 * the command line.
 */
function placeOf(problem: string, { places }: Findings, files: readonly ConfigFile[]): SourceRange {
  let longest = '';
  for (const path of places.keys()) {
    const isAt = [problem, `client.${problem}`].some(
      (text) => text.startsWith(path) && /^[ :]/.test(text.slice(path.length)),
    );
    if (isAt && path.length > longest.length) longest = path;
  }
  const place = places.get(longest);
  if (place) return place;
  const start = { line: 1, column: 1, byte: 0, index: 0 };
  return { filename: files.at(-1)?.name ?? 'command line', start, end: start };
}

function noticesOf({ replaced, diagnostics }: Findings): string[] {
  const warnings = diagnostics.map(({ summary, detail }) => `${summary}: ${detail}`);
  return [...warnings, ...[...replaced].map(([path, instead]) => `"${path}" has no effect: ${instead}`)];
}

function flagsAsFile(flags: AgentFlags): Checked {
  const section = (entries: Record<string, unknown>): Checked | undefined => {
    const given = Object.entries(entries).filter(([, value]) => value !== undefined && value !== null);
    return given.length > 0 ? Object.fromEntries(given) : undefined;
  };
  const file = section({
    name: flags.nodeName,
    region: flags.region,
    datacenter: flags.datacenter,
    data_dir: flags.dataDir,
    bind_addr: flags.bind,
    plugin_dir: flags.pluginDir,
    log_level: flags.logLevel?.toLowerCase(),
    log_json: flags.logJson,
    log_file: flags.logFile,
    ports: section({ http: flags.httpPort }),
    server: section({ enabled: flags.server, retry_join: flags.join }),
    client: section({
      enabled: flags.client,
      servers: flags.servers,
      state_dir: flags.stateDir,
      alloc_dir: flags.allocDir,
      node_class: flags.nodeClass,
      node_pool: flags.nodePool,
      meta: flags.meta,
      network_interface: flags.networkInterface,
      network_speed: flags.networkSpeed,
    }),
    mesh: section({
      join_key_file: flags.joinKeyFile,
      bootstrap: flags.meshBootstrap,
      port: flags.meshPort,
    }),
    acl: section({ enabled: flags.aclEnabled }),
  });
  return file ?? {};
}

/** Puts addresses in the place of templates; returns what could not be worked out. */
function resolveAddresses(config: AgentConfig, interfaces: readonly InterfaceAddress[]): string[] {
  const problems: string[] = [];
  const resolve = (key: string, address: string): string => {
    const resolved = resolveAddress(address, interfaces);
    if (resolved.ok) return resolved.value;
    problems.push(`${key}: ${resolved.error}.`);
    return address;
  };
  const { addresses, advertise } = config;
  config.bindAddr = resolve('bind_addr', config.bindAddr);
  addresses.http = [resolve('addresses.http', addresses.http.join(' '))].flatMap((text) => text.split(/\s+/));
  addresses.rpc = resolve('addresses.rpc', addresses.rpc);
  advertise.http = advertise.http && resolve('advertise.http', advertise.http);
  advertise.rpc = advertise.rpc && resolve('advertise.rpc', advertise.rpc);
  return [...new Set(problems)];
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', null];

/** What no single key is to blame for. */
function problemsOf(config: AgentConfig): string[] {
  const { client, ports } = config;
  const problems: string[] = [];
  const require = (holds: boolean, message: string): void => {
    if (!holds) problems.push(message);
  };
  require(config.dev ||
    config.dataDir !==
      null, 'Where to keep state must be said: set data_dir, or use -data-dir (or -dev to keep nothing).');
  for (const [key, port] of Object.entries({
    'ports.http': ports.http,
    'ports.rpc': ports.rpc,
    'mesh.port': config.mesh.port,
  })) {
    require(port >= 0 && port <= 65_535, `${key} is ${port}; a port lies between 0 and 65535.`);
  }
  require(LOG_LEVELS.includes(
    config.log.level,
  ), `log_level "${config.log.level}" is not one of trace, debug, info, warn, error, off.`);
  require(client.minDynamicPort >= 1 &&
    client.minDynamicPort <= client.maxDynamicPort &&
    client.maxDynamicPort <=
      65_535, `client.min_dynamic_port (${client.minDynamicPort}) must not exceed max_dynamic_port (${client.maxDynamicPort}), and both be ports.`);
  for (const [id, { socket }] of Object.entries(client.csiPlugins)) {
    require(socket.startsWith('/'), `csi_plugin "${id}" needs the absolute path of its socket, not "${socket}".`);
  }
  for (const [name, { path }] of Object.entries(client.hostVolumes)) {
    require(path.startsWith('/'), `host_volume "${name}" needs an absolute path, not "${path}".`);
  }
  for (const problem of networkProblems(client)) problems.push(problem);
  for (const [name, { exitOnFailure, retryAttempts }] of Object.entries(client.clouds)) {
    const near = nearest(name, CLOUD_NAMES);
    require(CLOUD_NAMES.includes(
      name,
    ), `client.fingerprint "${name}" is none that can be set up${near ? `; did you mean "${near}"?` : `: ${CLOUD_NAMES.join(', ')}.`}`);
    require(!exitOnFailure, `client.fingerprint "${name}": exit_on_failure is not supported; a job that needs the cloud's word constrains on it.`);
    require(retryAttempts >= 0, `client.fingerprint "${name}": retry_attempts must not be negative.`);
  }
  const { min, max } = client.dynamicUsers;
  require(min >= -1 &&
    max >= -1 &&
    (max >= min ||
      min === -1 ||
      max ===
        -1), `client.users: dynamic_user_min = ${min} and dynamic_user_max = ${max} leave no user; −1 for one of them turns users of tasks' own off.`);
  for (const [key, list] of [
    ['reserved.cores', client.reserved.cores],
    ['reservable_cores', client.reservableCores ?? ''],
  ] as const) {
    if (!parseCoreList(list)) problems.push(`client.${key}: "${list}" is no list of cores: write it as "0-3,8".`);
  }
  for (const [key, amount] of Object.entries({
    'reserved.cpu': client.reserved.cpuMhz,
    'reserved.memory': client.reserved.memoryMb,
    'reserved.disk': client.reserved.diskMb,
    cpu_total_compute: client.cpuTotalMhz,
    memory_total_mb: client.memoryTotalMb,
    disk_total_mb: client.diskTotalMb,
    disk_free_mb: client.diskFreeMb,
    network_speed: client.networkSpeedMbits,
    node_max_allocs: client.nodeMaxAllocs,
  })) {
    require(amount === null || amount >= 0, `client.${key} is ${amount}; it must be 0 or more.`);
  }
  const { ports: kept } = client.reserved;
  require(isPortList(
    kept,
  ), `client.reserved.reserved_ports: "${kept}" is no list of ports: write it as "22,80,8500-8600".`);
  require(!config.tls.http ||
    (config.tls.certFile !== null && config.tls.keyFile !== null), 'tls.http needs cert_file and key_file.');
  require(!/[/\0]/.test(config.region + config.datacenter), 'region and datacenter must not contain "/".');
  return problems;
}
