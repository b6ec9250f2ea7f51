import type { ClientConfig } from '../client/config.js';
import type { HttpTls } from '../http/server.js';
import type { PluginBlocks } from '../plugin/registry.js';
import type { GcThresholds } from '../server/garbage.js';
import type { HeartbeatLimits } from '../server/heartbeat.js';
import type { PlanRejectionLimits } from '../server/plan-rejections.js';
import type { AutopilotConfiguration } from '../structs/operator.js';
import type { SchedulerConfiguration } from '../structs/rpc.js';
import type { JobLimits } from '../structs/validate/limits.js';
import type { Address } from '../transport/tcp.js';
import type { AutoscalerSettings } from './autoscaler.js';

/** How this agent takes part in a mesh, if it does. */
export interface MeshSettings {
  /** Where the mesh keeps its files, below the data directory; null: nowhere. */
  folder: string | null;
  bootstrap: 'public' | readonly Address[];
  /** Null: chosen at the first start, and kept. */
  port: number | null;
  /** Where other members may be tried first. */
  hints: readonly Address[];
  mdns: boolean;
  /** Whether traffic of other members may be relayed through this one. */
  relay: boolean;
  /** Whether this server answers what the HTTP API of a client is asked. */
  clientApi: boolean;
  /** Whether this agent may be made a voter. */
  voter: boolean;
  advertise: readonly Address[];
  joinKeyFile: string | null;
}

/** What an agent is made from: the configuration, worked out for this machine. */
export interface AgentSettings {
  version: string;
  nodeName: string;
  region: string;
  datacenter: string;
  /** Where state is kept; null = nowhere, and tasks end with the agent (`-dev`). */
  dataDir: string | null;
  /** Where the HTTP API listens: one address at least, all with the same port. */
  http: {
    hosts: string[];
    port: number;
    connectionsPerAddressMax: number;
    headers: Record<string, string>;
    tls: HttpTls | null;
  };
  /** Where other agents may link to this one by plain address. */
  rpc: Address;
  /** What agents that link by plain address must both have; '' = only on this machine. */
  secret: string;
  mesh: MeshSettings;
  server: {
    heartbeat: Partial<HeartbeatLimits>;
    gc: Partial<GcThresholds>;
    planRejections?: PlanRejectionLimits;
    eventBufferSize?: number;
    jobs?: Partial<JobLimits> & { defaultPriority?: number };
    /** What the scheduler's configuration is in a mesh that has none yet. */
    scheduler?: Partial<SchedulerConfiguration>;
    /** What autopilot's configuration is in a mesh that has none yet. */
    autopilot: Partial<AutopilotConfiguration>;
  } | null;
  client: ClientConfig | null;
  /** Null: no autoscaler runs here. */
  autoscaler: AutoscalerSettings | null;
  /** Servers to link to by plain address; a client that has none uses the server of its own agent. */
  servers: Address[];
  plugins: PluginBlocks;
  /** Where plugins that are programs lie; null: there are none. */
  pluginDir: string | null;
  /** Drivers that are on although their plugin block does not say so. */
  enabledDrivers: string[];
  /** Whether a driver may be offered here. */
  allowsDriver: (name: string) => boolean;
  /** Whether commands may be run inside tasks of this node. */
  allowExec: boolean;
}
