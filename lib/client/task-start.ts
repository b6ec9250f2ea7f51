import { type Driver, DriverError, type DriverEvent, type TaskConfig, type TaskHandle } from '../plugin/sdk/driver.js';
import type { Allocation } from '../structs/allocation.js';
import { groupOf } from '../structs/group-of.js';
import type { Job, Task, TaskGroup } from '../structs/job.js';
import type { Log } from '../util/log.js';
import { replacedText } from '../util/replaced.js';
import { allocPaths, taskPaths } from './alloc-dir.js';
import type { AllocShared } from './alloc-hooks/hook.js';
import { type ClientContext, hookState } from './context.js';
import { isAway } from './driver-away.js';
import { type HookContext, HookError, type TaskContext, type TaskControl } from './hooks/hook.js';
import { interpolateText } from './interpolate.js';
import { hideValues } from './secrets/plugins.js';
import { buildTaskConfig, TaskConfigError } from './task-config.js';
import { type TimelessEvent, taskEvents } from './task-events.js';

/** What preparing a task needs. */
export interface TaskStartOptions {
  name: string;
  /** The allocation as it is now, with its job: an in-place update replaces it. */
  alloc: () => Allocation;
  client: ClientContext;
  /** What the allocation's own hooks have made. */
  shared: AllocShared;
  /** Settles when `shared` is made; rejects when that cannot be done now. */
  prepared: () => Promise<void>;
  log: Log;
}

/** What the hooks may do to the task, and when they need not go on. */
interface TaskHold {
  control: TaskControl;
  signal: AbortSignal;
}

/** A start that did not work: what to tell, and whether trying again may help. */
export interface StartFailure {
  event: TimelessEvent;
  recoverable: boolean;
  /** Nobody answered where the driver's engine should be, or the agent has to be restarted first. */
  away: boolean;
}

/** Runs the hooks around a task and hands it to its driver. */
export class TaskStart {
  private readonly options: TaskStartOptions;
  private readonly hold: TaskHold;
  private context: TaskContext | null = null;

  constructor(options: TaskStartOptions, hold: TaskHold) {
    this.options = options;
    this.hold = hold;
  }

  /** Runs the prestart hooks and builds what the driver is given; `reattach` when the task runs already. */
  async prepare(driver: Driver, taskId: string, reattach: boolean): Promise<TaskConfig | StartFailure> {
    try {
      if (!reattach) await this.groupPrepared();
      const context = this.newContext(driver, reattach);
      this.context = context;
      for (const hook of this.options.client.hooks) await hook.prestart(this.forHook(context, hook.name));
      return buildTaskConfig(context, taskId);
    } catch (error) {
      if (error instanceof TaskConfigError) {
        return { event: taskEvents.failedValidation(this.hide(error.message)), recoverable: false, away: false };
      }
      const replaced = replacedText(error) !== null;
      const recoverable = (error instanceof HookError && error.recoverable) || replaced;
      const download = error instanceof HookError && error.download;
      const told = download ? taskEvents.downloadFailed : taskEvents.setupFailure;
      return { event: told(this.hide(messageOf(error)), !recoverable), recoverable, away: isAway(error) || replaced };
    }
  }

  /** It may not be: where the agent began while an engine was away, the task was taken up all the same. */
  private async groupPrepared(): Promise<void> {
    await this.options.prepared().catch((cause: unknown) => {
      throw new HookError(messageOf(cause), { recoverable: true, cause });
    });
  }

  /** Fills in what only the node knows, as for the config of the running task. */
  interpolate(text: string): string {
    return this.context ? interpolateText(text, this.context.draft.values) : text;
  }

  /** Starts the task; what is left of a failed start is removed. */
  async start(
    driver: Driver,
    config: TaskConfig,
    options: { onEvent: (event: DriverEvent) => void; signal: AbortSignal },
  ): Promise<TaskHandle | StartFailure> {
    try {
      const onEvent = (event: DriverEvent): void => options.onEvent({ ...event, message: this.hide(event.message) });
      return await driver.startTask(config, { ...options, onEvent });
    } catch (error) {
      await this.remove(driver, config.id, true);
      const expected = error instanceof DriverError;
      const replaced = replacedText(error) !== null;
      if (!expected) this.warn('driver failed unexpectedly', error);
      return {
        event: taskEvents.driverFailure(this.hide(messageOf(error))),
        recoverable: (expected && error.recoverable) || replaced,
        away: isAway(error) || replaced,
      };
    }
  }

  /** Removes what the driver has left of a task; a failure is logged, since nothing more can be done. */
  async remove(driver: Driver, taskId: string, force: boolean): Promise<void> {
    await driver.destroyTask(taskId, { force }).catch((error: unknown) => this.warn('clean-up failed', error));
  }

  /** Runs one of the steps whose failure is only logged. */
  async runHooks(step: 'poststart' | 'exited' | 'stop'): Promise<void> {
    const { context } = this;
    if (!context) return;
    for (const hook of this.options.client.hooks) {
      const given = this.forHook(context, hook.name);
      await hook[step](given).catch((error: unknown) => this.warn(`hook ${hook.name} failed`, error));
    }
  }

  private forHook(context: TaskContext, hook: string): HookContext {
    return { ...context, state: hookState(this.options.client, context.alloc.ID, `${context.task.Name}/${hook}`) };
  }

  private newContext(driver: Driver, reattach: boolean): TaskContext {
    const { name, client, shared, log } = this.options;
    const config = client.config();
    const alloc = this.options.alloc();
    const found = findTask(alloc, name);
    if (!found) throw new HookError('the allocation came without its job', { recoverable: false });
    const { job, group, task } = found;
    const paths = { ...allocPaths(config.allocDir, alloc.ID), ...taskPaths(config.allocDir, alloc.ID, task.Name) };
    const { User: user } = task;
    const draft = { user, mounts: [], deviceNodes: [], cdiDevices: [], values: { env: {}, node: {} }, secrets: {} };
    const node = client.node();
    return { alloc, job, group, task, node, driver, config, paths, client, shared, reattach, ...this.hold, log, draft };
  }

  /** What is told of a task holds none of its secrets, whatever a driver says of its config. */
  private hide(text: string): string {
    return hideValues(text, Object.values(this.context?.draft.secrets ?? {}));
  }

  private warn(message: string, error: unknown): void {
    this.options.log.warn(message, { task: this.options.name, error: this.hide(messageOf(error)) });
  }
}

/** A task and what it is in, by the job as the allocation has it now; null when the allocation came without its job. */
export function findTask(alloc: Allocation, name: string): { job: Job; group: TaskGroup; task: Task } | null {
  const job = alloc.Job;
  const group = groupOf(job, alloc.TaskGroup);
  const task = group?.Tasks.find(({ Name }) => Name === name);
  return job && group && task ? { job, group, task } : null;
}

export function messageOf(error: unknown): string {
  return replacedText(error) ?? (error instanceof Error ? error.message : String(error));
}
