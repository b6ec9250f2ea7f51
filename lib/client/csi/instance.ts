import type { CsiInfo } from '../../structs/csi.js';
import type { Millis } from '../../util/clock.js';
import type { Log } from '../../util/log.js';
import { sleep, type Timers, toRfc3339 } from '../timers.js';
import { askFacts, type CsiFacts, type CsiPluginType, probe } from './probe.js';
import { type CsiRpc, openCsiRpc } from './rpc.js';

/** One process that serves a plugin on this machine. */
export interface CsiInstanceSpec {
  pluginId: string;
  type: CsiPluginType;
  /** The allocation that runs it; '' for one that runs outside. */
  allocId: string;
  /** The path of its socket, as the host sees it. */
  socket: string;
  /** Where the plugin sees its node base. */
  baseInside: string;
}

/** A healthy plugin is looked at this often; one that is not, more often. */
const HEALTHY_PERIOD_MS: Millis = 10_000;
const STARTING_PERIOD_MS: Millis = 250;
const UNHEALTHY_PERIOD_MS: Millis = 2_000;

/** Watches one process of a plugin: is it ready, and what can it do. */
export class CsiInstance {
  readonly spec: CsiInstanceSpec;
  private readonly options: { timers: Timers; log: Log; onChange: () => void };
  private readonly ending = new AbortController();
  private readonly opened: Promise<CsiRpc>;
  private found: CsiFacts | null = null;
  /** Null while it has not answered yet. */
  private state: { healthy: boolean; why: string; sinceMs: Millis } | null = null;

  constructor(spec: CsiInstanceSpec, options: { timers: Timers; log: Log; onChange: () => void }) {
    this.spec = spec;
    this.options = options;
    this.opened = openCsiRpc(spec.pluginId, spec.socket);
  }

  /** The connection to it. */
  get rpc(): Promise<CsiRpc> {
    return this.opened;
  }

  get isHealthy(): boolean {
    return this.state?.healthy === true;
  }

  /** Why it is not healthy; '' while nothing is known. */
  get why(): string {
    return this.state?.why ?? '';
  }

  /** Null before it has first answered. */
  get facts(): CsiFacts | null {
    return this.found;
  }

  /** As the servers are told; null before it has first answered. */
  info(part: 'controller' | 'node'): CsiInfo | null {
    const { found, state } = this;
    if (!found || !state || !found[part]) return null;
    return {
      PluginID: this.spec.pluginId,
      AllocID: this.spec.allocId,
      Healthy: state.healthy,
      HealthDescription: state.healthy ? 'healthy' : state.why,
      UpdateTime: toRfc3339(state.sinceMs),
      Provider: found.Provider,
      ProviderVersion: found.ProviderVersion,
      RequiresControllerPlugin: found.requiresController,
      RequiresTopologies: found.requiresTopologies,
      ControllerInfo: part === 'controller' ? found.controller : null,
      NodeInfo: part === 'node' ? found.node : null,
    };
  }

  /** Looks at it until it is closed. Never throws. */
  async watch(): Promise<void> {
    const { signal } = this.ending;
    const rpc = await this.opened;
    while (!signal.aborted) {
      await this.look(rpc);
      const isNew = this.found === null;
      const periodMs = this.isHealthy ? HEALTHY_PERIOD_MS : isNew ? STARTING_PERIOD_MS : UNHEALTHY_PERIOD_MS;
      await sleep(this.options.timers, periodMs, signal);
    }
    rpc.close();
  }

  close(): void {
    this.ending.abort();
  }

  private async look(rpc: CsiRpc): Promise<void> {
    const { signal } = this.ending;
    try {
      await probe(rpc, signal);
      this.found = await askFacts(rpc, this.spec.type, signal);
      this.settle(true, '');
    } catch (error) {
      if (!signal.aborted) this.settle(false, error instanceof Error ? error.message : String(error));
    }
  }

  private settle(healthy: boolean, why: string): void {
    const { timers, log, onChange } = this.options;
    const { pluginId, type, allocId } = this.spec;
    const hasTurned = this.state?.healthy !== healthy;
    if (hasTurned && healthy) log.info('csi plugin is healthy', { plugin: pluginId, type, alloc: allocId });
    if (hasTurned && !healthy && this.found) log.warn('csi plugin is not healthy', { plugin: pluginId, type, why });
    this.state = { healthy, why, sinceMs: hasTurned ? timers.now() : (this.state?.sinceMs ?? timers.now()) };
    onChange();
  }
}
