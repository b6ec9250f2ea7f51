import type { Driver, DriverEvent, ExitResult, TaskAddress } from '../plugin/sdk/driver.js';
import { signalNumber } from '../plugin/sdk/signals.js';
import type { TaskRecord } from '../storage/client-db.js';
import type { TaskState } from '../structs/allocation.js';
import { MeshError } from '../structs/errors.js';
import type { RestartPolicy, Task } from '../structs/job.js';
import type { TaskResourceUsage } from '../structs/rpc.js';
import { assert } from '../util/assert.js';
import { backoffMs } from '../util/backoff.js';
import { type Millis, toMillis } from '../util/clock.js';
import { type Random, randomInt } from '../util/random.js';
import { DriverPatience } from './driver-away.js';
import { type AttemptEnd, decideRestart, restartsOnSuccess } from './restart-tracker.js';
import { recoverTask } from './restore.js';
import { taskControl } from './task-control.js';
import { type TimelessEvent, taskEvents } from './task-events.js';
import { nextPhase, type TaskInput, type TaskPhase } from './task-machine.js';
import { findTask, messageOf, type StartFailure, TaskStart, type TaskStartOptions } from './task-start.js';
import { TaskStory } from './task-story.js';
import { orAborted, sleep } from './timers.js';

/** What a task runner needs of the world. */
export interface TaskRunnerOptions extends TaskStartOptions {
  driver: Driver | undefined;
  /** What the client's memory has of the task, null for a new one. */
  record: TaskRecord | null;
  /** Settles when the group's order lets the task start; false when it never will or `signal` was aborted. */
  turn: (signal: AbortSignal) => Promise<boolean>;
  /** Hears every change; writes the record to the client's memory before it returns, and does not throw. */
  onChange: (record: TaskRecord) => void;
}

/** Why and how a task is to end. */
export interface KillOptions {
  /** Told before the kill itself ("Sibling Task Failed" and so on). */
  event?: TimelessEvent;
  noShutdownDelay: boolean;
  /** True when its end is a failure. */
  failed?: boolean;
}

/** Nobody answered where the driver's engine should be: the start is tried again, and counts for no failure. */
interface DriverAway {
  kind: 'driver-away';
  delayMs: Millis;
}

/** How often stopping through the driver is tried before the task is removed by force. */
const STOP_ATTEMPTS_MAX = 4;
const RETRY_BASE_MS = 500;
const RETRY_MAX_MS = 30_000;

/** Runs one task of an allocation through its life (task-machine.ts has the picture). */
export class TaskRunner {
  /** Settles when the task is dead for good. */
  readonly done: Promise<void>;
  private readonly options: TaskRunnerOptions;
  private readonly story: TaskStory;
  private readonly starter: TaskStart;
  private phase: TaskPhase = 'waiting';
  private killing: Promise<void> | null = null;
  private killedAsFailed = false;
  /** Aborted when the task must neither start nor wait any more. */
  private readonly ending = new AbortController();
  /** Aborted when a person wants the task restarted; renewed after each restart. */
  private restarting = new AbortController();
  private restartIsFailure = false;
  /** What the next start of a restarted task waits for. */
  private restartsAfter: Promise<unknown> = Promise.resolve();
  private readonly patience = new DriverPatience();
  private released = false;
  private finish: () => void = () => {};

  constructor(options: TaskRunnerOptions) {
    this.options = options;
    this.story = new TaskStory(options.record, options.client.timers, options.onChange);
    this.starter = new TaskStart(options, { control: taskControl(this), signal: this.ending.signal });
    this.done = new Promise((resolve) => {
      this.finish = resolve;
    });
  }

  get name(): string {
    return this.options.name;
  }

  /** The task as the job has it now: what an in-place update changes holds from then on. */
  get task(): Task {
    const found = findTask(this.options.alloc(), this.name);
    assert(found, `task-runner: ${this.name} is in its job`);
    return found.task;
  }

