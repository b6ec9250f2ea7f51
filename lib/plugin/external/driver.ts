import type { Duplex } from 'node:stream';
import type { TaskResourceUsage } from '../../structs/rpc.js';
import { PluginCallError } from '../go-plugin/connection.js';
import { messageOf, type PluginInstance, type PluginSupervisor } from '../go-plugin/supervise.js';
import { decodeBySchema, type Schema, toSchema } from '../schema/decode.js';
import {
  type Driver,
  type DriverCapabilities,
  DriverError,
  type DriverFingerprint,
  type DriverOptions,
  type ExitResult,
  type TaskConfig,
  type TaskHandle,
} from '../sdk/driver.js';
import { signalName, signalNumber } from '../sdk/signals.js';
import { followEvents, followFingerprint } from './driver-streams.js';
import { runPluginExec } from './exec-stream.js';
import { TaskJournal } from './journal.js';
import type { LogCollector } from './log-collector.js';
import { driverMethod, type PluginFacts, saysRecoverable } from './nomad-plugin.js';
import { TaskStats } from './stats.js';
import { scopeOf, type TaskCgroups } from './task-cgroups.js';
import { type OutputPaths, taskMessage } from './task-message.js';

export interface ExternalDriverOptions {
  /** What the plugin said of itself when it was last up. */
  facts: PluginFacts;
  supervisor: PluginSupervisor<PluginFacts>;
  collector: LogCollector;
  cgroups: TaskCgroups;
  stateDir: string;
  log: DriverOptions['log'];
}

const HANDLE_VERSION = 1;
const CALL_MS = 60_000;
/** Starting and stopping an engine's containers may be slow; whoever calls can give up. */
const STOP_GRACE_MS = 60_000;
/** A plugin that is being started is waited for so long before its driver counts as unhealthy. */
const UP_MS = 5_000;
const FIRST_FINGERPRINT_MS = 2_000;
/** A plugin that is being started is waited for so long, when it has tasks that must be ended. */
const REAP_PATIENCE_MS = 5_000;
/** An end that is told while the plugin itself ends is not believed. */
const DOUBT_MS = 1_000;

interface KnownTask {
  task: TaskConfig;
  handle: TaskHandle;
  exit: Promise<ExitResult>;
  hasEnded: boolean;
  /** Why a plugin that was started again could not take the task up. */
  lost: string | null;
  stats: TaskStats;
}

/** A driver that is a program of its own, behind our contract. Its tasks outlive it: a plugin that is started again takes them up. */
export class ExternalDriver implements Driver<unknown> {
  readonly name: string;
  createNetwork?: NonNullable<Driver['createNetwork']>;
  destroyNetwork?: NonNullable<Driver['destroyNetwork']>;
  readonly #options: ExternalDriverOptions;
  readonly #journal: TaskJournal;
  readonly #ending = new AbortController();
  readonly #tasks = new Map<string, KnownTask>();
  readonly #onEvent = new Map<string, Parameters<Driver['startTask']>[1]['onEvent']>();
  readonly #networkPaths = new Map<string, string>();
  #facts: PluginFacts;
  #schema: Schema;
  #fingerprint: DriverFingerprint | undefined;
  #wakeFingerprint: (() => void) | undefined;
  #reapsWhenUp = false;

  constructor(options: ExternalDriverOptions) {
    this.name = options.facts.name;
    this.#options = options;
    this.#journal = new TaskJournal(options.stateDir);
    this.#facts = options.facts;
    this.#schema = schemaOf(options.facts);
    if (options.facts.createsNetworks) {
      this.createNetwork = (allocId, given) => this.#createNetwork(allocId, given.hostname);
      this.destroyNetwork = (allocId, labels) => this.#destroyNetwork(allocId, labels);
    }
  }

