import type { Allocation } from '../structs/allocation.js';
import type { ClientAllocUpdate } from '../structs/rpc.js';
import type { Millis } from '../util/clock.js';
import { AllocRunner } from './alloc-runner.js';
import { type ClientContext, persist } from './context.js';
import { type DiskState, DiskWatch } from './disk-watch.js';
import { selectToCollect } from './gc.js';
import { diskUse } from './host-stats.js';
import type { StatusSync } from './status-sync.js';
import { messageOf } from './task-start.js';
import { sleep } from './timers.js';

/** An engine that hangs is not waited for longer: the work of all others, and of a server beside it, is to go on. */
const RESTORE_MAX_MS: Millis = 15_000;

/** The allocations of this node: starts, changes, removes them. */
export class AllocStore {
  private readonly context: ClientContext;
  private readonly status: StatusSync;
  private readonly runners = new Map<string, AllocRunner>();
  private readonly leaving = new Map<string, Promise<void>>();
  /** Those whose drivers have not yet answered what they have of an agent before this one. */
  private readonly restoring = new Map<string, Promise<void>>();
  private released = false;
  private closed = false;
  private making: Promise<void> | null = null;
  /** What the disk has refused of the memory. */
  private isBehind = false;
  private readonly disk: DiskWatch;

  constructor(context: ClientContext, status: StatusSync) {
    this.context = context;
    this.status = status;
    this.disk = new DiskWatch(context.log);
  }

  runner(id: string): AllocRunner | undefined {
    return this.runners.get(id);
  }

  get all(): readonly AllocRunner[] {
    return [...this.runners.values()];
  }

  /** What the node knows, as alloc-diff wants it. */
  known(): ReadonlyMap<string, { allocModifyIndex: number }> {
    const known = new Map<string, { allocModifyIndex: number }>();
    for (const [id, { alloc }] of this.runners) known.set(id, { allocModifyIndex: alloc.AllocModifyIndex });
    return known;
  }

  /**
   * Takes up everything that the client's memory has, and settles when all drivers have answered, or have had their time:
   * what is asked of an allocation whose driver has not waits until it does. `all` settles when the last one has.
   */
  async restore(): Promise<{ all: Promise<void> }> {
    for (const record of this.context.db.allocs.values()) this.add(record.alloc, true);
    for (const runner of this.all) {
      const restoring = runner.restore().then(() => void this.restoring.delete(runner.id));
      this.restoring.set(runner.id, restoring);
    }
    const waiting = new Map(this.restoring);
    const all = Promise.all(waiting.values()).then(() => {});
    const { timers, log } = this.context;
    const answered = new AbortController();
    await Promise.race([all.finally(() => answered.abort()), sleep(timers, RESTORE_MAX_MS, answered.signal)]);
    for (const runner of this.all) {
      if (!this.restoring.has(runner.id)) this.begin(runner);
      else void waiting.get(runner.id)?.then(() => this.begin(runner));
    }
    if (this.restoring.size > 0) {
      log.warn('drivers do not answer: their tasks are taken up again as soon as they do', {
        allocs: [...this.restoring.keys()].join(', '),
      });
    }
    return { all };
  }

  /** Lets go of everything: tasks run on. */
  release(): void {
    this.released = true;
    for (const runner of this.all) runner.release();
  }

  /** Nothing more is begun: everything is about to be removed, and a server would put others in its place. */
  close(): void {
    this.closed = true;
  }

  private begin(runner: AllocRunner): void {
    if (this.released) return;
    this.status.put(runner.id, () => runner.report(), true);
    runner.start();
  }

  /** Does what an answer of the servers asks for, and remembers its index. */
  act(change: { changed: readonly Allocation[]; remove: readonly string[]; index: number }): void {
    if (this.closed) return;
    for (const alloc of change.changed) this.accept(alloc);
    for (const id of change.remove) void this.remove(id);
    persist(this.context, (db) => db.putLastIndex(change.index));
    // The wish is worth a disk access: after a power cut the node starts its work without asking anybody.
    void this.syncMemory();
  }

  private async syncMemory(): Promise<void> {
    const { db, log } = this.context;
    try {
      await db.sync();
      if (this.isBehind) log.info('client state is on disk again');
      this.isBehind = false;
    } catch (error) {
      this.isBehind = true;
      log.error('client state is not on disk', { error: messageOf(error) });
    }
  }

  /** Stops an allocation and removes all that it has left here. Never throws. */
  async remove(id: string): Promise<void> {
    const runner = this.runners.get(id);
    if (!runner) return;
    const leaving = this.leaving.get(id) ?? this.destroy(runner);
    this.leaving.set(id, leaving);
    await leaving;
  }

  /** Removes one ended allocation's files, or those of all; running ones stay. */
  async collect(id: string | null): Promise<void> {
    const chosen = this.all.filter((runner) => runner.finishedAtMs !== null && (id === null || runner.id === id));
    await this.collectAll(chosen.map((runner) => runner.id));
  }

