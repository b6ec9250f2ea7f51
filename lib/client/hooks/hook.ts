import type { Driver, TaskMount } from '../../plugin/sdk/driver.js';
import type { Allocation } from '../../structs/allocation.js';
import type { Job, Task, TaskGroup } from '../../structs/job.js';
import type { Node } from '../../structs/node.js';
import type { Log } from '../../util/log.js';
import type { AllocPaths, TaskPaths } from '../alloc-dir.js';
import type { ClientConfig } from '../config.js';
import type { Interpolation } from '../interpolate.js';

/** What a hook may know of the task it prepares. */
export interface HookContext {
  alloc: Allocation;
  job: Job;
  group: TaskGroup;
  task: Task;
  node: Node;
  driver: Driver;
  config: ClientConfig;
  paths: AllocPaths & TaskPaths;
  log: Log;
  /** What the hooks contribute to the start; each prestart run begins with an empty one. */
  draft: StartDraft;
}

export interface StartDraft {
  mounts: TaskMount[];
  values: Interpolation & { env: Record<string, string> };
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

  constructor(message: string, options: { recoverable: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'HookError';
    this.recoverable = options.recoverable;
  }
}

/** A hook that does nothing but what it is given. */
export function taskHook(name: string, parts: Partial<Omit<TaskHook, 'name'>>): TaskHook {
  const nothing = async (): Promise<void> => {};
  return { name, prestart: nothing, poststart: nothing, exited: nothing, stop: nothing, ...parts };
}