  get capabilities(): DriverCapabilities {
    return { ...this.#facts.capabilities, cgroupParent: this.#options.cgroups.parent };
  }

  decodeConfig(config: Record<string, unknown>): ReturnType<Driver['decodeConfig']> {
    const decoded = decodeBySchema(this.#schema, config);
    return 'value' in decoded ? { config: decoded.value } : decoded;
  }

  /** To be called with every new instance of the plugin, before it is used: tells it of the tasks that its forerunner had. */
  async onUp(instance: PluginInstance<PluginFacts>): Promise<void> {
    const { facts } = instance;
    if (facts.kind !== 'driver' || facts.name !== this.name) {
      throw new Error(
        `it was driver "${this.name}" and calls itself ${facts.kind} "${facts.name}" now; restart the agent`,
      );
    }
    this.#facts = facts;
    this.#schema = schemaOf(facts);
    for (const known of this.#tasks.values()) {
      if (known.hasEnded || instance.reattached) continue;
      known.stats.close();
      await this.#tellOf(instance, known.handle, known.task).catch((error: unknown) => {
        known.lost = `the plugin was started again and could not take the task up: ${messageOf(error)}`;
      });
    }
    this.#follow(instance);
    if (this.#reapsWhenUp) await this.#reap(instance);
  }

  async fingerprint(): Promise<DriverFingerprint> {
    const { supervisor } = this.#options;
    if (!(await supervisor.checkOrWait(UP_MS))) {
      const healthDescription = supervisor.problem ?? `plugin of driver ${this.name} is being started`;
      return { health: 'unhealthy', healthDescription, attributes: {} };
    }
    if (!this.#fingerprint) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, FIRST_FINGERPRINT_MS);
        this.#wakeFingerprint = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return (
      this.#fingerprint ?? {
        health: 'unhealthy',
        healthDescription: `the plugin of driver ${this.name} has not said yet whether its engine is there`,
        attributes: {},
      }
    );
  }

  async startTask(task: TaskConfig, options: Parameters<Driver['startTask']>[1]): Promise<TaskHandle> {
    this.#journal.put({ taskId: task.id, handle: null });
    this.#onEvent.set(task.id, options.onEvent);
    try {
      const { paths, reader } = await this.#options.collector.start(task, options.signal);
      if (this.#facts.wantsPipesInLogs) await this.#options.collector.showPipes(task);
      this.#options.cgroups.make(task);
      const answer = await this.#options.supervisor.use(
        ({ connection }) =>
          connection.call<StartAnswer>(
            driverMethod('StartTask'),
            { task: this.#messageOf(task, paths) },
            { timeoutMs: null, signal: options.signal },
          ),
        options.signal,
      );
      if (answer.result !== 'SUCCESS' || !answer.handle) {
        const message = answer.driver_error_msg || 'the plugin has started nothing, and does not say why';
        throw new DriverError(message, { recoverable: answer.result === 'RETRY' });
      }
      const { version, driver_state } = answer.handle;
      const state = { version, driverState: driver_state.toString('base64'), reader };
      const given = answer.network_override;
      const address = given?.addr ? { address: { ip: given.addr, advertise: given.auto_advertise } } : {};
      const handle = { driver: this.name, version: HANDLE_VERSION, taskId: task.id, state, ...address };
      this.#journal.put({ taskId: task.id, handle });
      this.#know(task, handle);
      return handle;
    } catch (error) {
      await this.#options.collector.finish(task);
      // What cannot be removed now is removed with the task.
      await this.#removeCgroups(task.id).catch(() => {});
      throw this.#startError(error);
    }
  }

  /**
   * A start that failed while the plugin calls its engine absent or unwell says nothing of the task. The protocol has no other word for
   * that, and the plugin's judgement of a start with no engine is a guess; it says how its engine is each half minute or so.
   */
  #startError(error: unknown): DriverError {
    const found = toDriverError(error);
    const said = this.#fingerprint;
    if (!said || said.health === 'healthy') return found;
    const message = `${found.message} (driver ${this.name} is ${said.health}: ${said.healthDescription || 'it does not say why'})`;
    return new DriverError(message, { recoverable: true, away: true, cause: error });
  }

