import { groupOf } from '../structs/group-of.js';
import { type Millis, toMillis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import type { AllocRunner } from './alloc-runner.js';
import { taskEvents } from './task-events.js';
import { sleep, type Timers } from './timers.js';

/** Longest sleep while anything has a limit: clocks jump when a machine was suspended. */
const LOOK_MS: Millis = 5_000;
const IDLE_MS: Millis = 60_000;
/** A node that must not be silent for long is heard so many times meanwhile: one answer may come late, or never. */
const BEATS = 3;
const BEAT_MIN_MS: Millis = 250;

export interface DisconnectStopOptions {
  /** When a server last acknowledged this node; null = not since the agent began. */
  lastContactMs: () => Millis | null;
  runners: () => readonly AllocRunner[];
  timers: Timers;
  log: Log;
}

/**
 * `stop_on_client_after`: when no server has been reached for that long, the allocations that say so are stopped here, so
 * that the servers may count on it and start them elsewhere. For an allocation the moment counts as contact at which it came,
 * or was found by an agent that began: nobody can tell how long the network was gone before.
 */
export class DisconnectStop {
  private readonly options: DisconnectStopOptions;
  private readonly cameMs = new WeakMap<AllocRunner, Millis>();
  private wake = new AbortController();

  constructor(options: DisconnectStopOptions) {
    this.options = options;
  }

  /** How often the servers must be asked at least, lest the time between two heartbeats be taken for silence. */
  get beatMs(): Millis {
    let least = Number.POSITIVE_INFINITY;
    for (const runner of this.options.runners()) {
      const limit = stopAfter(runner);
      if (limit > 0 && !runner.isEnding) least = Math.min(least, toMillis(limit) / BEATS);
    }
    return Math.max(least, BEAT_MIN_MS);
  }

  /** The allocations have changed: looks at them now. */
  refresh(): void {
    this.wake.abort();
  }

  /** Runs until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = this.look();
      await sleep(this.options.timers, waitMs, signal, this.wake.signal);
      if (this.wake.signal.aborted) this.wake = new AbortController();
    }
  }

  /** Stops what is due; returns how long nothing will be. */
  private look(): Millis {
    const { lastContactMs, runners, timers, log } = this.options;
    const nowMs = timers.now();
    let waitMs = IDLE_MS;
    for (const runner of runners()) {
      const limit = stopAfter(runner);
      if (limit === 0 || runner.isEnding) continue;
      const cameMs = this.cameMs.get(runner) ?? nowMs;
      this.cameMs.set(runner, cameMs);
      const silentMs = nowMs - Math.max(lastContactMs() ?? 0, cameMs);
      const leftMs = toMillis(limit) - silentMs;
      if (leftMs > 0) {
        waitMs = Math.min(waitMs, leftMs, LOOK_MS);
        continue;
      }
      log.warn('no server was reached for stop_on_client_after: stopping the allocation', {
        alloc: runner.id,
        silentMs,
      });
      void runner.end(taskEvents.clientDisconnected(limit));
    }
    return waitMs;
  }
}

/** Nanoseconds; 0 = runs on. */
function stopAfter({ alloc }: AllocRunner): number {
  return groupOf(alloc.Job, alloc.TaskGroup)?.Disconnect?.StopOnClientAfter ?? 0;
}
