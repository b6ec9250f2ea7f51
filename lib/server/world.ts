import type { ConfigProblem } from '../plugin/sdk/driver.js';
import type { PluginProblem } from '../scaling/policy.js';
import type { Store } from '../state/store.js';
import type { AutopilotConfiguration } from '../structs/operator.js';
import type { SchedulerConfiguration } from '../structs/rpc.js';
import type { ScalingStanding } from '../structs/rpc-scaling.js';
import type { JobLimits } from '../structs/validate/limits.js';
import type { SigningKey } from '../transport/signature.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import type { Turns } from '../util/turns.js';
import type { Company } from './company.js';
import type { GcThresholds } from './garbage.js';
import type { HeartbeatLimits } from './heartbeat.js';
import type { ServerMesh } from './mesh/config.js';
import type { PlanRejectionLimits } from './plan-rejections.js';
import type { Consensus, ConsensusGroup, ServerPeers } from './ports.js';
import type { Timers } from './timers.js';
import type { VolumePolicy } from './volume-access.js';

export interface ServerConfig {
  region: string;
  /** What a server in no mesh calls itself, and its version. */
  about?: { name: string; version: string; datacenter: string };
  heartbeat?: Partial<HeartbeatLimits>;
  /** What a job may be, and the priority of one that says none; Nomad's limits unless given. */
  jobs?: Partial<JobLimits> & { defaultPriority?: number };
  /** What the scheduler's configuration is in a mesh that has none yet. */
  scheduler?: Partial<SchedulerConfiguration>;
  /** How many changes are kept for readers of the event stream; 0 = there is none. 100 unless given, as Nomad. */
  eventBufferSize?: number;
  gc?: Partial<GcThresholds>;
  /** What a new mesh begins with. */
  autopilot?: Partial<AutopilotConfiguration>;
  /** Opens what is sealed for this server. Absent = it keeps no secrets: variables and identities are refused. */
  identity?: SigningKey;
  /** How the autoscaler fares that runs beside this server while it leads; absent = none does. */
  scalingStanding?: () => ScalingStanding[];
  /** What is in the way of a plugin that a scaling policy names; absent = no autoscaler runs beside this server. */
  scalerProblem?: PluginProblem;
  /** Absent = this server is in no mesh. */
  mesh?: ServerMesh;
  /** Absent = a node is left in the choice however often plans are refused on it. */
  planRejections?: PlanRejectionLimits;
  /** Names of the drivers that some node has or could have; absent = any name is taken. */
  knownDrivers?: () => readonly string[];
  /** What is wrong with a task's config by the driver of that name, where it is known here; absent = of none. */
  driverProblems?: (driver: string, config: Record<string, unknown>) => Promise<ConfigProblem[]>;
  /** Who may do what with which volume; absent = everybody everything. */
  volumePolicy?: VolumePolicy;
  /** Addresses (`host:port`) that a client may ask next, and that Status.Peers names. */
  servers?: () => string[];
  /** The address (`ip:port`) of a server, by its id in the raft group; absent = the id is shown. */
  addressOf?: (serverId: string) => string;
}

/** All that the parts of a server know of the world. */
export interface ServerWorld {
  readonly consensus: Consensus;
  /** For proposals that need not go at once. */
  readonly company: Company;
  /** Absent: this server is alone for ever. */
  readonly group?: ConsensusGroup;
  /** Absent: it knows no others. */
  readonly peers?: ServerPeers;
  readonly store: Store;
  readonly now: () => Millis;
  readonly random: Random;
  readonly log: Log;
  readonly timers: Timers;
  /** For whatever goes through much. */
  readonly turns: Turns;
  readonly config: ServerConfig;
}
