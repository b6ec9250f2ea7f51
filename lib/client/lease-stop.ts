import type { ClientDb } from '../storage/client-db.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import type { AllocRunner } from './alloc-runner.js';
import type { CsiMounts } from './csi/mounts.js';
import { type CsiRecord, mayBeMounted, recordsOf } from './csi/record.js';
import { type LeaseGuard, uptimeMs } from './lease-guard.js';
import { taskEvents } from './task-events.js';
import { sleep, type Timers } from './timers.js';
import type { VolumeLease } from './volume-lease.js';

const LOOK_MS: Millis = 2_500;
/** An agent that was away asks the servers first: an update must not stop what it took up again. */
const START_GRACE_MS: Millis = 10_000;

export interface LeaseStopOptions {
  lease: VolumeLease;
  /** Stops what writes when this agent cannot; null = nobody does (an agent without memory). */
  guard: Pick<LeaseGuard, 'keep'> | null;
  mounts: Pick<CsiMounts, 'targetOf' | 'stagingOf'>;
  runners: () => readonly AllocRunner[];
  db: ClientDb;
  timers: Timers;
  log: Log;
}

/**
 * Ends what writes to claimed volumes when the claims could not be renewed in time (`VOLUME_LEASE`): afterwards the servers may
 * pass them on, and there must never be two writers.
 */
export class LeaseStop {
  private readonly options: LeaseStopOptions;
  private readonly begunMs: Millis;

  constructor(options: LeaseStopOptions) {
    this.options = options;
    this.begunMs = options.timers.now();
  }

  /** Runs until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (await sleep(this.options.timers, LOOK_MS, signal)) this.look();
  }

  private look(): void {
    const { lease, runners, timers, log } = this.options;
    const nowMs = timers.now();
    this.keepGuard(nowMs);
    if (nowMs < Math.max(lease.stopsMs(), this.begunMs + START_GRACE_MS)) return;
    // How long it was before this agent began, nobody knows.
    const silentMs = lease.renewedMs === null ? null : nowMs - lease.renewedMs;
    for (const runner of runners()) {
      const volumes = this.writtenBy(runner.id).map(({ volumeId }) => volumeId);
      if (runner.isEnding || volumes.length === 0) continue;
      log.warn('the lease of its volumes cannot be renewed: stopping the allocation', { alloc: runner.id, silentMs });
      void runner.end(taskEvents.leaseLost(volumes, silentMs), { afterwards: false, delayed: false });
    }
  }

  private keepGuard(nowMs: Millis): void {
    const { lease, guard, mounts, runners, log } = this.options;
    if (!guard || lease.renewedMs === null) return;
    // What tasks see goes first, and what it came from after it.
    const targets = new Set<string>();
    const stagings = new Set<string>();
    for (const { id } of runners()) {
      for (const record of this.writtenBy(id)) {
        targets.add(mounts.targetOf({ ...record, allocId: id }));
        stagings.add(mounts.stagingOf({ ...record, allocId: id }));
      }
    }
    try {
      const renewedUptimeMs = uptimeMs() - (nowMs - lease.renewedMs);
      guard.keep({ renewedUptimeMs, targets: [...targets, ...stagings] });
    } catch (error) {
      log.error('nobody would stop what writes to volumes, were this agent to end now', {
        error: error instanceof Error ? error.message : String(error),
      });
    }
  }

  private writtenBy(allocId: string): CsiRecord[] {
    const records = Object.values(recordsOf(this.options.db, allocId));
    return records.filter((record) => record.mode === 'write' && mayBeMounted(record));
  }
}