  get state(): TaskState {
    return this.story.state;
  }

  /** Where it is reached on a network of its driver's. */
  get address(): TaskAddress | null {
    return this.story.record.handle?.address ?? null;
  }

  /** Why what it prints cannot be read; '' = it can. */
  get whyNoOutput(): string {
    return this.options.driver?.whyNoOutput?.(this.task.Config ?? {}) ?? '';
  }

  /** Whether it is dead for good. */
  get isOver(): boolean {
    return this.phase === 'dead';
  }

  get isRunning(): boolean {
    return this.phase === 'running';
  }

  /** Tells that the task has arrived, unless it was told before. */
  receive(): void {
    if (this.state.Events.length === 0) this.story.change({}, taskEvents.received());
  }

  /**
   * Takes a task up again that ran when the agent ended; a task that is over stays over. Settles when the driver has
   * answered, so that the first word to a server is already true. Never throws.
   */
  async restore(): Promise<void> {
    const { taskId, handle, state } = this.story.record;
    if (state.State === 'dead') {
      this.phase = 'dead';
      this.finish();
      return;
    }
    const { driver } = this.options;
    if (!driver || taskId === '') return;
    if (handle) {
      await this.reattach(driver);
      return;
    }
    // The agent ended while the driver was starting it: nobody knows the handle, so what may be there must go.
    await this.starter.remove(driver, taskId, true);
  }

  /** Begins; `done` tells the end. */
  start(): void {
    this.run().catch((error: unknown) => {
      if (this.released) return;
      // A defect: the task must not hang undecided for ever.
      this.options.log.error('task runner failed', { task: this.name, error: messageOf(error) });
      this.abandon(taskEvents.setupFailure(messageOf(error), true));
    });
  }

  /** Ends a task that was not started, or that cannot be led any further, as failed. */
  abandon(event: TimelessEvent): void {
    this.phase = 'dead';
    this.story.change({ state: { State: 'dead', Failed: true, FinishedAt: this.story.now() } }, event);
    this.finish();
  }

  /** Ends the task in good order; settles when it is dead. Later calls wait for the first. */
  async kill(options: KillOptions): Promise<void> {
    if (this.phase === 'dead') return;
    if (!this.killing) this.killedAsFailed = options.failed === true;
    this.killing ??= this.end(options).catch((error: unknown) => this.warn('kill failed', error));
    await this.done;
  }

  /**
   * Ends the running task and starts it again once `after` has settled, counted as a failure only if that is said. Throws
   * MeshError when it does not run.
   */
  async restart(reason: string, options: { failure?: boolean; after?: Promise<unknown> } = {}): Promise<void> {
    const { failure = false, after } = options;
    if (after) this.restartsAfter = after;
    if (this.phase === 'delaying') {
      this.restarting.abort();
      return;
    }
    if (this.phase !== 'running' || this.killing) throw new MeshError('E_BAD_REQUEST', 'Task not running');
    if (this.restarting.signal.aborted) return;
    this.restarting.abort();
    this.restartIsFailure = failure;
    this.story.change({}, taskEvents.restartSignaled(reason));
    await this.stopThroughDriver();
  }

  /** Delivers a signal ("SIGHUP"). Throws MeshError when the task does not run or its driver cannot. */
  async signal(signal: string, reason: string): Promise<void> {
    const driver = this.runningDriver();
    // Before it is told that it was sent.
    signalNumber(signal);
    if (!driver.capabilities.sendSignals) {
      throw new MeshError('E_BAD_REQUEST', `driver "${driver.name}" does not support signals`);
    }
    this.story.change({}, taskEvents.signaling(signal, reason));
    await driver.signalTask(this.taskId, signal);
  }

  async stats(): Promise<TaskResourceUsage> {
    return await this.runningDriver().taskStats(this.taskId);
  }

