import { setTimeout as pause } from 'node:timers/promises';
import type { ScalerSet } from '../plugin/scalers.js';
import { MACHINE_LIMITS, pluginProblems, type ScalingEffect, ScalingMachine } from '../scaling/index.js';
import type { LastDecision, MachineLimits } from '../scaling/machine.js';
import { POLICY_DEFAULTS, type PolicyDefaults } from '../scaling/policy.js';
import type { ScalingAction } from '../structs/autoscaling.js';
import type { ScalingPolicy } from '../structs/job.js';
import type { ScalingNote, ScalingStanding } from '../structs/rpc-scaling.js';
import type { RpcCaller } from '../transport/rpc.js';
import { assertNever } from '../util/assert.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import { evaluate, scale } from './evaluate.js';
import { type FilePolicies, type KnownPolicy, PolicyBook } from './policies.js';

const RETRY_MS: Millis = 2_000;
/** A tick at least so often: a clock that is set back must not keep it waiting. */
const TICK_MAX_MS: Millis = 5_000;
/** Of one policy. */
const NOTES_MAX = 10;

export interface AutoscalerOptions {
  /** Asks the servers, as any reader would. */
  rpc: RpcCaller;
  /** Policies that no job has: of files. */
  filePolicies?: FilePolicies;
  /** Whether those of jobs count; absent = they do. Of one namespace when it is given. */
  jobPolicies?: boolean;
  namespace?: string;
  limits?: MachineLimits;
  /** Asked before each action: whether nobody else acts. Absent = nobody does. */
  mayAct?: () => boolean;
  scalers: ScalerSet;
  now: () => Millis;
  log: Log;
  defaults?: Partial<PolicyDefaults>;
  /** Hears of each evaluation and each action that came to an end. */
  onReport?: (report: ScalingReport) => void;
}

/** What was done, for figures. */
export type ScalingReport =
  | { type: 'evaluated'; tookMs: Millis }
  | {
      type: 'scaled';
      tookMs: Millis;
      target: string;
      direction: ScalingAction['direction'];
      result: 'done' | 'no-op' | 'failed';
    };

/** The autoscaler: begins when this server leads, ends when it does not. */
export interface Autoscaler {
  stop(): Promise<void>;
  /** Puts these in the place of the policies of files. */
  replaceFiles(files: FilePolicies): void;
  /** How every policy fares. */
  standing(): ScalingStanding[];
}

/** Starts the autoscaler: it follows the policies of the jobs, evaluates and scales until it is stopped. */
export function startAutoscaler(options: AutoscalerOptions): Autoscaler {
  return new RunningAutoscaler(options);
}

class RunningAutoscaler implements Autoscaler {
  private readonly options: AutoscalerOptions;
  private readonly ending = new AbortController();
  private readonly machine: ScalingMachine;
  private files: FilePolicies;
  /** What was said in the log of a policy that is wrong, by its id. */
  private warned = new Map<string, string>();
  private ofJobs: readonly ScalingPolicy[] = [];
  private readonly book: PolicyBook;
  private readonly work = new Set<Promise<unknown>>();
  private notes = new Map<string, ScalingNote[]>();
  private lastNote = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(options: AutoscalerOptions) {
    this.options = options;
    this.machine = new ScalingMachine(options.limits);
    this.files = options.filePolicies ?? { policies: [], broken: [] };
    this.book = new PolicyBook({ ...POLICY_DEFAULTS, ...options.defaults });
    this.take();
    if (options.jobPolicies ?? true) this.track(this.follow());
  }

  replaceFiles(files: FilePolicies): void {
    this.files = files;
    this.take();
  }

  async stop(): Promise<void> {
    this.ending.abort();
    if (this.timer) clearTimeout(this.timer);
    await Promise.allSettled([...this.work]);
  }

  standing(): ScalingStanding[] {
    const nowMs = this.options.now();
    const views = new Map(this.machine.view(nowMs).map((view) => [view.policy.id, view]));
    const standings = this.book.all.map((known): ScalingStanding => {
      const { stored, inForce } = known;
      const view = views.get(stored.ID);
      return {
        ID: stored.ID,
        Type: stored.Type,
        Target: { Name: inForce?.target.name ?? '', Config: inForce?.target.config ?? stored.Target ?? {} },
        Min: inForce?.min ?? stored.Min ?? 0,
        Max: inForce?.max ?? stored.Max ?? 0,
        State: view?.state ?? (stored.Enabled ? 'invalid' : 'disabled'),
        CooldownUntilMs: view?.cooldownUntilMs ?? 0,
        Problems: this.problemsOf(known),
        Notes: this.notes.get(stored.ID) ?? [],
        Last: view?.last ? lastOf(view.last) : null,
      };
    });
    return [...standings, ...this.files.broken.map(brokenFile)];
  }

