import type {
  Metric,
  ScaleDirection,
  ScalingAction,
  ScalingCheck,
  TargetStatus,
  TimeRange,
} from '../../structs/autoscaling.js';
import { type Connection, type Method, PluginCallError } from '../go-plugin/connection.js';
import { SCALER_PLUGIN } from '../go-plugin/handshake.js';
import type { ProtoFile } from '../go-plugin/protos.js';
import { PluginSupervisor } from '../go-plugin/supervise.js';
import { type Apm, type ScalerCall, ScalingNoOp, type Strategy, type Target } from '../sdk/autoscaler.js';
import type { DriverOptions } from '../sdk/driver.js';
import { fingerprintOf } from './files.js';
import { fromProtoTime, type ProtoTime, toProtoTime } from './times.js';

// Existing plugins of Nomad's autoscaler behind our contracts.

export type ScalerKind = 'apm' | 'strategy' | 'target';

export interface ExternalScalerOptions {
  kind: ScalerKind;
  /** The `driver` of its block: the name of its file. The plugin may call itself something else. */
  driver: string;
  /** A program that `checkPluginFile` has accepted. */
  path: string;
  args: readonly string[];
  config: Record<string, unknown>;
  stateDir: string;
  log: DriverOptions['log'];
}

const PACKAGE = 'hashicorp.nomad_autoscaler.plugins';
const START_MS = 10_000;
const SETUP_MS = 10_000;
/** Whoever calls has a time-out of his own; this one is for those who forget. */
const CALL_MS = 5 * 60_000;

const DIRECTIONS: Record<ScaleDirection, string> = {
  down: 'SCALING_DIRECTION_DOWN',
  none: 'SCALING_DIRECTION_NONE',
  up: 'SCALING_DIRECTION_UP',
};

interface ProtoMetric {
  timestamp: ProtoTime | null;
  value: number;
}

interface ProtoAction {
  count: number;
  reason: string;
  error: boolean;
  direction: string;
  meta: { value: Buffer } | null;
}

/** Starts the plugin and keeps it running; nothing is waited for. */
export function openExternalScaler(options: ExternalScalerOptions): Apm & Strategy & Target {
  return new ExternalScaler(options);
}

class ExternalScaler implements Apm, Strategy, Target {
  readonly name: string;
  readonly #supervisor: PluginSupervisor<void>;

  constructor(options: ExternalScalerOptions) {
    const { kind, driver, path, args, config, stateDir, log } = options;
    this.name = driver;
    this.#supervisor = new PluginSupervisor({
      program: {
        name: driver,
        path,
        args,
        handshake: SCALER_PLUGIN,
        stateDir,
        fingerprint: fingerprintOf(path, args, config),
        startTimeoutMs: START_MS,
        takesUp: true,
        log,
      },
      setUp: (connection) => setUp(connection, { kind, driver, config: textConfig(config), log }),
    });
  }

  async query(query: string, range: TimeRange, call: ScalerCall): Promise<Metric[]> {
    const answer = await this.#call<{ timestamped_metric: ProtoMetric[] }>(
      'apm',
      'Query',
      rangeRequest(query, range),
      call,
    );
    return answer.timestamped_metric.map(toMetric);
  }

  async queryMultiple(query: string, range: TimeRange, call: ScalerCall): Promise<Metric[][]> {
    const answer = await this.#call<{ timestamped_metric: { timestamped_metric: ProtoMetric[] }[] }>(
      'apm',
      'QueryMultiple',
      rangeRequest(query, range),
      call,
    );
    return answer.timestamped_metric.map((series) => series.timestamped_metric.map(toMetric));
  }

  async run(
    input: { check: ScalingCheck; metrics: Metric[]; count: number },
    call: ScalerCall,
  ): Promise<ScalingAction> {
    const { check, metrics, count } = input;
    const answer = await this.#call<{ action: ProtoAction | null }>(
      'strategy',
      'Run',
      {
        // The library of Nomad's plugins takes an action without a direction for an error.
        action: { direction: DIRECTIONS.none },
        check: {
          name: check.name,
          source: check.source,
          query: check.query,
          query_window: toProtoTime(check.queryWindowMs),
          strategy: check.strategy,
        },
        timestamped_metric: metrics.map(({ timestampMs, value }) => ({ timestamp: toProtoTime(timestampMs), value })),
        count,
      },
      call,
    );
    return toAction(answer.action, this.name);
  }

  async status(config: Record<string, string>, call: ScalerCall): Promise<TargetStatus> {
    const { ready, count, meta } = await this.#call<TargetStatus>('target', 'Status', { config }, call);
    return { ready, count, meta };
  }

  async scale(action: ScalingAction, config: Record<string, string>, call: ScalerCall): Promise<void> {
    const { count, reason, error, direction, meta } = action;
    const request = {
      action: {
        count,
        reason,
        error,
        direction: DIRECTIONS[direction],
        meta: { value: Buffer.from(JSON.stringify(meta)) },
      },
      config,
    };
    try {
      await this.#call('target', 'Scale', request, call);
    } catch (failure) {
      if (failure instanceof PluginCallError && failure.status === 'ABORTED') throw new ScalingNoOp(failure.message);
      throw failure;
    }
  }

  close(): Promise<void> {
    return this.#supervisor.close('end');
  }

  async #call<T>(kind: ScalerKind, name: string, request: object, { signal }: ScalerCall): Promise<T> {
    return this.#supervisor.use(
      ({ connection }) => connection.call<T>(SERVICES[kind](name), request, { timeoutMs: CALL_MS, signal }),
      signal,
    );
  }
}