  /** Opens a command inside the task. Throws MeshError when the task does not run or its driver cannot. */
  exec(options: { command: string[]; tty: boolean }): ReturnType<Driver['execTask']> {
    const driver = this.runningDriver();
    if (!driver.capabilities.exec)
      throw new MeshError('E_BAD_REQUEST', `driver "${driver.name}" does not support exec`);
    return driver.execTask(this.taskId, options);
  }

  /** The command of one of the task's actions. Throws MeshError when it has none of that name. */
  actionCommand(name: string): string[] {
    const actions = this.task.Actions ?? [];
    const found = actions.find(({ Name }) => Name === name);
    if (found) return [found.Command, ...(found.Args ?? [])].map((text) => this.starter.interpolate(text));
    const known = actions.map(({ Name }) => Name).join(', ') || 'none';
    throw new MeshError('E_NOT_FOUND', `task "${this.name}" has no action "${name}" (it has: ${known})`);
  }

  /** Adds an event to the task's story. */
  tell(event: TimelessEvent): void {
    this.story.change({}, event);
  }

  /** Lets go: the task runs on, nothing more is written or told. */
  release(): void {
    this.released = true;
    this.ending.abort();
  }

  /** What its driver tells of it, at its start or while it runs. */
  private readonly hearDriver = ({ message, annotations }: DriverEvent): void => {
    if (!this.released) this.story.change({}, taskEvents.driver(message, annotations));
  };

  private get taskId(): string {
    return this.story.record.taskId;
  }

  private runningDriver(): Driver {
    const { driver } = this.options;
    if (this.phase === 'running' && driver) return driver;
    throw new MeshError('E_BAD_REQUEST', `Task "${this.name}" is not running`);
  }

  private async run(): Promise<void> {
    if (this.phase === 'waiting' && this.story.record.handle) await this.askAgain();
    if (this.phase === 'waiting' && !(await this.waitForTurn())) return;
    while (!this.released && this.phase !== 'dead') {
      const end = this.phase === 'running' ? await this.waitForEnd() : await this.attempt();
      if (this.released) return;
      await this.follow(end);
    }
  }

  private async waitForTurn(): Promise<boolean> {
    const mine = await this.options.turn(this.ending.signal);
    if (this.released) return false;
    if (mine && !this.killing) {
      this.to('turn');
      return true;
    }
    this.die('killed', this.killedAsFailed);
    return false;
  }

  /** Prepares and starts the task and waits for its end. */
  private async attempt(): Promise<AttemptEnd | DriverAway> {
    const { driver } = this.options;
    if (!driver) {
      const event = taskEvents.driverFailure(`failed to find driver "${this.task.Driver}" on this node`);
      return this.fail({ event, recoverable: false, away: false });
    }
    if (!this.story.wasStarted) this.story.change({}, taskEvents.setup('Building Task Directory'));
    const taskId = `${this.options.alloc().ID}/${this.name}/${randomHex(this.options.client.random)}`;
    const config = await this.starter.prepare(driver, taskId, false);
    if ('recoverable' in config) return this.fail(config);
    this.to('prepared');
    if (this.ending.signal.aborted) return this.fail(null);
    // Written before the driver acts: should the agent end meanwhile, the next one knows what to clean up.
    this.story.change({ taskId, handle: null });
    const handle = await this.starter.start(driver, config, {
      signal: this.ending.signal,
      onEvent: this.hearDriver,
    });
    if (this.released) return { kind: 'requested' };
    if ('recoverable' in handle) return this.fail(this.ending.signal.aborted ? null : handle);
    this.to('started');
    this.patience.over();
    const state = { State: 'running', Failed: false, StartedAt: this.story.now() } as const;
    this.story.change({ handle, state }, taskEvents.started());
    // The order to end it may have come while the driver was starting it, too late to be heard there.
    if (this.killing) void this.stopRunning().catch((error: unknown) => this.warn('kill failed', error));
    else await this.starter.runHooks('poststart');
    return await this.waitForEnd();
  }

