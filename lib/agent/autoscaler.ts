import { join } from 'node:path';
import type { Autoscaler } from '../autoscaler/index.js';
import type { ScalerBlocks, ScalerSet } from '../plugin/scalers.js';
import type { DriverOptions } from '../plugin/sdk/driver.js';
import type { ScalingPolicy } from '../structs/job.js';
import type { ScalingStanding } from '../structs/rpc-scaling.js';
import type { RpcCaller } from '../transport/rpc.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import { createAutoscalerMetrics } from './autoscaler-metrics.js';
import type { MetricSource } from './metrics.js';

/** How the autoscaler of a server is set up. */
export interface AutoscalerSettings {
  /** What holds where a policy says nothing. */
  evaluationIntervalMs: Millis;
  cooldownMs: Millis;
  apm: ScalerBlocks;
  strategy: ScalerBlocks;
  target: ScalerBlocks;
  /** Policies that no job has, from files: of whole machines. */
  policies: readonly ScalingPolicy[];
}

export interface AgentAutoscalerOptions {
  settings: AutoscalerSettings;
  rpc: RpcCaller;
  pluginDir: string | null;
  stateDir: string;
  log: Log;
}

/** The autoscaler of an agent: runs while its server leads. */
export interface AgentAutoscaler {
  /** Leadership began or ended. */
  lead(leads: boolean): void;
  standing(): ScalingStanding[];
  readonly metrics: MetricSource;
  stop(): Promise<void>;
}

export function createAgentAutoscaler(options: AgentAutoscalerOptions): AgentAutoscaler {
  return new LeadersAutoscaler(options);
}

/** Its plugins stay loaded for the next time. */
class LeadersAutoscaler implements AgentAutoscaler {
  private readonly options: AgentAutoscalerOptions;
  private scalers: ScalerSet | undefined;
  private running: Autoscaler | undefined;
  /** What is begun and ended, one after the other: leadership may change faster than plugins load. */
  private turn: Promise<void> = Promise.resolve();
  private leads = false;
  private readonly figures = createAutoscalerMetrics();

  constructor(options: AgentAutoscalerOptions) {
    this.options = options;
  }

  lead(leads: boolean): void {
    this.leads = leads;
    this.turn = this.turn
      .then(() => (this.leads ? this.begin() : this.end()))
      .catch((error: unknown) => {
        this.options.log.error('autoscaler could not be started', {
          why: error instanceof Error ? error.message : String(error),
        });
      });
  }

  standing(): ScalingStanding[] {
    return this.running?.standing() ?? [];
  }

  readonly metrics: MetricSource = () => this.figures.points(this.standing());

  async stop(): Promise<void> {
    this.lead(false);
    await this.turn;
    await this.scalers?.close();
  }

  private async begin(): Promise<void> {
    if (this.running) return;
    const { settings, rpc, pluginDir, stateDir, log } = this.options;
    const [{ startAutoscaler }, { createScalers }] = await Promise.all([
      import('../autoscaler/index.js'),
      import('../plugin/scalers.js'),
    ]);
    const logOf = (target: Log): DriverOptions['log'] => {
      return (level, message, fields) => target[level](message, fields as Parameters<Log['info']>[1]);
    };
    const { apm, strategy, target, policies, evaluationIntervalMs, cooldownMs } = settings;
    this.scalers ??= createScalers({
      apm,
      strategy,
      target,
      rpc,
      pluginDir,
      stateDir: join(stateDir, 'scalers'),
      log: (plugin) => logOf(log.child(plugin)),
    });
    if (!this.leads) return;
    this.running = startAutoscaler({
      rpc,
      filePolicies: policies,
      scalers: this.scalers,
      now: () => Date.now(),
      log,
      defaults: { evaluationIntervalMs, cooldownMs },
      onReport: this.figures.count,
    });
  }

  private async end(): Promise<void> {
    const { running } = this;
    this.running = undefined;
    await running?.stop();
  }
}
