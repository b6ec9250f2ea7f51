import type { Allocation } from '../../structs/allocation.js';
import { groupOf } from '../../structs/group-of.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import type { Log } from '../../util/log.js';
import { allocPaths } from '../alloc-dir.js';
import { type ClientContext, hookState } from '../context.js';
import type { AllocHook, AllocHookContext, AllocShared } from './hook.js';

export interface AllocHooksOptions {
  client: ClientContext;
  alloc: () => Allocation;
  tell: (message: string) => void;
  restart: AllocHookContext['restart'];
  log: Log;
}

/** Runs the hooks of one allocation and holds what they have made. */
export class AllocHooks {
  readonly shared: AllocShared = { network: null, networkInode: null, networkStatus: null, volumes: {} };
  private readonly options: AllocHooksOptions;
  private readonly ending = new AbortController();
  private prepared = false;
  private preparing: Promise<void> = Promise.resolve();

  constructor(options: AllocHooksOptions) {
    this.options = options;
  }

  /**
   * Prepares the allocation, once, for whoever asks first; throws what the first failing hook throws, and tries again when somebody asks
   * again. `mayWait`: nothing else has to come first.
   */
  async prerun(how: Pick<AllocHookContext, 'reattach' | 'mayWait'>): Promise<void> {
    if (this.prepared) return;
    const attempt = this.preparing.catch(() => {}).then(() => this.prepare(how));
    this.preparing = attempt;
    await attempt;
  }

  private async prepare(how: Pick<AllocHookContext, 'reattach' | 'mayWait'>): Promise<void> {
    if (this.prepared) return;
    for (const hook of this.hooks) {
      const context = this.context(hook, how);
      if (context) await hook.prerun(context);
    }
    this.prepared = true;
  }

  /** Whoever waits in a hook waits no longer. */
  end(): void {
    this.ending.abort();
  }

  /** Undoes what `prerun` did, in the reverse order. Never throws. */
  async postrun(): Promise<void> {
    this.end();
    await this.undo('postrun');
    this.prepared = false;
  }

  /** Removes what was to outlive the tasks. Never throws. */
  async destroy(): Promise<void> {
    await this.undo('destroy');
  }

  private get hooks(): readonly AllocHook[] {
    return this.options.client.allocHooks;
  }

  private async undo(step: 'postrun' | 'destroy'): Promise<void> {
    for (const hook of [...this.hooks].reverse()) {
      const context = this.context(hook, { reattach: false, mayWait: false });
      if (!context) return;
      await hook[step](context).catch((error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        this.options.log.error('cleaning up failed', { hook: hook.name, step, alloc: context.alloc.ID, error: why });
      });
    }
  }

  /** Null when the allocation came without its job: nothing of it can have been prepared. */
  private context(hook: AllocHook, how: Pick<AllocHookContext, 'reattach' | 'mayWait'>): AllocHookContext | null {
    const { client, tell, restart, log } = this.options;
    const alloc = this.options.alloc();
    const found = findGroup(alloc);
    if (!found) return null;
    return {
      alloc,
      ...found,
      client,
      paths: allocPaths(client.config().allocDir, alloc.ID),
      state: hookState(client, alloc.ID, hook.name),
      ...how,
      signal: this.ending.signal,
      tell,
      restart,
      log: log.child(hook.name),
      shared: this.shared,
    };
  }
}

function findGroup(alloc: Allocation): { job: Job; group: TaskGroup } | null {
  const group = groupOf(alloc.Job, alloc.TaskGroup);
  return alloc.Job && group ? { job: alloc.Job, group } : null;
}
