import { availableParallelism, cpus } from 'node:os';
import type { Connection, Method, PluginCallError } from '../go-plugin/connection.js';
import { type PluginBlock, placeOf } from '../plugin-block.js';
import { decodeBySchema, type ProtoSpec, toSchema } from '../schema/decode.js';
import { encodeMsgpack } from '../schema/msgpack.js';
import type { DriverCapabilities } from '../sdk/driver.js';

/** What a driver or device plugin says of itself. JSON: it is kept for the next start of the agent. */
export interface PluginFacts {
  kind: 'driver' | 'device';
  /** As jobs say it. */
  name: string;
  version: string;
  /** How the `config` blocks of tasks are read; null for device plugins. */
  taskSchema: ProtoSpec | null;
  capabilities: DriverCapabilities;
  /** It makes the network namespaces of its tasks itself. */
  createsNetworks: boolean;
  /** It looks for the pipes of a task's output in the directory of the task's logs (as exec2 does), wherever it is told that they are. */
  wantsPipesInLogs: boolean;
}

/** The version of the plugin API that drivers and devices are spoken to in. */
const API_VERSION = 'v0.1.0';
const ANSWER_MS = 10_000;
/** A plugin may look at its engine before it takes its configuration. */
const CONFIGURE_MS = 60_000;
/** Of a core, where nothing tells its frequency. */
const GUESSED_MHZ = 1000;

interface Info {
  type: string;
  name: string;
  plugin_version: string;
  plugin_api_versions: string[];
}

interface ProtoCapabilities {
  send_signals: boolean;
  exec: boolean;
  fs_isolation: string;
  network_isolation_modes: string[];
  must_create_network: boolean;
  dynamic_workload_users: boolean;
}

/** Asks a plugin who it is and hands it its configuration. Throws what is wrong with either, for the user. */
export async function setUpNomadPlugin(
  connection: Connection,
  block: Pick<PluginBlock, 'config' | 'places'> | null,
): Promise<PluginFacts> {
  const info = await ask<Info>(connection, base('PluginInfo'));
  const kind = KINDS[info.type];
  if (!kind) throw new Error(`it is neither a driver nor a device plugin (type ${info.type})`);
  if (info.name === '') throw new Error('it has no name');
  if (!info.plugin_api_versions.includes(API_VERSION)) {
    throw new Error(`it speaks ${info.plugin_api_versions.join(', ')} of the plugin API; this agent ${API_VERSION}`);
  }
  const { spec } = await ask<{ spec: ProtoSpec | null }>(connection, base('ConfigSchema'));
  await connection.call(
    base('SetConfig'),
    {
      msgpack_config: encodeConfig(spec, block),
      plugin_api_version: API_VERSION,
      nomad_config: { driver: { ClientMinPort: 14_000, ClientMaxPort: 14_512, Topology: topology() } },
    },
    { timeoutMs: CONFIGURE_MS },
  );
  const { name, plugin_version: version } = info;
  return { kind, name, version, ...(kind === 'driver' ? await driverFacts(connection) : DEVICE_FACTS) };
}

const KINDS: Record<string, PluginFacts['kind']> = { DRIVER: 'driver', DEVICE: 'device' };

const DEVICE_FACTS = {
  taskSchema: null,
  capabilities: { sendSignals: false, exec: false, fsIsolation: 'none' as const },
  createsNetworks: false,
  wantsPipesInLogs: false,
};