  async recoverTask(handle: TaskHandle, task: TaskConfig): Promise<void> {
    if (this.#tasks.has(handle.taskId)) return;
    if (handle.driver !== this.name || handle.version !== HANDLE_VERSION) {
      const message = `task ${handle.taskId}: its handle (version ${handle.version}) is not one of ${this.name}'s`;
      throw new DriverError(message, { recoverable: false });
    }
    try {
      await this.#options.supervisor.use((instance) => this.#tellOf(instance, handle, task));
    } catch (error) {
      // A plugin that is not there now says nothing of the task: it may well run.
      if (error instanceof PluginCallError && !AWAY.has(error.status)) throw toDriverError(error);
      throw new DriverError(messageOf(error), { recoverable: true, cause: error });
    }
    this.#know(task, handle);
  }

  async waitTask(taskId: string): Promise<ExitResult> {
    return this.#find(taskId).exit;
  }

  async stopTask(taskId: string, options: { timeoutMs: number; signal: string }): Promise<void> {
    const known = this.#find(taskId);
    const signal = options.signal === '' ? '' : signalName(signalNumber(options.signal));
    const timeout = { seconds: Math.floor(options.timeoutMs / 1000), nanos: (options.timeoutMs % 1000) * 1e6 };
    if (!known.hasEnded) {
      await this.#call('StopTask', { task_id: taskId, timeout, signal }, options.timeoutMs + STOP_GRACE_MS);
    }
    await known.exit;
  }

  async destroyTask(taskId: string, options: { force: boolean }): Promise<void> {
    const known = this.#tasks.get(taskId);
    const begun = this.#journal.all().some((entry) => entry.taskId === taskId);
    if (!known && !begun) return;
    if (known && !known.hasEnded && !options.force) {
      throw new DriverError(`task ${taskId} is still running; stop it first`, { recoverable: false });
    }
    await this.#call('DestroyTask', { task_id: taskId, force: options.force }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
    known?.stats.close();
    await this.#removeCgroups(taskId);
    if (known) await this.#options.collector.finish(known.task);
    this.#journal.drop(taskId);
    this.#onEvent.delete(taskId);
    this.#tasks.delete(taskId);
  }

  async signalTask(taskId: string, signal: string): Promise<void> {
    const known = this.#find(taskId);
    const name = signalName(signalNumber(signal));
    if (known.hasEnded) throw new DriverError(`task ${taskId} has ended`, { recoverable: false });
    await this.#call('SignalTask', { task_id: taskId, signal: name });
  }

  async taskStats(taskId: string): Promise<TaskResourceUsage> {
    const known = this.#find(taskId);
    if (known.hasEnded) throw new DriverError(`task ${taskId} has ended`, { recoverable: false });
    try {
      return await this.#options.supervisor.use(({ connection }) => known.stats.ask(connection));
    } catch (error) {
      throw toDriverError(error);
    }
  }

  execTask(taskId: string, options: { command: string[]; tty: boolean }): Duplex {
    this.#find(taskId);
    const connect = async () => (await this.#options.supervisor.instance()).connection;
    return runPluginExec(connect, { taskId, ...options });
  }

  async reapUnknown(): Promise<string[]> {
    if (this.#journal.all().every(({ taskId }) => this.#tasks.has(taskId))) {
      await this.#options.collector.reapUnknown();
      return [];
    }
    this.#reapsWhenUp = true;
    // One that is not up by then has time until it is: nothing waits for it any longer.
    const instance = await this.#options.supervisor.instance(REAP_PATIENCE_MS).catch(() => undefined);
    return instance ? this.#reap(instance) : [];
  }

  async close(): Promise<void> {
    this.#ending.abort();
    const isNeeded = [...this.#tasks.values()].some(({ hasEnded }) => !hasEnded);
    for (const { stats } of this.#tasks.values()) stats.close();
    await this.#options.supervisor.close(isNeeded ? 'leave' : 'end');
    await this.#options.collector.close();
  }

  #find(taskId: string): KnownTask {
    const known = this.#tasks.get(taskId);
    if (!known) throw new DriverError(`task ${taskId} is not known to ${this.name}`, { recoverable: false });
    return known;
  }

  /** A call that is made again when the plugin goes away under it. */
  async #call(name: string, request: object, timeoutMs = CALL_MS): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#options.supervisor.use(({ connection }) =>
          connection.call(driverMethod(name), request, { timeoutMs }),
        );
        return;
      } catch (error) {
        const wentAway = error instanceof PluginCallError && error.status === 'UNAVAILABLE';
        if (!wentAway || attempt > 0) throw toDriverError(error);
      }
    }
  }

  #messageOf(task: TaskConfig, paths: OutputPaths): object {
    return taskMessage(task, paths, this.#options.cgroups.pathOf(task));
  }

  /** Unless the same task has been started again: its groups have the same names. */
  async #removeCgroups(taskId: string): Promise<void> {
    const scope = scopeOf(taskId);
    if (this.#journal.all().some((entry) => entry.taskId !== taskId && scopeOf(entry.taskId) === scope)) return;
    await this.#options.cgroups.remove(taskId);
  }

  /** Tells the plugin of a task that runs; a plugin that has it already does nothing. */
  async #tellOf(instance: PluginInstance<unknown>, handle: TaskHandle, task: TaskConfig): Promise<void> {
    const { reader } = handle.state as { reader: TaskHandle | null };
    const paths: OutputPaths = await this.#options.collector.recover(task, reader);
    await this.#tell(instance, handle, this.#messageOf(task, paths));
  }

  async #tell({ connection }: PluginInstance<unknown>, handle: TaskHandle, config: object): Promise<void> {
    const { version, driverState } = handle.state as { version: number; driverState: string };
    const driver_state = Buffer.from(driverState, 'base64');
    const request = { task_id: handle.taskId, handle: { version, config, state: 'RUNNING', driver_state } };
    await connection.call(driverMethod('RecoverTask'), request, { timeoutMs: CALL_MS });
  }

  #know(task: TaskConfig, handle: TaskHandle): void {
    const known: KnownTask = {
      task,
      handle,
      hasEnded: false,
      lost: null,
      stats: new TaskStats(task.id),
      exit: this.#waitFor(task.id).then((exit) => {
        known.hasEnded = true;
        known.stats.close();
        return exit;
      }),
    };
    this.#tasks.set(task.id, known);
  }

  /** How the task ends, over as many lives of the plugin as it takes; never settles once the driver is closed. */
  async #waitFor(taskId: string): Promise<ExitResult> {
    const { supervisor } = this.#options;
    for (;;) {
      const instance = await supervisor.whenUp(this.#ending.signal);
      if (!instance) return new Promise(() => {});
      const lost = this.#tasks.get(taskId)?.lost;
      if (lost) return { exitCode: 1, signal: 0, oomKilled: false, error: lost };
      const exit = await this.#askExit(instance, taskId);
      // A plugin that ends takes its answers back: the next one is asked.
      if (exit.error !== undefined && !(await staysUp(instance.signal))) continue;
      if (this.#ending.signal.aborted) return new Promise(() => {});
      return exit;
    }
  }

  async #askExit({ connection }: PluginInstance<unknown>, taskId: string): Promise<ExitResult> {
    try {
      const { result, err } = await connection.call<WaitAnswer>(
        driverMethod('WaitTask'),
        { task_id: taskId },
        { timeoutMs: null, signal: this.#ending.signal },
      );
      return {
        exitCode: result?.exit_code ?? 1,
        signal: result?.signal ?? 0,
        oomKilled: result?.oom_killed ?? false,
        ...(err === '' ? {} : { error: err }),
      };
    } catch (error) {
      return { exitCode: 1, signal: 0, oomKilled: false, error: messageOf(error) };
    }
  }

  #follow(instance: PluginInstance<PluginFacts>): void {
    const { log } = this.#options;
    void followFingerprint(instance, log, (found) => {
      this.#fingerprint = found;
      this.#wakeFingerprint?.();
    });
    void followEvents(instance, (event) => this.#onEvent.get(event.taskId)?.(event));
    instance.signal.addEventListener('abort', () => {
      this.#fingerprint = undefined;
    });
  }

  async #reap(instance: PluginInstance<unknown>): Promise<string[]> {
    this.#reapsWhenUp = false;
    const ended: string[] = [];
    for (const { taskId, handle } of this.#journal.all().filter((entry) => !this.#tasks.has(entry.taskId))) {
      // A plugin that was started since knows nothing of the task; whether it can learn of it is seen below.
      if (handle) await this.#tell(instance, handle, { id: taskId }).catch(() => {});
      const request = { task_id: taskId, force: true };
      try {
        await instance.connection.call(driverMethod('DestroyTask'), request, { timeoutMs: CALL_MS });
        this.#options.log('warn', 'a task whose start was never recorded is ended', { task: taskId });
        ended.push(taskId);
      } catch (error) {
        if (!isNotFound(error)) continue;
      }
      await this.#removeCgroups(taskId);
      this.#journal.drop(taskId);
    }
    // After the tasks: one that writes to nobody would be killed before it can end as it should.
    await this.#options.collector.reapUnknown();
    return ended;
  }

  async #createNetwork(
    allocId: string,
    hostname: string,
  ): Promise<{ netnsPath: string; labels: Record<string, string> }> {
    const { isolation_spec: spec } = await this.#options.supervisor.use(({ connection }) =>
      connection.call<{ isolation_spec: { path: string; labels: Record<string, string> } | null }>(
        driverMethod('CreateNetwork'),
        { alloc_id: allocId, hostname },
        { timeoutMs: CALL_MS },
      ),
    );
    if (!spec) throw new DriverError(`driver ${this.name} made no network`, { recoverable: true });
    this.#networkPaths.set(allocId, spec.path);
    return { netnsPath: spec.path, labels: spec.labels };
  }

  async #destroyNetwork(allocId: string, labels: Record<string, string>): Promise<void> {
    const spec = { mode: 'GROUP', path: this.#networkPaths.get(allocId) ?? '', labels };
    await this.#call('DestroyNetwork', { alloc_id: allocId, isolation_spec: spec });
    this.#networkPaths.delete(allocId);
  }
}

