import { rename, rmdir } from 'node:fs/promises';
import { listMounts } from '../../plugin/sdk/mounts.js';
import type { Millis } from '../../util/clock.js';
import type { ClientContext } from '../context.js';
import { deadAmong } from '../csi/dead-mounts.js';
import { recordsOf } from '../csi/record.js';
import { sleep } from '../timers.js';
import type { AllocHookContext } from './hook.js';

// What is mounted for a task can be gone while it runs: somebody unmounts it, or a plugin does that has lost its mind. The task
// would go on in the empty directory where its data was. Or it is still there and leads nowhere: whatever served it was killed. So it
// is looked for, and when it is gone or dead, the tasks that use it are ended, it is mounted again, and they begin anew.

const LOOK_MS: Millis = 5_000;
const RETRY_MS: Millis = 5_000;
/** So many times what was written beside a volume is kept apart. */
const ASIDE_MAX = 100;

/** Claims and mounts a volume of the group, as if nothing had been before. */
export type Bring = (context: AllocHookContext, name: string) => Promise<void>;

/** A volume that its tasks cannot use any more. */
interface Lost {
  context: AllocHookContext;
  name: string;
  /** It shows as mounted, and leads nowhere. */
  isDead: boolean;
}

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
      const lost = await this.lost(client).catch(() => []);
      for (const one of lost) this.mend(one);
    }
  }

  private of(client: ClientContext): Map<string, AllocHookContext> {
    const known = this.contexts.get(client) ?? new Map<string, AllocHookContext>();
    this.contexts.set(client, known);
    return known;
  }

  private async lost(client: ClientContext): Promise<Lost[]> {
    const { mounts } = client.csi;
    const mounted = [...this.of(client).values()].flatMap((context) =>
      Object.entries(recordsOf(client.db, context.alloc.ID)).flatMap(([name, record]) =>
        record.step === 'mounted' && record.isMount
          ? [{ context, name, target: mounts.targetOf({ ...record, allocId: context.alloc.ID }) }]
          : [],
      ),
    );
    if (mounted.length === 0) return [];
    const entries = await listMounts();
    const there = new Set(entries.map(({ target }) => target));
    const asked = mounted.filter(({ target }) => there.has(target)).map(({ target }) => target);
    const dead = new Set(await deadAmong(asked, entries));
    return mounted.flatMap(({ context, name, target }) => {
      const isDead = dead.has(target);
      return (isDead || !there.has(target)) && !context.signal.aborted ? [{ context, name, isDead }] : [];
    });
  }

  private mend({ context, name, isDead }: Lost): void {
    const { client, alloc, group, tell, log } = context;
    const record = recordsOf(client.db, alloc.ID)[name];
    const key = `${alloc.ID} ${name}`;
    if (!record || this.mending.has(key)) return;
    this.mending.add(key);
    const how = isDead
      ? 'leads nowhere any more: what served it has ended'
      : 'is not mounted any more, and not by this agent';
    const why = `Volume "${record.volumeId}" ${how}`;
    log.error('a volume is gone under its tasks: they begin anew once it is mounted again', {
      alloc: alloc.ID,
      volume: record.volumeId,
      why,
    });
    tell(`${why}: it is mounted again, and the tasks that use it begin anew`);
    const place = { ...record, allocId: alloc.ID };
    const cleared = isDead
      ? // The plugin may hold that it is mounted. What it does not take away now, mounting does.
        client.csi.mounts.unmount(place, () => {}).catch(() => {})
      : setAside(context, client.csi.mounts.targetOf(place));
    const mended = cleared.then(() => this.again(context, name)).finally(() => this.mending.delete(key));
    for (const task of group.Tasks) {
      const uses = (task.VolumeMounts ?? []).some(({ Volume }) => Volume === name);
      if (uses) context.restart(task.Name, why, mended);
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
  for (let n = 1; n <= ASIDE_MAX; n++) {
    const beside = `${target}.written-without-volume${n === 1 ? '' : `-${n}`}`;
    try {
      // Empty, or not there: nothing was written.
      await rmdir(target);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') return;
    }
    try {
      await rename(target, beside);
      return tell(`What was written while it was not mounted is kept in ${beside}`);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // One of an earlier time is there.
      if (code === 'ENOTEMPTY' || code === 'EEXIST') continue;
      return tell(`What was written while it was not mounted stays in ${target}, hidden by the volume: ${message}`);
    }
  }
}
