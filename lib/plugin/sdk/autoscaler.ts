import type { Metric, ScalingAction, ScalingCheck, TargetStatus, TimeRange } from '../../structs/autoscaling.js';
import type { RpcMethods } from '../../structs/rpc.js';
import type { ConfigProblem, DriverOptions } from './driver.js';

/** A call to a plugin of the autoscaler: aborted when its time is up or the leader changes. */
export interface ScalerCall {
  signal: AbortSignal;
}

/** A call that changes something. */
export interface ScaleCall extends ScalerCall {
  /** Says what is being done, in a line, to people who wait for it. */
  tell(text: string): void;
}

/** Tells figures. Its methods may be called at the same time. */
export interface Apm {
  readonly name: string;
  /** The figures of one series, oldest first; [] when there are none. Throws when the query is refused or not answered. */
  query(query: string, range: TimeRange, call: ScalerCall): Promise<Metric[]>;
  /** The same for a query that gives several series. */
  queryMultiple(query: string, range: TimeRange, call: ScalerCall): Promise<Metric[][]>;
  close(): Promise<void>;
}

/** Turns figures into a wish. */
export interface Strategy {
  readonly name: string;
  /** What should become of a target that counts `count` now. Throws when `check.strategy.config` cannot be used. */
  run(input: { check: ScalingCheck; metrics: Metric[]; count: number }, call: ScalerCall): Promise<ScalingAction>;
  close(): Promise<void>;
}

/** Scales something. `config` is the policy's `target` block; for a task group it has Namespace, Job and Group. */
export interface Target {
  readonly name: string;
  /** What there is now. Throws when it cannot be told: nothing is scaled then. */
  status(config: Record<string, string>, call: ScalerCall): Promise<TargetStatus>;
  /** Enacts the action. Throws ScalingNoOp when there was nothing to do, another error when it did not work. */
  scale(action: ScalingAction, config: Record<string, string>, call: ScaleCall): Promise<void>;
  close(): Promise<void>;
}

/** Raised by a target that had nothing to do: no cooldown begins. */
export class ScalingNoOp extends Error {
  /** By its name: the plugin of a package has a copy of this class of its own. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === 'ScalingNoOp';
  }

  constructor(message: string) {
    super(message);
    this.name = 'ScalingNoOp';
  }
}

/** How a bundled plugin asks the servers. */
export interface ScalerRpc {
  call<M extends keyof RpcMethods>(
    method: M,
    args: RpcMethods[M]['args'],
    options: { signal: AbortSignal },
  ): Promise<RpcMethods[M]['reply']>;
}

export type ScalerOptions = DriverOptions & { rpc: ScalerRpc };

/** The default export of a package that is a plugin of the autoscaler. */
interface ScalerPlugin<K extends string, T> {
  readonly kind: K;
  readonly name: string;
  /** Checks the `config` of the agent's block; returns the problems. Pure. */
  configProblems(config: Record<string, unknown>): ConfigProblem[];
  create(options: ScalerOptions): T;
}

export type ApmPlugin = ScalerPlugin<'apm', Apm>;
export type StrategyPlugin = ScalerPlugin<'strategy', Strategy>;
export type TargetPlugin = ScalerPlugin<'target', Target>;

/** How Nomad's own plugins are told where the servers are. */
const NOMAD_KEYS = ['address', 'region', 'namespace', 'token', 'http-auth', 'ca-cert', 'ca-path', 'client-cert']
  .concat(['client-key', 'tls-server-name', 'skip-verify', 'config_inherit'])
  .map((key) => `nomad_${key}`);

/** For plugins that take no config. Where the servers are may be said, as Nomad's plugins need it; this one asks them as its host does. */
export function refuseConfig(config: Record<string, unknown>): ConfigProblem[] {
  return Object.keys(config)
    .filter((path) => !NOMAD_KEYS.includes(path))
    .map((path) => ({ path, message: 'is not known: it takes no config' }));
}