interface StartAnswer {
  result: 'SUCCESS' | 'RETRY' | 'FATAL';
  driver_error_msg: string;
  handle: { version: number; driver_state: Buffer } | null;
  network_override: { addr: string; auto_advertise: boolean } | null;
}

interface WaitAnswer {
  result: { exit_code: number; signal: number; oom_killed: boolean } | null;
  err: string;
}

/** What says nothing about the task that was asked about. */
const AWAY = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED']);

function toDriverError(error: unknown): DriverError {
  if (error instanceof DriverError) return error;
  // What a plugin does not judge itself counts as final, as in Nomad; one that went away may do better next time.
  const recoverable = error instanceof PluginCallError ? (saysRecoverable(error) ?? AWAY.has(error.status)) : true;
  return new DriverError(messageOf(error), { recoverable, cause: error });
}

function isNotFound(error: unknown): boolean {
  return /not found/i.test(messageOf(error));
}

function schemaOf({ taskSchema }: PluginFacts): Schema {
  const schema = toSchema(taskSchema);
  // It was read when the plugin came up, and is the same.
  if (!schema.ok) throw new Error(`its schema of tasks ${schema.error}`);
  return schema.value;
}

async function staysUp(signal: AbortSignal): Promise<boolean> {
  if (!signal.aborted) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, DOUBT_MS);
      signal.addEventListener(
        'abort',
        () => {
          clearTimeout(timer);
          resolve();
        },
        { once: true },
      );
    });
  }
  return !signal.aborted;
}
