import type { ClientConfig } from '../client/config.js';
import type { PluginConfigs } from '../plugin/registry.js';
import type { Address } from '../transport/tcp.js';

/** What an agent is made from: the configuration, worked out. */
export interface AgentSettings {
  version: string;
  nodeName: string;
  region: string;
  datacenter: string;
  /** Where state is kept; null = nowhere, and tasks end with the agent (`-dev`). */
  dataDir: string | null;
  http: Address;
  /** Connections to the HTTP API from one address; 0 = no limit. */
  httpConnectionsMax: number;
  /** Where other agents may link to this one by plain address. */
  rpc: Address;
  /** What agents that link by plain address must both have; '' = only on this machine. */
  secret: string;
  server: { heartbeatGraceMs: number | null } | null;
  client: ClientConfig | null;
  /** Servers to link to by plain address; a client that has none uses the server of its own agent. */
  servers: Address[];
  plugins: PluginConfigs;
  /** Drivers that are on although their plugin block does not say so. */
  enabledDrivers: string[];
}
