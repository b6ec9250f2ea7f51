import type { Millis } from '../../util/clock.js';
import type { LogLevel } from '../../util/log.js';

/**
 * How an agent is set up: every value decided. Everything listens on 127.0.0.1 unless `bind_addr` or `addresses` says
 * otherwise; Nomad listens everywhere. What is null was not given, and is found out by whoever needs it.
 */
export interface AgentConfig {
  /** `-dev`: server and client at once, raw_exec on, nothing kept. */
  dev: boolean;
  /** Whether files or flags say what the agent is to be; else its role in the mesh decides. */
  rolesSaid: boolean;
  region: string;
  datacenter: string;
  /** Null: the name of the host. */
  nodeName: string | null;
  /** Null only with `-dev`. Absolute or as it was given. */
  dataDir: string | null;
  pluginDir: string | null;
  /** What is listened on by whatever has no address of its own. */
  bindAddr: string;
  ports: { http: number; rpc: number };
  /** Where each face listens; HTTP may have several addresses. */
  addresses: { http: string[]; rpc: string };
  /** What others are told to use; null: as it listens. */
  advertise: { http: string | null; rpc: string | null };
  log: LogConfig;
  leaveOnInterrupt: boolean;
  leaveOnTerminate: boolean;
  enableDebug: boolean;
  httpHeaders: Record<string, string>;
  server: ServerSection;
  client: ClientSection;
  mesh: MeshSection;
  autoscaler: AutoscalerSection;
  /** By driver or plugin name. `config` goes to the plugin as it is. */
  plugins: Record<string, PluginSection>;
  acl: AclSection;
  tls: TlsSection;
  limits: { httpConnectionsMax: number; rpcConnectionsMax: number; httpsHandshakeMs: Millis; rpcHandshakeMs: Millis };
  /** Sections that later parts of the agent read; in Nomad's words, checked, durations in ms. */
  telemetry: Record<string, unknown>;
  autopilot: Record<string, unknown>;
}

export interface AutoscalerSection {
  enabled: boolean;
  policyDir: string | null;
  evaluationIntervalMs: Millis;
  cooldownMs: Millis;
  apm: ScalerSections;
  strategy: ScalerSections;
  target: ScalerSections;
}

/** `places`: where what stands in the files ("agent.hcl:12,5-9"), by path in `config`; '' = the block. */
export interface PluginSection {
  args: string[];
  config: Record<string, unknown>;
  package: string | null;
  places: Record<string, string>;
}

/** By name; `driver` null: the plugin of that name. */
export type ScalerSections = Record<
  string,
  { driver: string | null; args: string[]; config: Record<string, unknown>; package: string | null }
>;

export interface LogConfig {
  /** Null: no log at all ("off"). */
  level: LogLevel | null;
  json: boolean;
  file: string | null;
  includeLocation: boolean;
  rotateMs: Millis;
  /** 0: no limit. */
  rotateBytes: number;
  rotateFilesMax: number;
}

export interface ServerSection {
  enabled: boolean;
  heartbeatGraceMs: Millis;
  heartbeatTtlMinMs: Millis;
  heartbeatTtlFailoverMs: Millis;
  heartbeatsPerSecondMax: number;
  /** Null: one for each core. */
  numSchedulers: number | null;
  enabledSchedulers: string[];
  gc: {
    intervalMs: Millis;
    nodeMs: Millis;
    jobMs: Millis;
    evalMs: Millis;
    batchEvalMs: Millis;
    deploymentMs: Millis;
    volumeClaimMs: Millis;
    aclTokenMs: Millis;
  };
  /** Null: a node is left in the choice however often plans are refused on it. */
  planRejections: { nodeThreshold: number; nodeWindowMs: Millis } | null;
  enableEventBroker: boolean;
  eventBufferSize: number;
  jobDefaultPriority: number;
  jobMaxPriority: number;
  jobMaxCount: number;
  /** As it is written, "1MiB"; null: not given. */
  jobMaxSourceSize: string | null;
  /** As the scheduler configuration has it, in Nomad's words; seeds a new mesh only. */
  schedulerConfig: Record<string, unknown>;
  /** Addresses of servers to join, from `server_join`, `start_join` and `retry_join`. */
  join: string[];
}

