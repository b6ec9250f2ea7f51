import type { ClientDb } from '../storage/client-db.js';
import { VOLUME_LEASE } from '../structs/rpc-volume.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import type { AllocRunner } from './alloc-runner.js';
import { recordsOf } from './csi/record.js';
import { taskEvents } from './task-events.js';
import { sleep, type Timers } from './timers.js';

const LOOK_MS: Millis = 2_500;

export interface LeaseStopOptions {
  /** When the newest heartbeat that a server answered was sent; null = none since the agent began. */
  renewedMs: () => Millis | null;
  runners: () => readonly AllocRunner[];
  db: ClientDb;
  timers: Timers;
  log: Log;
}

/**
 * Ends what writes to claimed volumes when the claims could not be renewed in time (`VOLUME_LEASE`): afterwards the servers may
 * pass them on, and there must never be two writers. The agent's start counts as a renewal.
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
    const { renewedMs, runners, timers, log } = this.options;
    const silentMs = timers.now() - Math.max(renewedMs() ?? 0, this.begunMs);
    if (silentMs < VOLUME_LEASE.stopAfterMs) return;
    for (const runner of runners()) {
      const volumes = this.writtenBy(runner.id);
      if (runner.isEnding || volumes.length === 0) continue;
      log.warn('the lease of its volumes cannot be renewed: stopping the allocation', { alloc: runner.id, silentMs });
      void runner.end(taskEvents.leaseLost(volumes, silentMs), { afterwards: false });
    }
  }

  private writtenBy(allocId: string): string[] {
    const records = Object.values(recordsOf(this.options.db, allocId));
    return records.filter(({ mode }) => mode === 'write').map(({ volumeId }) => volumeId);
  }
}
