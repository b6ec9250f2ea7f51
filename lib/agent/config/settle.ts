import type { LogLevel } from '../../util/log.js';
import type {
  AclSection,
  AgentConfig,
  AutoscalerSection,
  ClientSection,
  LogConfig,
  MeshSection,
  ScalerSections,
  ServerSection,
  TlsSection,
} from './config.js';
import { Picker } from './pick.js';
import type { Checked } from './read.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Decides every value: what the files say, else Nomad's default. */
export function settle(checked: Checked, dev: boolean): AgentConfig {
  const root = new Picker(checked);
  const bindAddr = root.text('bind_addr') ?? '127.0.0.1';
  const addresses = root.section('addresses');
  const limits = root.section('limits');
  return {
    dev,
    rolesSaid: dev || root.section('server').has('enabled') || root.section('client').has('enabled'),
    region: root.get('region', 'global'),
    datacenter: root.get('datacenter', 'dc1'),
    nodeName: root.text('name'),
    dataDir: root.text('data_dir'),
    pluginDir: root.text('plugin_dir'),
    bindAddr,
    ports: { http: root.section('ports').get('http', 4646), rpc: root.section('ports').get('rpc', 4647) },
    addresses: {
      http: (addresses.text('http') ?? bindAddr).split(/\s+/).filter(Boolean),
      rpc: addresses.text('rpc') ?? bindAddr,
    },
    advertise: { http: root.section('advertise').text('http'), rpc: root.section('advertise').text('rpc') },
    log: logOf(root, dev),
    leaveOnInterrupt: root.get('leave_on_interrupt', false),
    leaveOnTerminate: root.get('leave_on_terminate', false),
    enableDebug: root.get('enable_debug', dev),
    httpHeaders: root.get('http_api_response_headers', {}),
    server: serverOf(root.section('server'), dev),
    client: clientOf(root.section('client'), dev),
    mesh: meshOf(root.section('mesh'), dev),
    autoscaler: autoscalerOf(root.section('autoscaler')),
    plugins: pluginsOf(root, dev),
    acl: aclOf(root.section('acl')),
    tls: tlsOf(root.section('tls')),
    limits: {
      httpConnectionsMax: limits.get('http_max_conns_per_client', 100),
      rpcConnectionsMax: limits.get('rpc_max_conns_per_client', 100),
      httpsHandshakeMs: limits.get('https_handshake_timeout', 5 * SECOND),
      rpcHandshakeMs: limits.get('rpc_handshake_timeout', 5 * SECOND),
    },
    telemetry: root.whole('telemetry'),
    autopilot: root.whole('autopilot'),
  };
}

/** The plugins of a kind that an autoscaler is given. */
export function scalerSections(section: Picker, kind: 'apm' | 'strategy' | 'target'): ScalerSections {
  return section.labelled(kind, (_, plugin) => ({
    driver: plugin.text('driver'),
    args: plugin.get<string[]>('args', []),
    config: plugin.whole('config'),
    package: plugin.text('package'),
  }));
}

function autoscalerOf(autoscaler: Picker): AutoscalerSection {
  return {
    enabled: autoscaler.get('enabled', true),
    policyDir: autoscaler.text('policy_dir'),
    evaluationIntervalMs: autoscaler.get('default_evaluation_interval', 10 * SECOND),
    cooldownMs: autoscaler.get('default_cooldown', 300 * SECOND),
    apm: scalerSections(autoscaler, 'apm'),
    strategy: scalerSections(autoscaler, 'strategy'),
    target: scalerSections(autoscaler, 'target'),
  };
}

function pluginsOf(root: Picker, dev: boolean): AgentConfig['plugins'] {
  const plugins = root.labelled('plugin', (_, plugin) => ({
    args: plugin.get<string[]>('args', []),
    config: plugin.whole('config'),
    package: plugin.text('package'),
    places: {},
  }));
  if (!dev) return plugins;
  const rawExec = plugins['raw_exec'] ?? { args: [], config: {}, package: null, places: {} };
  return { ...plugins, raw_exec: { ...rawExec, config: { enabled: true, ...rawExec.config } } };
}

function logOf(root: Picker, dev: boolean): LogConfig {
  const level = root.get<LogLevel | 'off'>('log_level', dev ? 'debug' : 'info');
  return {
    level: level === 'off' ? null : level,
    json: root.get('log_json', false),
    file: root.text('log_file'),
    includeLocation: root.get('log_include_location', false),
    rotateMs: root.get('log_rotate_duration', DAY),
    rotateBytes: root.get('log_rotate_bytes', 0),
    rotateFilesMax: root.get('log_rotate_max_files', 0),
  };
}

