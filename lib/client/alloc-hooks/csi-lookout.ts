import { rename, rmdir } from 'node:fs/promises';
import { listMounts } from '../../plugin/sdk/mounts.js';
import type { Millis } from '../../util/clock.js';
import type { ClientContext } from '../context.js';
import { recordsOf } from '../csi/record.js';
import { sleep } from '../timers.js';
import type { AllocHookContext } from './hook.js';

// What is mounted for a task can be gone while it runs: somebody unmounts it, or a plugin does that has lost its mind. The task
// would go on in the empty directory where its data was. So it is looked for, and when it is gone, the tasks that use it are
// ended, it is mounted again, and they begin anew.

const LOOK_MS: Millis = 5_000;
const RETRY_MS: Millis = 5_000;

/** Claims and mounts a volume of the group, as if nothing had been before. */
export type Bring = (context: AllocHookContext, name: string) => Promise<void>;

/** The allocations whose volumes are looked after. */
export class CsiLookout {
  private readonly contexts = new WeakMap<ClientContext, Map<string, AllocHookContext>>();
  private readonly bring: Bring;
  /** What is being mounted again, by allocation and name. */
  private readonly mending = new Set<string>();

  constructor(bring: Bring) {
    this.bring = bring;
  }

  /** Its volumes are mounted: from now on they are looked after, until `leave`. */
  attend(context: AllocHookContext): void {
    this.of(context.client).set(context.alloc.ID, context);
  }

  leave({ client, alloc }: AllocHookContext): void {
    this.of(client).delete(alloc.ID);
  }

  /** Runs until `signal` is aborted; never rejects. */
  async serve(client: ClientContext, signal: AbortSignal): Promise<void> {
    while (await sleep(client.timers, LOOK_MS, signal)) {
      const missing = await this.missing(client).catch(() => []);
      for (const { context, name } of missing) this.mend(context, name);
    }
  }

  private of(client: ClientContext): Map<string, AllocHookContext> {
    const known = this.contexts.get(client) ?? new Map<string, AllocHookContext>();
    this.contexts.set(client, known);
    return known;
  }

  private async missing(client: ClientContext): Promise<{ context: AllocHookContext; name: string }[]> {
    const mounted = [...this.of(client).values()].flatMap((context) =>
      Object.entries(recordsOf(client.db, context.alloc.ID)).flatMap(([name, record]) =>
        record.step === 'mounted' && record.isMount ? [{ context, name, record }] : [],
      ),
    );
    if (mounted.length === 0) return [];
    const targets = new Set((await listMounts()).map(({ target }) => target));
    return mounted.filter(({ context, record }) => {
      const target = client.csi.mounts.targetOf({ ...record, allocId: context.alloc.ID });
      return !targets.has(target) && !context.signal.aborted;
    });
  }

  private mend(context: AllocHookContext, name: string): void {
    const { client, alloc, group, tell, log } = context;
    const record = recordsOf(client.db, alloc.ID)[name];
    const key = `${alloc.ID} ${name}`;
    if (!record || this.mending.has(key)) return;
    this.mending.add(key);
    const why = `volume "${record.volumeId}" is not mounted any more, and not by this agent`;
    log.error('a volume has vanished under its tasks: they begin anew once it is mounted again', {
      alloc: alloc.ID,
      volume: record.volumeId,
    });
    tell(`V${why.slice(1)}: it is mounted again, and the tasks that use it begin anew`);
    const target = client.csi.mounts.targetOf({ ...record, allocId: alloc.ID });
    const mended = setAside(context, target)
      .then(() => this.again(context, name))
      .finally(() => this.mending.delete(key));
    for (const task of group.Tasks) {
      const uses = (task.VolumeMounts ?? []).some(({ Volume }) => Volume === name);
      if (uses) context.restart(task.Name, `V${why.slice(1)}`, mended);
    }
  }

  private async again(context: AllocHookContext, name: string): Promise<void> {
    const { client, signal, tell } = context;
    let told = '';
    while (!signal.aborted) {
      try {
        await this.bring(context, name);
        return tell('The volume is mounted again');
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        if (why !== told) tell(`Waiting for the volume: ${why}`);
        told = why;
        await sleep(client.timers, RETRY_MS, signal);
      }
    }
  }
}

/** What was written into the directory below meanwhile would be hidden by the volume, and in the way of its removal: it is kept beside it. */
async function setAside({ tell }: AllocHookContext, target: string): Promise<void> {
  const beside = `${target}.written-without-volume`;
  try {
    // Empty, or not there: nothing was written.
    await rmdir(target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') return;
    await rename(target, beside).then(
      () => tell(`What was written while it was not mounted is kept in ${beside}`),
      () => {},
    );
  }
}
