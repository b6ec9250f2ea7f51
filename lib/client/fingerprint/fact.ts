import type { NodeNetworkResource } from '../../structs/node.js';
import type { NetworkResource } from '../../structs/resources.js';
import type { NodeTopology } from '../../structs/topology.js';
import type { ClientConfig } from '../config.js';

/** What a fingerprint has found out about this machine; attributes under Nomad's names. */
export interface Facts {
  attributes: Record<string, string>;
  cpu?: {
    totalMhz: number;
    cores: number;
    /** Ids of the cores that may be given to tasks; absent: all. */
    reservable?: number[];
    /** Kept from tasks; absent: what the config says. */
    reservedMhz?: number;
    topology?: NodeTopology;
  };
  memoryMb?: number;
  diskMb?: number;
  networks?: NetworkResource[];
  nodeNetworks?: NodeNetworkResource[];
  /** Names of this machine elsewhere, such as a cloud's id of it. */
  links?: Record<string, string>;
  /** What a person should hear of in the log, each once while it stays so. */
  warnings?: string[];
}

export interface FingerprintInput {
  config: ClientConfig;
  httpAddr: string;
  version: string;
  /** What it found the last time. */
  before?: Facts;
}

/** One kind of fact. `periodMs` null: it does not change while the agent runs. */
export interface Fingerprint {
  readonly name: string;
  readonly periodMs: number | null;
  /** Nobody waits for its first answer: the node is told without it, and again when it is there. */
  readonly slow?: boolean;
  /** A person who reloads the agent may have changed what it looks at. */
  readonly onReload?: boolean;
  run(input: FingerprintInput): Promise<Facts>;
}