function serverOf(server: Picker, dev: boolean): ServerSection {
  const joins = server.section('server_join');
  const rejections = server.section('plan_rejection_tracker');
  const none: string[] = [];
  return {
    enabled: server.get('enabled', dev),
    heartbeatGraceMs: server.get('heartbeat_grace', 10 * SECOND),
    heartbeatTtlMinMs: server.get('min_heartbeat_ttl', 10 * SECOND),
    heartbeatTtlFailoverMs: server.get('failover_heartbeat_ttl', 5 * MINUTE),
    heartbeatsPerSecondMax: server.get('max_heartbeats_per_second', 50),
    numSchedulers: server.number('num_schedulers'),
    enabledSchedulers: server.get('enabled_schedulers', ['service', 'batch', 'system', 'sysbatch']),
    gc: {
      intervalMs: server.get('job_gc_interval', 5 * MINUTE),
      nodeMs: server.get('node_gc_threshold', DAY),
      jobMs: server.get('job_gc_threshold', 4 * HOUR),
      evalMs: server.get('eval_gc_threshold', HOUR),
      batchEvalMs: server.get('batch_eval_gc_threshold', DAY),
      deploymentMs: server.get('deployment_gc_threshold', HOUR),
      volumeClaimMs: server.get('csi_volume_claim_gc_threshold', 5 * MINUTE),
      aclTokenMs: server.get('acl_token_gc_threshold', HOUR),
    },
    planRejections: rejections.get('enabled', false)
      ? {
          nodeThreshold: rejections.get('node_threshold', 100),
          nodeWindowMs: rejections.get('node_window', 5 * MINUTE),
        }
      : null,
    enableEventBroker: server.get('enable_event_broker', true),
    eventBufferSize: server.get('event_buffer_size', 100),
    jobDefaultPriority: server.get('job_default_priority', 50),
    jobMaxPriority: server.get('job_max_priority', 100),
    jobMaxCount: server.get('job_max_count', 50_000),
    jobMaxSourceSize: server.text('job_max_source_size'),
    schedulerConfig: server.whole('default_scheduler_config'),
    join: [
      ...joins.get('start_join', none),
      ...joins.get('retry_join', none),
      ...server.get('start_join', none),
      ...server.get('retry_join', none),
    ],
  };
}

