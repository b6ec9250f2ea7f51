import { join } from 'node:path';
import type { Autoscaler } from '../autoscaler/index.js';
import { createScalers, type ScalerBlocks, type ScalerSet, scalerProblem } from '../plugin/scalers.js';
import type { DriverOptions } from '../plugin/sdk/driver.js';
import type { PluginProblem } from '../scaling/index.js';
import type { ScalingStanding } from '../structs/rpc-scaling.js';
import type { RpcCaller } from '../transport/rpc.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import { createAutoscalerMetrics } from './autoscaler-metrics.js';
import type { MetricSource } from './metrics.js';
import { NO_POLICIES, type PolicyDir, readPolicyDir } from './policy-dir.js';

/** How the autoscaler of a server is set up. */
export interface AutoscalerSettings {
  /** What holds where a policy says nothing. */
  evaluationIntervalMs: Millis;
  cooldownMs: Millis;
  apm: ScalerBlocks;
  strategy: ScalerBlocks;
  target: ScalerBlocks;
  /** Policies that no job has, from files: of whole machines. */
  policies: PolicyDir;
}

export interface AgentAutoscalerOptions {
  settings: AutoscalerSettings;
  rpc: RpcCaller;
  /** The HTTP API of this agent, for plugins that are programs. */
  address: () => string;
  pluginDir: string | null;
  stateDir: string;
  log: Log;
}

/** The autoscaler of an agent: runs while its server leads. */
export interface AgentAutoscaler {
  /** Leadership began or ended. */
  lead(leads: boolean): void;
  /** Reads the files of this directory again. */
  reload(policyDir: string | null): void;
  standing(): ScalingStanding[];
  /** What is in the way of a plugin that a policy names; undefined: nothing. */
  readonly problem: PluginProblem;
  readonly metrics: MetricSource;
  stop(): Promise<void>;
}

export function createAgentAutoscaler(options: AgentAutoscalerOptions): AgentAutoscaler {
  return new LeadersAutoscaler(options);
}

/** Its plugins stay loaded for the next time. It stands back while an autoscaler of its own process acts. */
class LeadersAutoscaler implements AgentAutoscaler {
  private readonly options: AgentAutoscalerOptions;
  private scalers: ScalerSet | undefined;
  private running: Autoscaler | undefined;
  /** What is begun and ended, one after the other: leadership may change faster than plugins load. */
  private turn: Promise<void> = Promise.resolve();
  private leads = false;
  /** While this server leads: asks for the lease of the others. */
  private following: AbortController | undefined;
  /** Nobody else acts, as far as is known. */
  private isFree = false;
  private policies: PolicyDir;
  private readonly figures = createAutoscalerMetrics();

  constructor(options: AgentAutoscalerOptions) {
    this.options = options;
    this.policies = options.settings.policies;
  }

  lead(leads: boolean): void {
    if (leads === this.leads) return;
    this.leads = leads;
    this.following?.abort();
    this.following = undefined;
    this.isFree = false;
    if (leads) this.follow();
    this.settle();
  }

  reload(policyDir: string | null): void {
    this.policies = policyDir === null ? NO_POLICIES : readPolicyDir(policyDir, this.policies);
    tellBroken(this.policies, this.options.log);
    this.running?.replaceFiles(this.policies);
  }

  standing(): ScalingStanding[] {
    return this.running?.standing() ?? [];
  }

  readonly problem: PluginProblem = (kind, name) => {
    const { settings, pluginDir } = this.options;
    return scalerProblem({ ...settings, pluginDir }, kind, name);
  };

  readonly metrics: MetricSource = () => this.figures.points(this.standing());

  async stop(): Promise<void> {
    this.lead(false);
    await this.turn;
    await this.scalers?.close();
  }

  private follow(): void {
    const following = new AbortController();
    this.following = following;
    const { rpc, log } = this.options;
    const options = { rpc, log, signal: following.signal, nowMs: () => performance.now() };
    let isOther = false;
    const onHolder = (holder: string | null): void => {
      if (following.signal.aborted) return;
      if (holder !== null) log.info('another autoscaler acts: standing back', { holder });
      else if (isOther) log.info('no other autoscaler acts any more: acting');
      isOther = holder !== null;
      this.isFree = holder === null;
      this.settle();
    };
    // Its files may be gone: who upgrades a package does so under the agent that runs.
    import('../autoscaler/index.js').then(({ followLease }) => followLease(options, onHolder)).catch(this.notStarted);
  }

  private settle(): void {
    this.turn = this.turn.then(() => (this.isFree ? this.begin() : this.end())).catch(this.notStarted);
  }

  private readonly notStarted = (error: unknown): void => {
    const why = error instanceof Error ? error.message : String(error);
    this.options.log.error('autoscaler could not be started', { why });
  };

  private async begin(): Promise<void> {
    if (this.running) return;
    const { settings, rpc, address, pluginDir, stateDir, log } = this.options;
    const { evaluationIntervalMs, cooldownMs } = settings;
    const { startAutoscaler } = await import('../autoscaler/index.js');
    this.scalers ??= createScalers({
      ...settings,
      rpc,
      nomad: () => ({ nomad_address: address() }),
      pluginDir,
      stateDir: join(stateDir, 'scalers'),
      log: scalerLog(log),
    });
    if (!this.isFree) return;
    this.running = startAutoscaler({
      rpc,
      filePolicies: this.policies,
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

/** Files that were not taken over, for the log. */
export function tellBroken({ broken }: PolicyDir, log: Log): void {
  for (const { why } of broken) log.error('policies were not read again, and stay as they were', { why });
}

/** The logs of plugins, below that of the autoscaler. */
export function scalerLog(log: Log): (plugin: string) => DriverOptions['log'] {
  return (plugin) => {
    const own = log.child(plugin);
    return (level, message, fields) => own[level](message, fields as Parameters<Log['info']>[1]);
  };
}
