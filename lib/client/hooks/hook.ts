import type { Driver, TaskDevice, TaskMount } from '../../plugin/sdk/driver.js';
import type { Allocation } from '../../structs/allocation.js';
import type { Job, Task, TaskGroup } from '../../structs/job.js';
import type { Node } from '../../structs/node.js';
import type { Log } from '../../util/log.js';
import type { AllocPaths, TaskPaths } from '../alloc-dir.js';
import type { AllocShared } from '../alloc-hooks/hook.js';
import type { ClientConfig } from '../config.js';
import type { ClientContext, HookState } from '../context.js';
import type { Interpolation } from '../interpolate.js';
import type { HookEventType } from '../task-events.js';

/** What all hooks may know of the task they prepare. */
export interface TaskContext {
  alloc: Allocation;
  job: Job;
  group: TaskGroup;
  task: Task;
  node: Node;
  driver: Driver;
  config: ClientConfig;
  paths: AllocPaths & TaskPaths;
  client: ClientContext;
  /** What the allocation's own hooks have made for its tasks. */
  shared: AllocShared;
  /** True when the task runs already and is only described to its driver again. */
  reattach: boolean;
  /** Aborted when the task is to end. */
  signal: AbortSignal;
  /** Acts on the task while it runs. */
  control: TaskControl;
  log: Log;
  /** What the hooks contribute to the start; each prestart run begins with an empty one. */
  draft: StartDraft;
}

/** What one hook is given. */
export interface HookContext extends TaskContext {
  /** Kept over restarts of the agent, for this hook and task alone. */
  state: HookState;
}

/** What a hook may do to its running task; nothing happens when it does not run. */
export interface TaskControl {
  /** Ends it and starts it again, without counting a failure. */
  restart(reason: string): Promise<void>;
  /** Delivers "SIGHUP" or the like. */
  signal(name: string, reason: string): Promise<void>;
  /** Ends it as failed, for good. */
  fail(reason: string): Promise<void>;
  /** Runs a command inside it; gives its exit code and the end of its output. */
  exec(command: readonly string[], timeoutMs: number): Promise<{ exitCode: number; output: string }>;
  /** Adds a message to its events, of Nomad's type "Driver" unless another is named. */
  tell(message: string, type?: HookEventType): void;
}

export interface StartDraft {
  /** Whom the task is to run as, as the job says it or a hook has chosen; '' = the driver's default. */
  user: string;
  mounts: TaskMount[];
  deviceNodes: TaskDevice[];
  cdiDevices: string[];
  /** What hooks put into `env` before the `env` hook stands over the job's own variables. */
  values: Interpolation & { env: Record<string, string> };
  /** Texts of the task's `secret` blocks under `secret.NAME.KEY`; they may stand in nothing that is told or logged. */
  secrets: Record<string, string>;
}

/**
 * One concern of a task's life. `prestart` runs before every start and when a running task is taken up again, so it
 * must be idempotent; a failure there fails the attempt. `poststart`, `exited` (after every end) and `stop` (once, when
 * the task is over for good) only log their failures.
 */
export interface TaskHook {
  readonly name: string;
  prestart(context: HookContext): Promise<void>;
  poststart(context: HookContext): Promise<void>;
  exited(context: HookContext): Promise<void>;
  stop(context: HookContext): Promise<void>;
}

/** Raised by a prestart hook: the text goes to the task's events; `recoverable` ones count as a restart attempt. */
export class HookError extends Error {
  readonly recoverable: boolean;
  /** It is told as an artifact that could not be fetched. */
  readonly download: boolean;

  constructor(message: string, options: { recoverable: boolean; download?: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'HookError';
    this.recoverable = options.recoverable;
    this.download = options.download ?? false;
  }
}

/** A hook that does nothing but what it is given. */
export function taskHook(name: string, parts: Partial<Omit<TaskHook, 'name'>>): TaskHook {
  const nothing = async (): Promise<void> => {};
  return { name, prestart: nothing, poststart: nothing, exited: nothing, stop: nothing, ...parts };
}