async function driverFacts(connection: Connection): Promise<Omit<PluginFacts, 'kind' | 'name' | 'version'>> {
  const { spec } = await ask<{ spec: ProtoSpec | null }>(connection, driverMethod('TaskConfigSchema'));
  const schema = toSchema(spec);
  if (!schema.ok) throw new Error(`its schema of tasks ${schema.error}`);
  const answer = await ask<{ capabilities: ProtoCapabilities | null }>(connection, driverMethod('Capabilities'));
  const found = answer.capabilities;
  const fsIsolation = FS_ISOLATION[found?.fs_isolation ?? ''] ?? 'none';
  return {
    taskSchema: spec,
    capabilities: {
      sendSignals: found?.send_signals ?? false,
      exec: found?.exec ?? false,
      fsIsolation,
      // Whom Nomad's own run tasks as (exec, java); what is theirs a plugin that runs them as root can use as well.
      ...(fsIsolation === 'chroot' ? { defaultUser: 'nobody' } : {}),
      ownUsers: found?.dynamic_workload_users ?? false,
      joinsNetwork: found?.network_isolation_modes.includes('GROUP') ?? false,
    },
    createsNetworks: found?.must_create_network ?? false,
    wantsPipesInLogs: found?.fs_isolation === 'UNVEIL',
  };
}

/** A task that is "unveiled" sees the machine's files, some of them. */
const FS_ISOLATION: Record<string, DriverCapabilities['fsIsolation']> = {
  NONE: 'none',
  CHROOT: 'chroot',
  IMAGE: 'image',
  UNVEIL: 'none',
};

/** A plugin without a schema takes no configuration. */
function encodeConfig(spec: ProtoSpec | null, block: Pick<PluginBlock, 'config' | 'places'> | null): Buffer {
  const config = block?.config ?? null;
  if (!spec?.block) {
    if (config && Object.keys(config).length > 0) throw new Error('it takes no configuration, and config { } has some');
    return Buffer.alloc(0);
  }
  const schema = toSchema(spec);
  if (!schema.ok) throw new Error(`its schema ${schema.error}`);
  const decoded = decodeBySchema(schema.value, config ?? {});
  if ('value' in decoded) return encodeMsgpack(decoded.value);
  throw new Error(
    `its config is wrong: ${decoded.problems.map(({ path, message }) => `${placeOf(block ?? {}, path)}${path} ${message}`).join('; ')}`,
  );
}

function ask<T>(connection: Connection, method: Method): Promise<T> {
  return connection.call<T>(method, {}, { timeoutMs: ANSWER_MS });
}

function base(name: string): Method {
  return { file: 'base', service: 'hashicorp.nomad.plugins.base.proto.BasePlugin', name };
}

export function driverMethod(name: string): Method {
  return { file: 'driver', service: 'hashicorp.nomad.plugins.drivers.proto.Driver', name };
}

export function deviceMethod(name: string): Method {
  return { file: 'device', service: 'hashicorp.nomad.plugins.device.DevicePlugin', name };
}

/** A value of the plugins' `Attribute`. */
export interface ProtoAttribute {
  value?: 'float_val' | 'int_val' | 'string_val' | 'bool_val';
  float_val?: number;
  int_val?: number;
  string_val?: string;
  bool_val?: boolean;
  unit: string;
}

/** The value that is set; undefined when none is. */
export function attributeValue(attribute: ProtoAttribute): string | number | boolean | undefined {
  return attribute.value === undefined ? undefined : attribute[attribute.value];
}

const RECOVERABLE = 'plugins.shared.structs.RecoverableError';

/** Whether the plugin has said that trying again may help; null when it has said nothing. */
export function saysRecoverable(error: PluginCallError): boolean | null {
  const details = error.details?.toString('latin1') ?? '';
  const at = details.indexOf(RECOVERABLE);
  // Behind the name of the type stands its value, field 2; in it `recoverable`, field 1: false is left out.
  return at < 0 ? null : details.startsWith('\x12\x02\x08\x01', at + RECOVERABLE.length);
}

/** The machine's cores, as on one NUMA node. Nomad's executor (raw_exec, exec, java, qemu) crashes at its first task without them. */
function topology(): object {
  const found = cpus();
  const cores = Array.from({ length: found.length || availableParallelism() }, (_, core_id) => ({
    socket_id: 0,
    node_id: 0,
    core_id,
    guess_speed: found[core_id]?.speed || GUESSED_MHZ,
  }));
  return { node_ids: [0], distances: { dimension: 1, values: [10] }, cores };
}