function clientOf(client: Picker, dev: boolean): ClientSection {
  const reserved = client.section('reserved');
  const joins = client.section('server_join');
  const users = client.section('users');
  const none: string[] = [];
  return {
    enabled: client.get('enabled', dev),
    stateDir: client.text('state_dir'),
    allocDir: client.text('alloc_dir'),
    servers: [...client.get('servers', none), ...joins.get('start_join', none), ...joins.get('retry_join', none)],
    nodeClass: client.get('node_class', ''),
    nodePool: client.text('node_pool') ?? 'default',
    meta: client.get('meta', {}),
    options: client.get('options', {}),
    chrootEnv: client.get('chroot_env', {}),
    dynamicUsers: { min: users.get('dynamic_user_min', 80_000), max: users.get('dynamic_user_max', 89_999) },
    networkInterface: client.text('network_interface'),
    // As with Nomad, with 0 the machine is asked.
    networkSpeedMbits: client.number('network_speed') || null,
    cpuTotalMhz: client.number('cpu_total_compute') || null,
    memoryTotalMb: client.number('memory_total_mb') || null,
    diskTotalMb: client.number('disk_total_mb') || null,
    diskFreeMb: client.number('disk_free_mb') || null,
    reservableCores: client.text('reservable_cores'),
    reserved: {
      cpuMhz: reserved.get('cpu', 0),
      memoryMb: reserved.get('memory', 0),
      diskMb: reserved.get('disk', 0),
      ports: reserved.get('reserved_ports', ''),
      cores: reserved.get('cores', ''),
    },
    hostVolumesDir: client.text('host_volumes_dir'),
    hostVolumePluginDir: client.text('host_volume_plugin_dir'),
    commonPluginDir: client.text('common_plugin_dir'),
    csiPlugins: client.labelled('csi_plugin', (_, plugin) => ({
      socket: plugin.get('socket', ''),
      type: plugin.get<'controller' | 'node' | 'monolith'>('type', 'monolith'),
    })),
    hostVolumes: client.labelled('host_volume', (_, volume) => ({
      path: volume.get('path', ''),
      readOnly: volume.get('read_only', false),
    })),
    hostNetworks: client.labelled('host_network', (_, network) => ({
      cidr: network.get('cidr', ''),
      interface: network.get('interface', ''),
      reservedPorts: network.get('reserved_ports', ''),
    })),
    preferredFamily: client.get('preferred_address_family', 'ipv4'),
    bindWildcard: client.get('bind_wildcard_default_host_network', true),
    cniPath: client.text('cni_path'),
    cniConfigDir: client.text('cni_config_dir'),
    bridge: {
      name: client.text('bridge_network_name'),
      subnet: client.text('bridge_network_subnet'),
      subnetIpv6: client.text('bridge_network_subnet_ipv6'),
      hairpin: client.get('bridge_network_hairpin_mode', false),
    },
    nodeMaxAllocs: client.get('node_max_allocs', 0),
    defaultIneligible: client.get('default_ineligible', false),
    serviceDiscovery: client.get('nomad_service_discovery', true),
    maxKillTimeoutMs: client.get('max_kill_timeout', 30 * SECOND),
    minDynamicPort: client.get('min_dynamic_port', 20_000),
    maxDynamicPort: client.get('max_dynamic_port', 32_000),
    gc: {
      intervalMs: client.get('gc_interval', MINUTE),
      parallelDestroys: client.get('gc_parallel_destroys', 2),
      maxAllocs: client.get('gc_max_allocs', 50),
      diskUsagePercent: client.get('gc_disk_usage_threshold', 80),
      inodeUsagePercent: client.get('gc_inode_usage_threshold', 70),
    },
    disableRemoteExec: client.get('disable_remote_exec', false),
    drainOnShutdown: client.has('drain_on_shutdown') ? drainOf(client.section('drain_on_shutdown')) : null,
    clouds: client.labelled('fingerprint', (_, cloud) => ({
      retryIntervalMs: cloud.get('retry_interval', 2 * SECOND),
      retryAttempts: cloud.get('retry_attempts', 0),
      exitOnFailure: cloud.get('exit_on_failure', false),
    })),
    cgroupParent: client.text('cgroup_parent'),
    sleepCommand: client.section('power').get('sleep', []),
    artifact: client.whole('artifact'),
    template: client.whole('template'),
  };
}

function drainOf(drain: Picker): NonNullable<ClientSection['drainOnShutdown']> {
  return {
    deadlineMs: drain.get('deadline', HOUR),
    force: drain.get('force', false),
    ignoreSystemJobs: drain.get('ignore_system_jobs', false),
  };
}

function meshOf(mesh: Picker, dev: boolean): MeshSection {
  return {
    // A trial on one machine has no business in the public DHT.
    bootstrap: mesh.get<string[] | null>('bootstrap', dev ? [] : null),
    port: mesh.get('port', 0),
    hints: mesh.get('hints', []),
    secret: mesh.get('secret', ''),
    secretFile: mesh.get<string | null>('secret_file', null),
    voter: mesh.get('voter', 'auto'),
    relay: mesh.get('relay', true),
    clientApi: mesh.get('client_api', true),
    mdns: mesh.get('mdns', !dev),
    advertise: mesh.get('advertise', []),
    joinKeyFile: mesh.text('join_key_file'),
  };
}

function aclOf(acl: Picker): AclSection {
  return {
    enabled: acl.get('enabled', false),
    tokenTtlMs: acl.get('token_ttl', 30 * SECOND),
    policyTtlMs: acl.get('policy_ttl', 30 * SECOND),
    roleTtlMs: acl.get('role_ttl', 30 * SECOND),
    tokenExpirationMinMs: acl.get('token_min_expiration_ttl', MINUTE),
    tokenExpirationMaxMs: acl.get('token_max_expiration_ttl', DAY),
  };
}

function tlsOf(tls: Picker): TlsSection {
  return {
    http: tls.get('http', false),
    caFile: tls.text('ca_file'),
    certFile: tls.text('cert_file'),
    keyFile: tls.text('key_file'),
    minVersion: tls.get('tls_min_version', 'tls12'),
    verifyClient: tls.get('verify_https_client', false),
  };
}