const SERVICES: Record<ScalerKind, (name: string) => Method> = {
  apm: (name) => method('scaler-apm', 'apm.proto.v1.APMPluginService', name),
  strategy: (name) => method('scaler-strategy', 'strategy.proto.v1.StrategyPluginService', name),
  target: (name) => method('scaler-target', 'target.proto.v1.TargetPluginService', name),
};

function method(file: ProtoFile, service: string, name: string): Method {
  return { file, service: `${PACKAGE}.${service}`, name };
}

async function setUp(
  connection: Connection,
  given: { kind: ScalerKind; driver: string; config: Record<string, string>; log: DriverOptions['log'] },
): Promise<void> {
  const base = (name: string): Method => method('scaler-base', 'base.proto.v1.BasePluginService', name);
  const info = await connection.call<{ name: string; type: string }>(base('PluginInfo'), {}, { timeoutMs: SETUP_MS });
  const kind = info.type.replace('PLUGIN_TYPE_', '').toLowerCase();
  if (kind !== given.kind) throw new Error(`it is a plugin of kind ${kind}, not ${given.kind}`);
  // A file may have any name: one that is called as a bundled plugin is used under another.
  if (info.name !== given.driver) given.log('info', `"${given.driver}" calls itself "${info.name}"`);
  await connection.call(base('SetConfig'), { config: given.config }, { timeoutMs: SETUP_MS });
}

/** These plugins know text only. */
function textConfig(config: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}

function rangeRequest(query: string, { fromMs, toMs }: TimeRange): object {
  return { query, time_range: { from: toProtoTime(fromMs), to: toProtoTime(toMs) } };
}

function toMetric({ timestamp, value }: ProtoMetric): Metric {
  return { timestampMs: fromProtoTime(timestamp), value };
}

function toAction(action: ProtoAction | null, plugin: string): ScalingAction {
  const direction = (Object.keys(DIRECTIONS) as ScaleDirection[]).find((one) => DIRECTIONS[one] === action?.direction);
  if (!action || !direction) throw new Error(`plugin ${plugin} gave an action without a direction`);
  const { count, reason, error } = action;
  return { count, reason, error, direction, meta: toMeta(action.meta?.value, plugin) };
}

function toMeta(json: Buffer | undefined, plugin: string): Record<string, unknown> {
  if (!json || json.length === 0) return {};
  try {
    const value: unknown = JSON.parse(json.toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below, like anything else that is no object.
  }
  throw new Error(`plugin ${plugin} gave an action whose meta is no JSON object`);
}
