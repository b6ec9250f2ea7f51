import { resolve } from 'node:path';
import type { AgentFlags } from '../agent/config/index.js';
import { type FlagSpec, type Flags, UsageError } from './command.js';

/** What every command takes that runs an agent. */
export const AGENT_FLAGS: Record<string, FlagSpec> = {
  config: {
    type: 'list',
    value: 'path',
    help: 'A configuration file, or a directory of them; may be given several times.',
  },
  'data-dir': { type: 'string', value: 'path', help: 'Where state is kept.' },
  server: { type: 'bool', help: 'Be a server.' },
  client: { type: 'bool', help: 'Be a client.' },
  bind: { type: 'string', value: 'addr', help: 'Address to listen on, default 127.0.0.1.' },
  'http-port': { type: 'int', value: 'port', help: 'Port of the HTTP API, default 4646; 0 for any free one.' },
  node: { type: 'string', value: 'name', help: 'Name of this node, default the name of the host.' },
  'node-name': { type: 'string', value: 'name', help: 'The same as -node.' },
  region: { type: 'string', value: 'name', help: 'Region, default global.' },
  dc: { type: 'string', value: 'name', help: 'Datacenter, default dc1.' },
  servers: {
    type: 'list',
    value: 'host:port',
    help: 'A server for a client without one of its own; may be given several times, or as a list with commas.',
  },
  join: { type: 'list', value: 'host:port', help: 'The same as -servers.' },
  'retry-join': { type: 'list', value: 'host:port', help: 'The same as -servers: it is tried for ever in any case.' },
  'state-dir': {
    type: 'string',
    value: 'path',
    help: 'Where the client keeps its state, default below the data directory.',
  },
  'alloc-dir': {
    type: 'string',
    value: 'path',
    help: 'Where allocations have their files, default below the data directory.',
  },
  'node-class': { type: 'string', value: 'class', help: 'Class of this node.' },
  'node-pool': { type: 'string', value: 'pool', help: 'Pool of this node, default "default".' },
  meta: { type: 'list', value: 'key=value', help: 'Meta data of this node; may be given several times.' },
  'network-interface': {
    type: 'string',
    value: 'name',
    help: "The interface whose address the tasks' ports are bound to.",
  },
  'network-speed': { type: 'int', value: 'mbits', help: 'Speed of the link, where the kernel does not know it.' },
  'plugin-dir': { type: 'string', value: 'path', help: 'Where further plugins lie.' },
  'acl-enabled': { type: 'bool', help: 'Not supported yet.' },
  'log-level': { type: 'string', value: 'level', help: 'trace, debug, info (default), warn, error or off.' },
  'log-json': { type: 'bool', help: 'Log JSON lines.' },
  'log-file': { type: 'string', value: 'path', help: 'Log to a file.' },
  'join-key-file': {
    type: 'string',
    value: 'path',
    help: 'A file with the invite to join a mesh with; read when this machine is in none yet.',
  },
  bootstrap: {
    type: 'list',
    value: 'host:port',
    help: 'A node of a DHT of your own (meshnomad dht), instead of the public one; "none" for the local network only.',
  },
  'mesh-port': { type: 'int', value: 'port', help: 'UDP port of the mesh; default: chosen once, and kept.' },
  'bootstrap-expect': {
    type: 'int',
    value: 'n',
    help: 'Accepted for compatibility: a server founds its mesh at once.',
  },
};

/** The flags as the configuration takes them. */
export function agentFlags(flags: Flags): AgentFlags {
  const listed = (...names: string[]): string[] =>
    names.flatMap((name) => flags.list(name)).flatMap((text) => text.split(','));
  return {
    nodeName: flags.string('node') ?? flags.string('node-name') ?? null,
    region: flags.string('region') ?? null,
    datacenter: flags.string('dc') ?? null,
    dataDir: flags.string('data-dir') ?? null,
    bind: flags.string('bind') ?? null,
    pluginDir: flags.string('plugin-dir') ?? null,
    logLevel: flags.string('log-level') ?? null,
    logJson: flags.optionalBool('log-json') ?? null,
    logFile: flags.string('log-file') ?? null,
    server: flags.optionalBool('server') ?? null,
    client: flags.optionalBool('client') ?? null,
    servers: orNull(listed('servers', 'join', 'retry-join')),
    stateDir: flags.string('state-dir') ?? null,
    allocDir: flags.string('alloc-dir') ?? null,
    nodeClass: flags.string('node-class') ?? null,
    nodePool: flags.string('node-pool') ?? null,
    meta: metaOf(flags.list('meta')),
    networkInterface: flags.string('network-interface') ?? null,
    networkSpeed: flags.int('network-speed') ?? null,
    aclEnabled: flags.optionalBool('acl-enabled') ?? null,
    httpPort: flags.int('http-port') ?? null,
    joinKeyFile: flags.string('join-key-file') ?? null,
    meshBootstrap: bootstrapOf(listed('bootstrap')),
    meshPort: flags.int('mesh-port') ?? null,
  };
}

/** Flags whose value is a path. */
const PATHS = new Set(['config', 'data-dir', 'state-dir', 'alloc-dir', 'plugin-dir', 'log-file', 'join-key-file']);

/** The flags as they were said, for an agent that something else starts: from another directory. */
export function agentArguments(flags: Flags): string[] {
  return Object.entries(AGENT_FLAGS).flatMap(([name, { type }]) =>
    saidValues(flags, name, type).map((value) => `-${name}=${PATHS.has(name) ? resolve(value) : value}`),
  );
}

function saidValues(flags: Flags, name: string, type: FlagSpec['type']): string[] {
  switch (type) {
    case 'list':
      return flags.list(name);
    case 'bool':
      return [flags.optionalBool(name)].flatMap((value) => (value === undefined ? [] : String(value)));
    case 'int':
      return [flags.int(name)].flatMap((value) => (value === undefined ? [] : String(value)));
    case 'string':
      return [flags.string(name)].flatMap((value) => value ?? []);
    case 'duration':
      // An agent is told no time on its command line.
      return [];
  }
}

/** Null: not said. */
export function bootstrapOf(list: string[]): string[] | null {
  return list.length === 1 && list[0] === 'none' ? [] : orNull(list);
}

function orNull(list: string[]): string[] | null {
  return list.length > 0 ? list : null;
}

function metaOf(pairs: string[]): Record<string, string> | null {
  if (pairs.length === 0) return null;
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new UsageError(`-meta must be key=value, not ${JSON.stringify(pair)}`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}
