import { type Diagnostic, errorAt, hasErrors, type SourceRange } from '../../hcl/index.js';
import type { MeshRole } from '../../structs/mesh.js';
import { type InterfaceAddress, resolveAddress } from '../../util/address-template.js';
import { err, ok, type Result } from '../../util/result.js';
import type { AgentConfig, AgentFlags } from './config.js';
import type { Shape } from './fields.js';
import { mergeBlock } from './merge.js';
import { halvesOfLeaving, notInForce } from './not-in-force.js';
import { collectPluginPlaces, type PluginPlaces } from './plugin-places.js';
import { type Problem, problemsOf } from './problems.js';
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
    for (const { key, message } of [...resolveAddresses(config, input.interfaces ?? []), ...problemsOf(config)]) {
      findings.diagnostics.push(errorAt(placeOf(key, findings, input.files), 'Invalid configuration', message));
    }
  }
  if (hasErrors(findings.diagnostics)) return err(findings.diagnostics);
  return ok({ config, notices: [...noticesOf(findings), ...notInForce(merged), ...halvesOfLeaving(config)] });
}

/** Where a key stands. What is wrong only as a whole has no line of its own: it is said of the last file, or of the command line. */
function placeOf(key: string, { places }: Findings, files: readonly ConfigFile[]): SourceRange {
  const place = places.get(key);
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
function resolveAddresses(config: AgentConfig, interfaces: readonly InterfaceAddress[]): Problem[] {
  const problems: Problem[] = [];
  const resolve = (key: string, address: string): string => {
    const resolved = resolveAddress(address, interfaces);
    if (resolved.ok) return resolved.value;
    problems.push({ key, message: `${key}: ${resolved.error}.` });
    return address;
  };
  const { addresses, advertise } = config;
  config.bindAddr = resolve('bind_addr', config.bindAddr);
  addresses.http = [resolve('addresses.http', addresses.http.join(' '))].flatMap((text) => text.split(/\s+/));
  addresses.rpc = resolve('addresses.rpc', addresses.rpc);
  advertise.http = advertise.http && resolve('advertise.http', advertise.http);
  advertise.rpc = advertise.rpc && resolve('advertise.rpc', advertise.rpc);
  return problems;
}