export interface ClientSection {
  /** The command that puts this machine to sleep. */
  sleepCommand: string[];
  enabled: boolean;
  /** Null: below the data directory. */
  stateDir: string | null;
  allocDir: string | null;
  /** "host:port" of servers that are reached by plain address. */
  servers: string[];
  nodeClass: string;
  nodePool: string;
  meta: Record<string, string>;
  options: Record<string, string>;
  chrootEnv: Record<string, string>;
  /** −1: no task gets a user of its own. */
  dynamicUsers: { min: number; max: number };
  networkInterface: string | null;
  networkSpeedMbits: number | null;
  cpuTotalMhz: number | null;
  memoryTotalMb: number | null;
  diskTotalMb: number | null;
  diskFreeMb: number | null;
  /** "0-3,8": the only cores that tasks may have whole; null: all. */
  reservableCores: string | null;
  reserved: { cpuMhz: number; memoryMb: number; diskMb: number; ports: string; cores: string };
  hostVolumesDir: string | null;
  hostVolumePluginDir: string | null;
  commonPluginDir: string | null;
  /** CSI plugins that run outside, by id. */
  csiPlugins: Record<string, { socket: string; type: 'controller' | 'node' | 'monolith' }>;
  hostVolumes: Record<string, { path: string; readOnly: boolean }>;
  hostNetworks: Record<string, { cidr: string; interface: string; reservedPorts: string }>;
  preferredFamily: 'ipv4' | 'ipv6';
  /** Ports are mapped on all addresses as long as no host network is configured. */
  bindWildcard: boolean;
  /** Directories, as PATH has them; null: Nomad's and the distributions' own. */
  cniPath: string | null;
  cniConfigDir: string | null;
  bridge: { name: string | null; subnet: string | null; subnetIpv6: string | null; hairpin: boolean };
  nodeMaxAllocs: number;
  defaultIneligible: boolean;
  serviceDiscovery: boolean;
  maxKillTimeoutMs: Millis;
  minDynamicPort: number;
  maxDynamicPort: number;
  gc: {
    intervalMs: Millis;
    parallelDestroys: number;
    maxAllocs: number;
    diskUsagePercent: number;
    inodeUsagePercent: number;
  };
  disableRemoteExec: boolean;
  /** Null: allocations stay when the agent stops. */
  drainOnShutdown: { deadlineMs: Millis; force: boolean; ignoreSystemJobs: boolean } | null;
  /** Clouds that are asked what they know of this machine, by their names. */
  clouds: Record<string, { retryIntervalMs: Millis; retryAttempts: number; exitOnFailure: boolean }>;
  cgroupParent: string | null;
  /** In Nomad's words. */
  artifact: Record<string, unknown>;
  template: Record<string, unknown>;
}

export interface MeshSection {
  /** Null: the public DHT; empty: the local network only. */
  bootstrap: string[] | null;
  /** 0: chosen once, and kept. */
  port: number;
  hints: string[];
  /** What agents that link by plain address must both have; '' = only on this machine. */
  secret: string;
  /** Wins over `secret`. */
  secretFile: string | null;
  voter: 'auto' | 'never';
  relay: boolean;
  clientApi: boolean;
  mdns: boolean;
  advertise: string[];
  joinKeyFile: string | null;
}

export interface AclSection {
  enabled: boolean;
  tokenTtlMs: Millis;
  policyTtlMs: Millis;
  roleTtlMs: Millis;
  tokenExpirationMinMs: Millis;
  tokenExpirationMaxMs: Millis;
}

export interface TlsSection {
  http: boolean;
  caFile: string | null;
  certFile: string | null;
  keyFile: string | null;
  minVersion: string;
  verifyClient: boolean;
}

/** What the command line says; it stands over all files. Null or left out: not said. */
export interface AgentFlags {
  nodeName?: string | null;
  region?: string | null;
  datacenter?: string | null;
  dataDir?: string | null;
  bind?: string | null;
  pluginDir?: string | null;
  logLevel?: string | null;
  logJson?: boolean | null;
  logFile?: string | null;
  server?: boolean | null;
  client?: boolean | null;
  servers?: readonly string[] | null;
  join?: readonly string[] | null;
  stateDir?: string | null;
  allocDir?: string | null;
  nodeClass?: string | null;
  nodePool?: string | null;
  meta?: Readonly<Record<string, string>> | null;
  networkInterface?: string | null;
  networkSpeed?: number | null;
  aclEnabled?: boolean | null;
  httpPort?: number | null;
  joinKeyFile?: string | null;
  /** Empty: the local network only. */
  meshBootstrap?: readonly string[] | null;
  meshPort?: number | null;
}
