import type { TaskNetwork } from '../../plugin/sdk/driver.js';
import type { Allocation, AllocNetworkStatus } from '../../structs/allocation.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import type { Log } from '../../util/log.js';
import type { AllocPaths } from '../alloc-dir.js';
import type { ClientContext, HookState } from '../context.js';

/** What an allocation's hook may know and use. */
export interface AllocHookContext {
  alloc: Allocation;
  job: Job;
  group: TaskGroup;
  client: ClientContext;
  paths: AllocPaths;
  /** Kept over restarts of the agent, for this hook and allocation alone. */
  state: HookState;
  /** True while tasks of it run already: what they use must be left as it is, and may only be made whole. */
  reattach: boolean;
  /** Whether `prerun` may wait for as long as it takes; not while running tasks are yet to be taken up, which come first. */
  mayWait: boolean;
  /** Aborted when the allocation is to end: whatever is waited for then is not worth it. */
  signal: AbortSignal;
  /** Adds a message to the events of all its tasks ("waiting for volume …"). */
  tell: (message: string) => void;
  /** Starts a task again that runs, not before `after` has settled; nothing happens to one that does not run. */
  restart: (task: string, reason: string, after?: Promise<unknown>) => void;
  log: Log;
  /** What the hooks give to the tasks. */
  shared: AllocShared;
}

/** What is made once for all tasks of an allocation. */
export interface AllocShared {
  /** Null: the host's network. */
  network: TaskNetwork | null;
  /** Which namespace that is. */
  networkInode: number | null;
  /** For the servers and `alloc status`. */
  networkStatus: AllocNetworkStatus | null;
  /** Where each volume of the group lies on this machine, by its name in the group. */
  volumes: Readonly<Record<string, ReadyVolume>>;
}

/** A volume of the group that is ready to be mounted into tasks. */
export interface ReadyVolume {
  hostPath: string;
  readOnly: boolean;
  /** A block device is passed on as a device node, not as a directory. */
  kind: 'directory' | 'block';
}

/**
 * One concern of an allocation as a whole. `prerun` runs before its first task starts and again when a restarted agent
 * takes it up (also after a reboot of the machine), so it must be idempotent: what is missing is made. A failure fails
 * the allocation, unless tasks run already: then it is logged. `postrun` runs once all tasks are dead, in the reverse
 * order, and again after a restart of the agent that came in between; `destroy` runs when the allocation's files are
 * removed, for what is to outlive its tasks. Both must be idempotent too, and their failures are only logged.
 */
export interface AllocHook {
  readonly name: string;
  prerun(context: AllocHookContext): Promise<void>;
  postrun(context: AllocHookContext): Promise<void>;
  destroy(context: AllocHookContext): Promise<void>;
  /** Looks after what it has made, from when the allocations are restored until `signal` is aborted; never rejects. */
  serve?(client: ClientContext, signal: AbortSignal): Promise<void>;
}

/** A hook that does nothing but what it is given. */
export function allocHook(name: string, parts: Partial<Omit<AllocHook, 'name'>>): AllocHook {
  const nothing = async (): Promise<void> => {};
  return { name, prerun: nothing, postrun: nothing, destroy: nothing, ...parts };
}