  private fail(failure: StartFailure | null): AttemptEnd | DriverAway {
    this.to('failed');
    const { timers, random } = this.options.client;
    // One that never ran here is better off elsewhere.
    const wait = failure?.away && this.story.wasStarted ? this.patience.next(timers.now(), random) : null;
    if (failure && wait) {
      if (wait.isFirst) this.story.change({}, failure.event);
      return { kind: 'driver-away', delayMs: wait.delayMs };
    }
    if (failure) this.story.change({}, failure.event);
    return { kind: 'start-failed', recoverable: failure?.recoverable ?? false };
  }

  private async waitForEnd(): Promise<AttemptEnd> {
    const { driver } = this.options;
    if (!driver) return { kind: 'start-failed', recoverable: false };
    const exit = await driver.waitTask(this.taskId).catch((error: unknown): ExitResult => {
      this.warn('waiting for the task failed', error);
      return { exitCode: -1, signal: 0, oomKilled: false, error: messageOf(error) };
    });
    if (this.released) return { kind: 'requested' };
    this.to('exited');
    // Told together with what follows from it: a crash between would count the exit twice, or run a finished batch
    // task again. Until then the record has the handle, and the driver keeps the exit for whoever asks again.
    this.story.note(taskEvents.terminated(exit));
    if (this.restarting.signal.aborted && !this.killing) {
      return this.restartIsFailure ? { kind: 'exited', success: false } : { kind: 'requested' };
    }
    if (exit.lost === true) return { kind: 'lost' };
    const success = exit.exitCode === 0 && exit.signal === 0 && !exit.oomKilled && exit.error === undefined;
    return { kind: 'exited', success };
  }

  /** Acts on the end of an attempt: the task is dead afterwards, or to be started again now. */
  private async follow(end: AttemptEnd | DriverAway): Promise<void> {
    const { taskId } = this;
    if (this.killing) {
      this.die('killed', this.killedAsFailed);
      await this.cleanUp(taskId);
      return;
    }
    if (end.kind === 'driver-away') {
      this.to('delay');
      this.story.change({ handle: null, taskId: '' });
      await this.cleanUp(taskId);
      await this.delay(end.delayMs);
      return;
    }
    const { alloc, client } = this.options;
    const { timers, random } = client;
    const { decision, counts } = decideRestart({
      policy: this.restartPolicy(),
      onSuccess: restartsOnSuccess(alloc().Job?.Type ?? 'service', this.task.Lifecycle),
      counts: this.story.record.restarts,
      end,
      nowMs: timers.now(),
      random,
    });
    if (decision.kind !== 'restart') {
      const failed = decision.kind === 'fail';
      if (failed) this.story.note(taskEvents.notRestarting(decision.reason, true));
      this.die('over', failed);
      await this.cleanUp(taskId);
      return;
    }
    this.to('delay');
    const state = { State: 'pending', Restarts: this.state.Restarts + 1, LastRestart: this.story.now() } as const;
    const told = taskEvents.restarting(decision.reason, decision.delayMs);
    this.story.change({ handle: null, taskId: '', restarts: counts, state }, told);
    await this.cleanUp(taskId);
    await this.delay(decision.delayMs);
  }

  private async delay(delayMs: Millis): Promise<void> {
    // A restart that was asked for while the task ran is what leads here; one asked for from now on ends the delay.
    this.restarting = new AbortController();
    if (delayMs > 0) await sleep(this.options.client.timers, delayMs, this.ending.signal, this.restarting.signal);
    this.restarting = new AbortController();
    await orAborted(this.restartsAfter, this.ending.signal);
    if (this.released) return;
    if (this.killing) this.die('killed', this.killedAsFailed);
    else this.to('again');
  }

  private restartPolicy(): RestartPolicy {
    const found = findTask(this.options.alloc(), this.name);
    assert(found, `task-runner: ${this.name} is in its job`);
    return found.task.RestartPolicy ?? found.group.RestartPolicy;
  }

