import type { Duplex } from 'node:stream';
import type { NetReport } from '../structs/mesh.js';
import type { LogLevel } from '../util/log.js';
import type { Result } from '../util/result.js';

/** A figure the agent keeps about itself, as Nomad names them: `nomad.client.allocs.running`. */
export interface MetricPoint {
  name: string;
  kind: 'gauge' | 'counter';
  value: number;
  labels: Record<string, string>;
}

/** What the HTTP API tells about the agent itself; the agent implements it. */
export interface AgentFacts {
  readonly version: string;
  /** `/v1/agent/self`: `{config, member, stats}`. */
  self(): object;
  /** `/v1/agent/members`. */
  members(): object;
  /** Whether its server and its client are fit for work. */
  health(): { server: { ok: boolean; message: string } | null; client: { ok: boolean; message: string } | null };
  /** How this agent is linked with its mesh, and the names of its members by key; null in none. */
  net(): (NetReport & { Names: Record<string, string> }) | null;
  /** Takes this agent out of its mesh, and ends it soon after; the error says what is in the way. */
  leave(): Promise<Result<void, string>>;
  /** `host:port` of the servers it knows. */
  servers(): string[];
  metrics(): MetricPoint[];
  /** Writes what it logs from now on into a stream of frames, a line each, until that is closed. */
  followLog(how: { level: LogLevel; json: boolean }, stream: Duplex): void;
  /** Reads its configuration files again; the error says what is wrong with them. */
  reload(): Promise<Result<string[], string>>;
}
