import { CLOUD_NAMES } from '../../structs/cloud-names.js';
import { NODE_POOL_NAME } from '../../structs/node-pool.js';
import { PORT_MAX, parsePortRanges } from '../../structs/port-ranges.js';
import { parseCoreList } from '../../structs/topology.js';
import { nearest } from '../../util/nearest.js';
import type { AgentConfig, ClientSection } from './config.js';
import { networkProblems } from './networks.js';

/** What is wrong with a configuration whose keys and types are right. */
export interface Problem {
  /** Path of the key to blame; '' when only the whole is wrong. */
  readonly key: string;
  readonly message: string;
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', null];

/** What is wrong with the whole configuration. */
export function* problemsOf(config: AgentConfig): Generator<Problem> {
  const { ports, mesh, log, tls } = config;
  if (!config.dev && config.dataDir === null)
    yield {
      key: '',
      message: 'Where to keep state must be said: set data_dir, or use -data-dir (or -dev to keep nothing).',
    };
  for (const [key, port] of Object.entries({
    'ports.http': ports.http,
    'ports.rpc': ports.rpc,
    'mesh.port': mesh.port,
  })) {
    if (port < 0 || port > PORT_MAX)
      yield { key, message: `${key} is ${port}; a port lies between 0 and ${PORT_MAX}.` };
  }
  if (!LOG_LEVELS.includes(log.level))
    yield {
      key: 'log_level',
      message: `log_level "${log.level}" is not one of trace, debug, info, warn, error, off.`,
    };
  yield* clientProblems(config.client);
  if (tls.http && (tls.certFile === null || tls.keyFile === null))
    yield { key: 'tls.http', message: 'tls.http needs cert_file and key_file.' };
  for (const key of ['region', 'datacenter'] as const) {
    if (/[/\0]/.test(config[key])) yield { key, message: `${key} must not contain "/".` };
  }
}

function* clientProblems(client: ClientSection): Generator<Problem> {
  const { minDynamicPort, maxDynamicPort } = client;
  if (minDynamicPort < 1 || minDynamicPort > maxDynamicPort || maxDynamicPort > PORT_MAX)
    yield {
      key: 'client.min_dynamic_port',
      message: `client.min_dynamic_port (${minDynamicPort}) must not exceed max_dynamic_port (${maxDynamicPort}), and both be ports.`,
    };
  for (const [id, { socket }] of Object.entries(client.csiPlugins)) {
    if (!socket.startsWith('/'))
      yield {
        key: `client.csi_plugin "${id}"`,
        message: `csi_plugin "${id}" needs the absolute path of its socket, not "${socket}".`,
      };
  }
  for (const [name, { path }] of Object.entries(client.hostVolumes)) {
    if (!path.startsWith('/'))
      yield {
        key: `client.host_volume "${name}"`,
        message: `host_volume "${name}" needs an absolute path, not "${path}".`,
      };
  }
  if (!NODE_POOL_NAME.test(client.nodePool))
    yield {
      key: 'client.node_pool',
      message: `client.node_pool: "${client.nodePool}" is no name of a node pool: 1 to 128 letters, digits, - and _.`,
    };
  yield* networkProblems(client);
  yield* cloudProblems(client);
  const { min, max } = client.dynamicUsers;
  if (min < -1 || max < -1 || (max < min && min !== -1 && max !== -1))
    yield {
      key: 'client.users',
      message: `client.users: dynamic_user_min = ${min} and dynamic_user_max = ${max} leave no user; −1 for one of them turns users of tasks' own off.`,
    };
  yield* resourceProblems(client);
  yield* timeProblems(client);
}

function* timeProblems({ maxKillTimeoutMs, gc, template, drainOnShutdown }: ClientSection): Generator<Problem> {
  if (drainOnShutdown && drainOnShutdown.deadlineMs <= 0)
    yield {
      key: 'client.drain_on_shutdown.deadline',
      message:
        'client.drain_on_shutdown.deadline must be more than nothing, such as "1h"; force = true stops everything at once.',
    };
  if (maxKillTimeoutMs < 0)
    yield { key: 'client.max_kill_timeout', message: 'client.max_kill_timeout must not be negative.' };
  if (gc.intervalMs <= 0)
    yield { key: 'client.gc_interval', message: 'client.gc_interval must be more than nothing, such as "1m".' };
  for (const key of ['wait', 'wait_bounds']) {
    const { min, max } = (template[key] ?? {}) as { min?: number; max?: number };
    if (min !== undefined && max !== undefined && min > max)
      yield { key: `client.template.${key}`, message: `client.template.${key}: min must not exceed max.` };
  }
}

function* cloudProblems({ clouds }: ClientSection): Generator<Problem> {
  for (const [name, { exitOnFailure, retryAttempts }] of Object.entries(clouds)) {
    const key = `client.fingerprint "${name}"`;
    const near = nearest(name, CLOUD_NAMES);
    if (!CLOUD_NAMES.includes(name)) {
      const instead = near ? `; did you mean "${near}"?` : `: ${CLOUD_NAMES.join(', ')}.`;
      yield { key, message: `${key} is none that can be set up${instead}` };
    }
    if (exitOnFailure)
      yield {
        key,
        message: `${key}: exit_on_failure is not supported; a job that needs the cloud's word constrains on it.`,
      };
    if (retryAttempts < 0) yield { key, message: `${key}: retry_attempts must not be negative.` };
  }
}

function* resourceProblems(client: ClientSection): Generator<Problem> {
  const { reserved } = client;
  for (const [key, list] of Object.entries({
    'client.reserved.cores': reserved.cores,
    'client.reservable_cores': client.reservableCores ?? '',
  })) {
    if (!parseCoreList(list)) yield { key, message: `${key}: "${list}" is no list of cores: write it as "0-3,8".` };
  }
  for (const [key, amount] of Object.entries({
    'client.reserved.cpu': reserved.cpuMhz,
    'client.reserved.memory': reserved.memoryMb,
    'client.reserved.disk': reserved.diskMb,
    'client.cpu_total_compute': client.cpuTotalMhz,
    'client.memory_total_mb': client.memoryTotalMb,
    'client.disk_total_mb': client.diskTotalMb,
    'client.disk_free_mb': client.diskFreeMb,
    'client.network_speed': client.networkSpeedMbits,
    'client.node_max_allocs': client.nodeMaxAllocs,
  })) {
    if (amount !== null && amount < 0) yield { key, message: `${key} is ${amount}; it must be 0 or more.` };
  }
  if (parsePortRanges(reserved.ports).includes(null))
    yield {
      key: 'client.reserved.reserved_ports',
      message: `client.reserved.reserved_ports: "${reserved.ports}" is no list of ports: write it as "22,80,8500-8600".`,
    };
}