  /** Keeps the number of ended allocations and their disk within the limits until `signal` is aborted. */
  async watchGarbage(signal: AbortSignal): Promise<void> {
    while (await sleep(this.context.timers, this.context.config().gc.intervalMs, signal)) {
      // Makes up for what a full disk has refused, should it have room again.
      await this.syncMemory();
      try {
        const disk = await this.collectGarbage();
        if (disk) await this.disk.look(disk);
      } catch (error) {
        this.context.log.warn('garbage collection failed', { error: messageOf(error) });
      }
    }
  }

  /** Before an allocation begins, what has ended makes way for it where the disk is full. Never throws. */
  private makeRoom(): Promise<void> {
    this.making ??= this.collectGarbage()
      .then(() => {})
      .catch((error: unknown) => this.context.log.warn('garbage collection failed', { error: messageOf(error) }))
      .finally(() => {
        this.making = null;
      });
    return this.making;
  }

  /** Says how the disk is, or null when something was removed: then it is looked at again later. */
  private async collectGarbage(): Promise<DiskState | null> {
    const { gc, allocDir } = this.context.config();
    const present = this.all.filter((runner) => runner.hasFiles);
    // Their successors have not taken over their data yet.
    const needed = new Set(this.all.filter(isPending).map(({ alloc }) => alloc.PreviousAllocation));
    const ended = present.flatMap(({ id, finishedAtMs }) =>
      finishedAtMs === null || needed.has(id) ? [] : [{ id, finishedAtMs }],
    );
    const disk = await diskUse(allocDir, '');
    const diskOverLimit = disk.UsedPercent > gc.diskUsagePercent || disk.InodesUsedPercent > gc.inodeUsagePercent;
    const chosen = selectToCollect({ ended, total: present.length, maxAllocs: gc.maxAllocs, diskOverLimit });
    const use = `the disk of ${allocDir} is ${Math.round(disk.UsedPercent)} % full, ${Math.round(disk.InodesUsedPercent)} % of its inodes are used`;
    const users = present.filter(({ finishedAtMs }) => finishedAtMs === null);
    if (chosen.length === 0) return { isFull: diskOverLimit, why: use, allocDir, users };
    const why = diskOverLimit ? use : `there are more than ${gc.maxAllocs}`;
    this.context.log.info('removing ended allocations', { count: chosen.length, why });
    await this.collectAll(chosen);
    return null;
  }

  /** One that cannot be removed holds up no other; throws the first reason. */
  private async collectAll(ids: string[]): Promise<void> {
    const queue = [...ids];
    const failures: unknown[] = [];
    // Deleting files must not starve the tasks of the disk.
    const parallel = Math.max(1, this.context.config().gc.parallelDestroys);
    await Promise.all(
      Array.from({ length: parallel }, async () => {
        for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
          await this.runners
            .get(id)
            ?.clearFiles()
            .catch((error: unknown) => failures.push(error));
        }
      }),
    );
    if (failures.length > 0) throw failures[0];
  }

  private accept(alloc: Allocation): void {
    const runner = this.runners.get(alloc.ID);
    if (runner) {
      const restoring = this.restoring.get(alloc.ID);
      if (restoring) void restoring.then(() => this.follow(runner, alloc));
      else this.follow(runner, alloc);
      return;
    }
    // Ended long ago and forgotten here: nothing is left to be done for it.
    if (TERMINAL.has(alloc.ClientStatus)) return;
    persist(this.context, (db) => db.putAlloc(alloc));
    this.add(this.context.db.allocs.get(alloc.ID)?.alloc ?? alloc, false).start();
  }

  /** Hands the servers' newer wish on. What they know otherwise, as when a snapshot was restored there, is said again. */
  private follow(runner: AllocRunner, alloc: Allocation): void {
    runner.update(alloc);
    if (alloc.DesiredStatus !== 'run') return;
    const { ClientStatus, DeploymentStatus } = runner.report();
    const isKnown =
      ClientStatus === alloc.ClientStatus && DeploymentStatus?.Healthy === alloc.DeploymentStatus?.Healthy;
    if (!isKnown) this.status.put(runner.id, () => runner.report(), false);
  }

  private add(alloc: Allocation, restored: boolean): AllocRunner {
    const runner = new AllocRunner({
      client: this.context,
      alloc,
      record: restored ? (this.context.db.allocs.get(alloc.ID) ?? null) : null,
      ready: async () => {
        await this.runners.get(alloc.PreviousAllocation)?.done;
        await this.makeRoom();
      },
      onChange: (changed, urgent) => this.status.put(changed.id, (): ClientAllocUpdate => changed.report(), urgent),
    });
    this.runners.set(alloc.ID, runner);
    return runner;
  }

  private async destroy(runner: AllocRunner): Promise<void> {
    try {
      await this.restoring.get(runner.id);
      await runner.destroy();
    } catch (error) {
      this.context.log.error('allocation could not be removed', { alloc: runner.id, error: messageOf(error) });
    } finally {
      this.status.drop(runner.id);
      this.runners.delete(runner.id);
      this.leaving.delete(runner.id);
    }
  }
}

/** Whether none of its tasks has begun. */
function isPending(runner: AllocRunner): boolean {
  if (runner.finishedAtMs !== null) return false;
  return Object.values(runner.report().TaskStates ?? {}).every(({ State }) => State === 'pending');
}

const TERMINAL: ReadonlySet<string> = new Set(['complete', 'failed', 'lost']);