  /** Hears of every change of the policies, for ever. */
  private async follow(): Promise<void> {
    const { rpc, log } = this.options;
    const { signal } = this.ending;
    for (let index = 0; !signal.aborted; ) {
      try {
        const list = await rpc.call(
          'Scaling.ListPolicies',
          { Namespace: this.options.namespace ?? '*', MinQueryIndex: index },
          { signal, timeoutMs: 11 * 60_000 },
        );
        // An index that went back: the servers have another state now.
        index = list.Index < index ? 0 : list.Index;
        const policies = await Promise.all(
          list.Policies.map(
            async ({ ID }) => (await rpc.call('Scaling.GetPolicy', { ID }, { signal, timeoutMs: 30_000 })).Policy,
          ),
        );
        this.ofJobs = policies.flatMap((policy) => policy ?? []);
        this.take();
      } catch (error) {
        if (signal.aborted) return;
        log.warn('scaling policies could not be read, will be tried again', { why: messageOf(error) });
        await pause(RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
      }
    }
  }

  private take(): void {
    this.book.replace([...this.files.policies, ...this.ofJobs]);
    this.warn();
    const ids = new Set(this.book.all.map(({ stored }) => stored.ID));
    this.notes = new Map([...this.notes].filter(([id]) => ids.has(id)));
    this.machine.setPolicies(this.book.inForce, this.options.now());
    this.tick();
  }

  /** The same is said once. */
  private warn(): void {
    const wrong = this.book.all.map((known) => [known.stored.ID, this.problemsOf(known).join('; ')] as const);
    for (const [policy, problems] of wrong) {
      if (problems !== '' && this.warned.get(policy) !== problems)
        this.options.log.warn('scaling policy is wrong', { policy, problems });
    }
    this.warned = new Map(wrong);
  }

  /** A plugin may be there the next time one looks. */
  private problemsOf({ inForce, problems }: KnownPolicy): string[] {
    const { scalers } = this.options;
    const missing = inForce?.enabled ? pluginProblems(inForce, (kind, name) => scalers.problem(kind, name)) : [];
    return [...problems, ...missing.map(({ path, message }) => `${path} ${message}`)];
  }

  private tick(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    if (this.ending.signal.aborted) return;
    const nowMs = this.options.now();
    for (const effect of this.machine.tick(nowMs)) this.act(effect);
    const next = this.machine.nextMs(nowMs);
    if (next === undefined) return;
    this.timer = setTimeout(() => this.tick(), Math.min(TICK_MAX_MS, Math.max(1, next - nowMs)));
    this.timer.unref();
  }

  private act(effect: ScalingEffect): void {
    const { scalers, now, log } = this.options;
    const { patienceMs } = this.options.limits ?? MACHINE_LIMITS;
    const context = { scalers, now, patienceMs, signal: this.ending.signal };
    const { policy, seq } = effect;
    // Not by the clock of the day: it may be set.
    const begunMs = performance.now();
    if (effect.type === 'scale' && this.options.mayAct?.() === false) {
      this.machine.scaled(policy.id, seq, { kind: 'no-op', reason: 'another autoscaler may act now' }, now());
      return;
    }
    switch (effect.type) {
      case 'evaluate':
        this.track(
          evaluate(effect, context).then((answer) => {
            this.options.onReport?.({ type: 'evaluated', tookMs: performance.now() - begunMs });
            for (const next of this.machine.evaluated(policy.id, seq, answer, now())) this.act(next);
            this.tick();
          }),
        );
        return;
      case 'scale':
        log.info('scaling', {
          policy: policy.id,
          target: policy.target.name,
          count: effect.action.count,
          why: effect.action.reason,
        });
        this.track(
          scale(effect, context, (text) => this.note(policy.id, text)).then((answer) => {
            this.options.onReport?.({
              type: 'scaled',
              tookMs: performance.now() - begunMs,
              target: policy.target.name,
              direction: effect.action.direction,
              result: answer.kind === 'dry-run' ? 'no-op' : answer.kind,
            });
            if (answer.kind === 'no-op' || answer.kind === 'failed')
              log.warn('not scaled', { policy: policy.id, result: answer.kind, why: answer.reason });
            this.machine.scaled(policy.id, seq, answer, now());
            this.tick();
          }),
        );
        return;
      default:
        assertNever(effect);
    }
  }

  private note(id: string, text: string): void {
    const note = { Seq: ++this.lastNote, AtMs: this.options.now(), Text: text };
    this.notes.set(id, [...(this.notes.get(id) ?? []), note].slice(-NOTES_MAX));
  }

  private track(work: Promise<unknown>): void {
    const own = work.catch((error: unknown) => {
      if (!this.ending.signal.aborted) this.options.log.error('autoscaler failed', { why: messageOf(error) });
    });
    this.work.add(own);
    void own.finally(() => this.work.delete(own));
  }
}

/** A file that has no policy of its own to tell of it. */
function brokenFile({ file, why }: FilePolicies['broken'][number]): ScalingStanding {
  return {
    ID: file,
    Type: 'file',
    Target: { Name: '', Config: {} },
    Min: 0,
    Max: 0,
    State: 'invalid',
    CooldownUntilMs: 0,
    Problems: why.split('\n'),
    Notes: [],
    Last: null,
  };
}

function lastOf(last: LastDecision): NonNullable<ScalingStanding['Last']> {
  return {
    AtMs: last.atMs,
    Count: last.count,
    Action: last.action,
    Reason: last.reason,
    Meta: last.meta,
    Result: last.result,
    Checks: last.outcomes.map((outcome) => ({
      Name: outcome.check,
      Result:
        outcome.kind === 'action'
          ? `${outcome.action.direction} ${outcome.action.count}: ${outcome.action.reason}`
          : outcome.kind === 'error'
            ? outcome.reason
            : 'off schedule',
    })),
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