  private async end(options: KillOptions): Promise<void> {
    if (options.event) this.story.change({}, options.event);
    const delayMs = options.noShutdownDelay ? 0 : toMillis(this.task.ShutdownDelay);
    if (delayMs > 0 && this.phase === 'running') {
      this.story.change({}, taskEvents.shutdownDelay(delayMs));
      const over = new AbortController();
      void this.done.then(() => over.abort());
      await sleep(this.options.client.timers, delayMs, over.signal);
    }
    this.ending.abort();
    await this.stopRunning();
  }

  private async stopRunning(): Promise<void> {
    if (this.phase !== 'running') return;
    this.story.change({}, taskEvents.killing(this.killTimeoutMs()));
    await this.stopThroughDriver();
  }

  private killTimeoutMs(): Millis {
    return Math.min(toMillis(this.task.KillTimeout), this.options.client.config().maxKillTimeoutMs);
  }

  private async stopThroughDriver(): Promise<void> {
    const { driver, client } = this.options;
    const { timers, random } = client;
    if (!driver) return;
    const { taskId } = this;
    for (let attempt = 0; attempt < STOP_ATTEMPTS_MAX; attempt++) {
      try {
        await driver.stopTask(taskId, { timeoutMs: this.killTimeoutMs(), signal: this.task.KillSignal });
        return;
      } catch (error) {
        if (this.phase !== 'running') return;
        this.warn('stopping the task failed', error);
        const delayMs = backoffMs({ attempt, baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS, random });
        await sleep(timers, delayMs);
      }
    }
    await driver.destroyTask(taskId, { force: true });
  }

  /** The task is over for good. */
  private die(input: TaskInput, failed: boolean): void {
    if (this.killing && this.story.wasStarted) this.story.note(taskEvents.killed());
    this.to(input);
    this.story.change({ handle: null, state: { State: 'dead', Failed: failed, FinishedAt: this.story.now() } });
    void this.starter.runHooks('stop');
    this.finish();
  }

  private async cleanUp(taskId: string): Promise<void> {
    const { driver } = this.options;
    if (taskId === '' || !driver) return;
    await this.starter.remove(driver, taskId, false);
    await this.starter.runHooks('exited');
  }

  private async reattach(driver: Driver): Promise<void> {
    const { handle, taskId } = this.story.record;
    if (!handle) return;
    const config = await this.starter.prepare(driver, taskId, true);
    if ('recoverable' in config) {
      // Its volume or its config is refused today, but it was started: it is left alone and asked for again later.
      this.options.log.error('running task cannot be described to its driver', { task: this.name });
      return;
    }
    switch (await recoverTask(driver, handle, config, { log: this.options.log, onEvent: this.hearDriver })) {
      case 'attached':
        this.to('reattached');
        return;
      case 'gone': {
        const gone = taskEvents.driver('Task was gone when the agent came back; starting it again', {});
        this.story.change({ handle: null, taskId: '', state: { State: 'pending' } }, gone);
        return;
      }
      case 'unknown':
    }
  }

  /** Asks for a task whose driver could not say whether it runs, until it can or the task is to end. */
  private async askAgain(): Promise<void> {
    const { driver, client } = this.options;
    const { timers, random } = client;
    if (!driver) return;
    for (let attempt = 0; this.phase === 'waiting' && this.story.record.handle; attempt++) {
      const delayMs = backoffMs({ attempt, baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS, random });
      await sleep(timers, delayMs, this.ending.signal);
      if (this.released) return;
      if (this.killing) {
        await this.starter.remove(driver, this.taskId, true);
        return;
      }
      await this.reattach(driver);
    }
  }

  private to(input: TaskInput): void {
    this.phase = nextPhase(this.phase, input);
  }

  private warn(message: string, error: unknown): void {
    this.options.log.warn(message, { task: this.name, error: messageOf(error) });
  }
}

/** Eight hexadecimal digits that tell one start of a task from the next. */
function randomHex(random: Random): string {
  return randomInt(random, 0x1_0000_0000).toString(16).padStart(8, '0');
}
