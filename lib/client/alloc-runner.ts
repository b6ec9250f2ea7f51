import type { AllocRecord, TaskRecord } from '../storage/client-db.js';
import type { Allocation, AllocDeploymentStatus, TaskState } from '../structs/allocation.js';
import { MeshError } from '../structs/errors.js';
import { groupOf } from '../structs/group-of.js';
import type { Task, TaskGroup } from '../structs/job.js';
import type { ClientAllocUpdate } from '../structs/rpc.js';
import { type Millis, toMillis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import { removeAllocDir } from './alloc-dir.js';
import { AllocHooks } from './alloc-hooks/run.js';
import { type ClientContext, persist } from './context.js';
import { judgeHealth } from './health.js';
import { healthStrategy, mindsChecks } from './health-strategy.js';
import { clientStatus, mayStart, type StopReason, stopOrder, stopReason, taskRole } from './lifecycle.js';
import { isOverLimit, runLimitAt } from './run-limit.js';
import { AllocServices } from './services/alloc-services.js';
import { type TimelessEvent, taskEvents } from './task-events.js';
import { type KillOptions, TaskRunner } from './task-runner.js';
import { messageOf } from './task-start.js';
import { restartedRecord } from './task-story.js';
import { sleep, toRfc3339 } from './timers.js';

/** What an allocation runner needs of its client. */
export interface AllocRunnerOptions {
  client: ClientContext;
  alloc: Allocation;
  /** What the client's memory has of it, null for a new one. */
  record: AllocRecord | null;
  /** Settles when new tasks may begin. Never rejects. */
  ready: () => Promise<void>;
  /** Hears that there is something new to report. `urgent`: a person waits for it. */
  onChange: (runner: AllocRunner, urgent: boolean) => void;
}

/** Runs the tasks of one allocation in their order (lifecycle.ts) and says how it fares. */
export class AllocRunner {
  readonly id: string;
  /** Settles when every task is dead for good. */
  readonly done: Promise<void>;
  private readonly options: AllocRunnerOptions;
  private readonly log: Log;
  private readonly hooks: AllocHooks;
  private readonly services: AllocServices;
  private readonly tasks = new Map<string, TaskRunner>();
  private readonly states: Record<string, TaskState> = {};
  /** Those who wait for their turn. */
  private readonly waiting = new Set<() => void>();
  private current: Allocation;
  private health: AllocDeploymentStatus | null;
  private healthSinceMs: Millis;
  private cancelHealthTimer: () => void = () => {};
  private cancelTimeLimit: () => void = () => {};
  private stopping: Promise<void> | null = null;
  private failing = false;
  private stoppedFor: StopReason | null = null;
  private released = false;
  private cleared = false;
  private lastStatus = '';
  private finishedMs: Millis | null = null;
  private finish: () => void = () => {};

  constructor(options: AllocRunnerOptions) {
    const { alloc, record, client } = options;
    this.options = options;
    this.id = alloc.ID;
    this.current = alloc;
    this.health = record?.health ?? null;
    this.healthSinceMs = client.timers.now();
    this.log = client.log.child('alloc_runner');
    this.hooks = new AllocHooks({
      client,
      alloc: () => this.current,
      tell: (message) => this.tell(taskEvents.setup(message)),
      restart: (task, reason, after) => this.restartTask(task, reason, after),
      log: this.log,
    });
    this.services = new AllocServices({
      client,
      alloc: () => this.current,
      states: () => this.states,
      shared: this.hooks.shared,
      taskAddress: (name) => this.task(name)?.address ?? null,
      onChange: () => this.onServiceChange(),
      tell: (message) => this.tell(taskEvents.setup(message)),
      restart: (task, reason) => this.restartUnhealthy(task, reason),
    });
    this.done = new Promise((resolve) => {
      this.finish = resolve;
    });
    for (const task of this.group?.Tasks ?? []) this.addTask(task, record?.tasks[task.Name] ?? null);
  }

  get alloc(): Allocation {
    return this.current;
  }

  /** Null when the allocation came without its job. */
  private get group(): TaskGroup | null {
    return groupOf(this.current.Job, this.current.TaskGroup) ?? null;
  }

  /** When its last task ended; null while one lives. */
  get finishedAtMs(): Millis | null {
    return this.finishedMs;
  }

  get isRunning(): boolean {
    return [...this.tasks.values()].some((task) => task.isRunning);
  }

  task(name: string): TaskRunner | undefined {
    return this.tasks.get(name);
  }

  get taskRunners(): readonly TaskRunner[] {
    return [...this.tasks.values()];
  }

  /** Takes running tasks up again, before anything else happens. Never throws. */
  async restore(): Promise<void> {
    const { record } = this.options;
    if (Object.values(record?.tasks ?? {}).some(({ handle }) => handle !== null)) {
      await this.hooks.prerun({ reattach: true, mayWait: false }).catch((error: unknown) => {
        this.log.error('running allocation could not be prepared again', { alloc: this.id, error: messageOf(error) });
      });
    }
    await Promise.all(this.taskRunners.map((task) => task.restore()));
    for (const task of this.taskRunners) this.states[task.name] = task.state;
  }

  /** Begins or goes on. */
  start(): void {
    this.run().catch((error: unknown) => {
      if (!this.released) this.log.error('allocation failed', { alloc: this.id, error: messageOf(error) });
      this.failAll(messageOf(error));
    });
  }

  /** Takes over the server's newer wish. */
  update(alloc: Allocation): void {
    if (alloc.AllocModifyIndex <= this.current.AllocModifyIndex) return;
    const newDeployment = alloc.DeploymentID !== this.current.DeploymentID;
    // What a reply leaves out is kept: only a change of the version brings another job.
    this.current = alloc.Job ? alloc : { ...alloc, Job: this.current.Job };
    persist(this.options.client, (db) => db.putAlloc(this.current));
    if (newDeployment) {
      this.health = null;
      this.healthSinceMs = this.options.client.timers.now();
      persist(this.options.client, (db) => db.putHealth(this.id, null));
    }
    if (alloc.DesiredStatus !== 'run') void this.stop();
    else if (alloc.ClientStatus === 'unknown') this.reconnect();
    this.services.refresh();
    this.watchHealth();
    this.watchTime();
  }

  /** The servers have lost sight of it and see this node again: they need its state, though it has not changed. */
  private reconnect(): void {
    for (const task of this.taskRunners) if (task.isRunning) task.tell(taskEvents.reconnected());
    this.options.onChange(this, true);
  }

  /** True once its tasks are being ended, or have ended. */
  get isEnding(): boolean {
    return this.stopping !== null || this.finishedMs !== null;
  }

  /**
   * Ends all tasks for a reason of this node's own; without `afterwards` no poststop task runs, without `delayed` the group's
   * shutdown_delay is passed over, and `failed` makes it a failure, after which the job's reschedule policy decides.
   */
  async end(event: TimelessEvent, { afterwards = true, delayed = true, failed = false } = {}): Promise<void> {
    if (this.isEnding) return;
    this.failing = failed;
    const last = afterwards ? [] : this.taskRunners.filter((task) => taskRole(task.task) === 'poststop');
    for (const task of last) void task.kill({ noShutdownDelay: true });
    this.stopping = this.stopTasks({ event, delayed, failed }).catch((error: unknown) => {
      this.log.error('stopping failed', { alloc: this.id, error: messageOf(error) });
    });
    await this.done;
  }

  /** Ends all tasks in their order, then lets poststop tasks run; settles when all are dead. */
  async stop(): Promise<void> {
    this.stopping ??= this.stopTasks().catch((error: unknown) => {
      this.log.error('stopping failed', { alloc: this.id, error: messageOf(error) });
    });
    await this.done;
  }

  /** Stops what still runs, also poststop tasks, and removes everything the allocation has left on this node. */
  async destroy(): Promise<void> {
    const afterwards = this.taskRunners.filter(({ task }) => taskRole(task) === 'poststop');
    await Promise.all([...afterwards.map((task) => task.kill({ noShutdownDelay: true })), this.stop()]);
    await this.hooks.destroy();
    this.release();
    await removeAllocDir(this.options.client.config().allocDir, this.id);
    // Last: whoever is killed on the way finds it again.
    persist(this.options.client, (db) => db.removeAlloc(this.id));
  }

  /** Removes an ended allocation's files; what is known of it stays until the servers forget it too. */
  async clearFiles(): Promise<void> {
    if (this.finishedMs === null || this.cleared) return;
    await this.hooks.destroy();
    await removeAllocDir(this.options.client.config().allocDir, this.id);
    this.cleared = true;
  }

  /** It takes up room: it has not ended, or its files are here. */
  get hasFiles(): boolean {
    return !this.cleared;
  }

  /** Lets go: tasks run on, nothing more is written or told. */
  release(): void {
    this.released = true;
    this.hooks.end();
    this.services.release();
    this.cancelHealthTimer();
    this.cancelTimeLimit();
    for (const task of this.tasks.values()) task.release();
  }

  /** What to report to the servers, as of now. */
  report(): ClientAllocUpdate {
    const { status, description } = this.status();
    return {
      ID: this.id,
      ClientStatus: status,
      ClientDescription: description,
      TaskStates: { ...this.states },
      AllocStates: null,
      NetworkStatus: this.hooks.shared.networkStatus ?? this.current.NetworkStatus,
      DeploymentStatus: this.health ?? this.current.DeploymentStatus,
      ...(this.services.any ? { Services: this.services.reports() } : {}),
    };
  }

  private status(): ReturnType<typeof clientStatus> {
    if (!this.group) return { status: 'failed', description: 'the allocation came without its job' };
    const told = clientStatus(this.group, this.states);
    const over = told.status === 'complete' && isOverLimit(this.states);
    return over ? { ...told, description: 'allocation exceeded max_run_duration' } : told;
  }

  /**
   * Starts all tasks again in their order, also those that are over: main tasks wait for what runs before them. Throws
   * MeshError when the allocation ends.
   */
  async restartAll(reason: string): Promise<void> {
    if (this.isEnding || this.stoppedFor) throw new MeshError('E_BAD_REQUEST', 'Task not running');
    const live = this.taskRunners.filter((task) => task.isRunning);
    const over = this.taskRunners.filter(({ state, task }) => state.State === 'dead' && taskRole(task) !== 'poststop');
    const again = over.map(({ task, state }) => {
      const record = restartedRecord(state, this.options.client.timers);
      const runner = this.addTask(task, record);
      runner.tell(taskEvents.restartSignaled(reason));
      return runner;
    });
    const before = Promise.all(again.filter(({ task }) => taskRole(task) === 'prestart').map(({ done }) => done));
    const restarts = live.map((task) => {
      const mayGoFirst = taskRole(task.task).startsWith('prestart');
      return task.restart(reason, mayGoFirst ? {} : { after: before });
    });
    try {
      await Promise.all(restarts);
    } finally {
      for (const task of again) task.start();
    }
  }

  private addTask(task: Task, record: TaskRecord | null): TaskRunner {
    const { options } = this;
    const name = task.Name;
    const runner = new TaskRunner({
      name,
      alloc: () => this.current,
      client: options.client,
      shared: this.hooks.shared,
      driver: options.client.drivers[task.Driver],
      record,
      log: this.log.child('task_runner'),
      turn: (signal) => this.turn(name, signal),
      prepared: () => this.hooks.prerun({ reattach: this.isRunning, mayWait: true }),
      onChange: (record) => {
        if (this.released) return;
        this.states[name] = record.state;
        persist(options.client, (db) => db.putTask(this.id, name, record));
        this.onTaskChange();
      },
    });
    this.tasks.set(name, runner);
    this.states[name] = runner.state;
    return runner;
  }

  private async run(): Promise<void> {
    for (const task of this.taskRunners) task.receive();
    this.watchTime();
    const alive = this.taskRunners.filter((task) => task.state.State !== 'dead');
    // A task that runs already must be waited for at once: its exit is not to be missed behind what others wait for.
    for (const task of alive.filter((task) => task.isRunning)) task.start();
    const fresh = alive.filter((task) => !task.isRunning);
    // The allocation that this one replaces must first let go of its ports and files, and a full disk have room.
    if (fresh.length > 0) await this.options.ready();
    if (this.released) return;
    // Before the tasks begin: one that is to end must not get a turn.
    if (this.current.DesiredStatus !== 'run') void this.stop();
    else if (fresh.length > 0) await this.prepare(fresh);
    if (this.released) return;
    for (const task of fresh) if (task.state.State !== 'dead') task.start();
    this.onTaskChange();
    // A person may have had those restarted that were over.
    while (this.taskRunners.some((task) => !task.isOver)) await Promise.all(this.taskRunners.map((task) => task.done));
    if (this.released) return;
    await this.hooks.postrun();
    if (this.released) return;
    this.finishedMs = this.options.client.timers.now();
    this.cancelHealthTimer();
    this.cancelTimeLimit();
    this.finish();
  }

  /** Makes what the tasks share; tasks that would have to start without it fail. */
  private async prepare(fresh: readonly TaskRunner[]): Promise<void> {
    try {
      await this.hooks.prerun({ reattach: this.isRunning, mayWait: true });
    } catch (error) {
      // One that is to end anyway, or whose agent ends, was not failed by what it waited for.
      if (this.released || this.stopping) return;
      for (const task of fresh) task.abandon(taskEvents.setupFailure(messageOf(error), true));
    }
  }

  /** Tells its tasks something about the whole. */
  tell(event: TimelessEvent): void {
    for (const task of this.taskRunners) if (task.state.State !== 'dead') task.tell(event);
  }

  private failAll(message: string): void {
    if (this.released) return;
    for (const task of this.taskRunners) {
      if (task.state.State === 'dead') continue;
      task.abandon(taskEvents.setupFailure(message, true));
    }
    this.finishedMs = this.options.client.timers.now();
    this.finish();
  }

  /** Settles when the task may start; false when `signal` was aborted before. */
  private turn(name: string, signal: AbortSignal): Promise<boolean> {
    const mayStartNow = (): boolean => {
      const tasks = this.group?.Tasks ?? [];
      const task = tasks.find(({ Name }) => Name === name);
      const stopping = this.stopping !== null || this.stoppedFor !== null;
      return task !== undefined && mayStart(task, { tasks, states: this.states, stopping });
    };
    return new Promise((resolve) => {
      const check = (): void => {
        if (!signal.aborted && !mayStartNow()) return;
        this.waiting.delete(check);
        signal.removeEventListener('abort', check);
        resolve(!signal.aborted);
      };
      this.waiting.add(check);
      signal.addEventListener('abort', check);
      check();
    });
  }

  private onTaskChange(): void {
    if (this.released) return;
    const reason = this.group && stopReason(this.group.Tasks, this.states);
    if (reason && !this.stoppedFor) {
      this.stoppedFor = reason;
      void this.killTasks({ event: eventOf(reason), noShutdownDelay: true }).catch((error: unknown) => {
        this.log.error('stopping siblings failed', { alloc: this.id, error: messageOf(error) });
      });
    }
    for (const check of [...this.waiting]) check();
    this.services.refresh();
    this.watchHealth();
    const { status } = this.status();
    const urgent = status !== this.lastStatus;
    this.lastStatus = status;
    this.options.onChange(this, urgent);
  }

  private restartTask(name: string, reason: string, after?: Promise<unknown>): void {
    const task = this.task(name);
    if (this.released || this.isEnding || !task?.isRunning) return;
    void task.restart(reason, after ? { after } : {}).catch((error: unknown) => {
      this.log.warn('restart failed', { task: name, error: messageOf(error) });
    });
  }

  private restartUnhealthy(name: string, reason: string): void {
    for (const task of this.taskRunners) {
      if (!task.isRunning || (name !== '' && task.name !== name)) continue;
      void task.restart(reason, { failure: true }).catch((error: unknown) => {
        this.log.warn('restart failed', { task: task.name, error: messageOf(error) });
      });
    }
  }

  private onServiceChange(): void {
    if (this.released) return;
    this.watchHealth();
    this.options.onChange(this, true);
  }

  /** The newest answers of the checks of its services. */
  get checks(): ReturnType<AllocServices['checks']> {
    return this.services.checks();
  }

  /** Ends the allocation when its max_run_duration is over. */
  private watchTime(): void {
    this.cancelTimeLimit();
    this.cancelTimeLimit = () => {};
    const atMs = this.released || this.isEnding ? null : runLimitAt(this.current, this.states);
    if (atMs === null) return;
    const leftMs = atMs - this.options.client.timers.now();
    this.cancelTimeLimit = this.options.client.timers.after(Math.max(0, leftMs), () => {
      // A timer holds less than a month: look again.
      if (this.options.client.timers.now() < atMs) this.watchTime();
      else void this.end(taskEvents.runLimit(this.group?.MaxRunDuration ?? 0), { afterwards: false });
    });
  }

  private async stopTasks(how: { event?: TimelessEvent; delayed?: boolean; failed?: boolean } = {}): Promise<void> {
    const { event, delayed = true, failed = false } = how;
    this.hooks.end();
    // Whoever looks for it is sent elsewhere before its tasks are told to end: what shutdown_delay is for.
    this.services.stop();
    const noShutdownDelay = !delayed || this.current.DesiredTransition?.NoShutdownDelay === true;
    const delayMs = toMillis(this.group?.ShutdownDelay ?? 0);
    if (delayMs > 0 && !noShutdownDelay && this.isRunning) {
      const over = new AbortController();
      void this.done.then(() => over.abort());
      await sleep(this.options.client.timers, delayMs, over.signal);
    }
    await this.killTasks({ noShutdownDelay, failed, ...(event ? { event } : {}) });
  }

  private async killTasks(how: KillOptions): Promise<void> {
    for (const names of stopOrder(this.group?.Tasks ?? []))
      await Promise.all(names.map((name) => this.tasks.get(name)?.kill(how)));
  }

  /** Judges the health for the deployment, now and when time alone would change the verdict. */
  private watchHealth(): void {
    this.cancelHealthTimer();
    const { current, group, options } = this;
    const { timers } = options.client;
    const strategy = group && healthStrategy(current, group);
    if (this.released || !group || !strategy || (this.stopping && !this.failing)) return;
    if ((this.health?.Healthy ?? current.DeploymentStatus?.Healthy ?? null) !== null) return;
    const nowMs = timers.now();
    const verdict = judgeHealth({
      strategy,
      tasks: group.Tasks,
      states: this.states,
      sinceMs: this.healthSinceMs,
      ...(mindsChecks(group) ? { checksSinceMs: this.services.healthySinceMs() } : {}),
      nowMs,
    });
    if (verdict.kind === 'waiting') {
      this.cancelHealthTimer = timers.after(verdict.untilMs - nowMs, () => this.watchHealth());
      return;
    }
    this.health = {
      Healthy: verdict.kind === 'healthy',
      Timestamp: toRfc3339(nowMs),
      Canary: current.DeploymentStatus?.Canary ?? false,
      ModifyIndex: 0,
    };
    persist(options.client, (db) => db.putHealth(this.id, this.health));
    if (verdict.kind === 'unhealthy' && current.DeploymentID !== '') {
      const event = taskEvents.unhealthy(verdict.reason);
      for (const task of this.taskRunners) if (taskRole(task.task) === 'main') task.tell(event);
    }
    options.onChange(this, true);
  }
}

function eventOf(reason: StopReason): TimelessEvent {
  switch (reason.kind) {
    case 'sibling-failed':
      return taskEvents.siblingFailed(reason.task);
    case 'leader-dead':
      return taskEvents.leaderDead();
    case 'main-dead':
      return taskEvents.mainDead();
  }
}
