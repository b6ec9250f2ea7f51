import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Allocation, TaskState } from '../structs/allocation.js';
import type { ClientAllocUpdate } from '../structs/rpc.js';
import { CLIENT_DISCONNECTED, type Separation, type SeparationRow } from '../structs/separation.js';
import { type Millis, toMillis, toNanos } from '../util/clock.js';
import { formatDuration } from '../util/duration.js';
import type { Log } from '../util/log.js';
import type { AllocRunner } from './alloc-runner.js';
import type { Timers } from './timers.js';

/** Servers are asked every few seconds: a shorter silence is none. */
const SILENCE_MIN_MS: Millis = 30_000;
/** So long the servers have to say what they make of it. */
const SETTLE_MS: Millis = 30_000;
/** The time of the last contact is remembered about as often, for an agent that starts again. */
const REMEMBER_MS: Millis = 30_000;

const FILE = 'separation.json';

interface Memory {
  LastContactMs: Millis | null;
  Last: Separation | null;
}

export interface SeparationsOptions {
  /** Null: nothing is remembered over restarts. */
  stateDir: string | null;
  runners: () => readonly AllocRunner[];
  timers: Timers;
  log: Log;
}

/**
 * Notices when this node was apart from the servers, also while its agent or the machine was down, and makes one table of
 * what has become of its work: what ran on, was started again, ended, or was stopped, and why.
 */
export class Separations {
  private readonly options: SeparationsOptions;
  private memory: Memory = { LastContactMs: null, Last: null };
  private rememberedMs: Millis = Number.NEGATIVE_INFINITY;
  private writing: Promise<void> = Promise.resolve();
  /** The one whose table still changes, and the allocations that are in it. */
  private open: { fromMs: Millis; toMs: Millis; runners: AllocRunner[]; cancel: () => void } | null = null;

  constructor(options: SeparationsOptions) {
    this.options = options;
  }

  /** Remembers what an agent before this one knew. */
  async begin(): Promise<void> {
    const { stateDir } = this.options;
    if (stateDir === null) return;
    const text = await readFile(join(stateDir, FILE), 'utf8').catch(() => null);
    if (text !== null) this.memory = parsed(text) ?? this.memory;
  }

  /** A server has acknowledged this node. */
  contact(nowMs: Millis): void {
    const before = this.memory.LastContactMs;
    this.memory = { ...this.memory, LastContactMs: nowMs };
    if (before !== null && nowMs - before >= SILENCE_MIN_MS) this.reunite(before, nowMs);
    if (nowMs - this.rememberedMs >= REMEMBER_MS) this.remember(nowMs);
  }

  /** The last one; null = there was none. */
  last(): Separation | null {
    return this.open ? this.told(this.open) : this.memory.Last;
  }

  /** Settles when everything is written. */
  async close(): Promise<void> {
    this.open?.cancel();
    this.settle();
    await this.writing;
  }

  private reunite(fromMs: Millis, toMs: Millis): void {
    const { runners, timers } = this.options;
    this.open?.cancel();
    this.settle();
    const concerned = runners().filter((runner) => !wasOver(runner.report(), fromMs));
    this.open = { fromMs, toMs, runners: concerned, cancel: timers.after(SETTLE_MS, () => this.settle()) };
  }

  /** From now on the table is what it is: what is stopped later has other reasons. */
  private settle(): void {
    if (!this.open) return;
    const last = this.told(this.open);
    this.open = null;
    this.memory = { ...this.memory, Last: last };
    const { log } = this.options;
    const counts = last.Allocs.map(({ Outcome }) => Outcome);
    log.info('this node was apart from the servers', {
      lasted: formatDuration(Math.round((last.Until - last.Since) / 1e9) * 1e9),
      kept: counts.filter((one) => one === 'kept').length,
      restarted: counts.filter((one) => one === 'restarted').length,
      ended: counts.filter((one) => one === 'ended').length,
      stopped: counts.filter((one) => one === 'stopped').length,
    });
    for (const { AllocID, JobID, Outcome, Why } of last.Allocs) {
      if (Outcome !== 'kept') log.info(`allocation was ${Outcome}`, { alloc: AllocID, job: JobID, why: Why });
    }
    this.remember(this.options.timers.now());
  }

  private told({ fromMs, toMs, runners }: { fromMs: Millis; toMs: Millis; runners: AllocRunner[] }): Separation {
    const there = new Set(this.options.runners());
    const rows = runners.map((runner) =>
      separationRow(runner.alloc, runner.report(), { fromMs, toMs, isThere: there.has(runner) }),
    );
    return { Since: toNanos(fromMs), Until: toNanos(toMs), Allocs: rows };
  }

  private remember(nowMs: Millis): void {
    const { stateDir, log } = this.options;
    this.rememberedMs = nowMs;
    if (stateDir === null) return;
    const text = JSON.stringify(this.memory);
    this.writing = this.writing
      .then(() => write(stateDir, text))
      .catch((error: unknown) => {
        log.debug('the time of the last contact is not on disk', {
          error: error instanceof Error ? error.message : String(error),
        });
      });
  }
}

/** No fsync: it is worth no disk access, and the file is whole or the one before. */
async function write(stateDir: string, text: string): Promise<void> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const path = join(stateDir, FILE);
  await writeFile(`${path}.tmp`, text, { mode: 0o600 });
  await rename(`${path}.tmp`, path);
}

function parsed(text: string): Memory | null {
  try {
    const { LastContactMs, Last } = JSON.parse(text) as Partial<Memory>;
    return {
      LastContactMs: typeof LastContactMs === 'number' ? LastContactMs : null,
      Last: Last && Array.isArray(Last.Allocs) ? Last : null,
    };
  } catch {
    // Written without fsync: after a power cut it may be empty.
    return null;
  }
}

/** Whether it was over before: an agent that starts again has those too. */
function wasOver({ ClientStatus, TaskStates }: ClientAllocUpdate, fromMs: Millis): boolean {
  if (!isEnded(ClientStatus)) return false;
  return Object.values(TaskStates ?? {}).every(({ FinishedAt }) => Date.parse(FinishedAt) < fromMs);
}

function isEnded(status: string): boolean {
  return status === 'complete' || status === 'failed';
}

/** What has become of one allocation between `fromMs` and `toMs`, and just after. `isThere`: the servers still know of it. */
function separationRow(
  alloc: Allocation,
  report: ClientAllocUpdate,
  { fromMs, toMs, isThere }: { fromMs: Millis; toMs: Millis; isThere: boolean },
): SeparationRow {
  const row = { AllocID: alloc.ID, JobID: alloc.JobID, TaskGroup: alloc.TaskGroup };
  const states = Object.values(report.TaskStates ?? {});
  const here = latest(states, fromMs, [CLIENT_DISCONNECTED]);
  if (here !== null) return { ...row, Outcome: 'stopped', Why: here };
  const why = latest(states, fromMs, ENDS);
  const ended = { ...row, Outcome: 'ended' as const, Why: why ?? 'its tasks are over' };
  // What the servers then make of it (another in its place, say) has stopped nothing.
  if (endedByItself(report, fromMs, toMs)) return ended;
  if (!isThere) return { ...row, Outcome: 'stopped', Why: 'the servers have forgotten it' };
  if (alloc.DesiredStatus !== 'run') {
    const unwanted = alloc.DesiredDescription || 'the servers do not want it here any more';
    return { ...row, Outcome: 'stopped', Why: unwanted };
  }
  if (isEnded(report.ClientStatus)) return ended;
  if (latest(states.filter(wasStartedBefore), fromMs, ['Started']) !== null)
    return { ...row, Outcome: 'restarted', Why: why ?? 'it was gone, with the machine or its engine' };
  return { ...row, Outcome: 'kept', Why: '' };
}

/** Whether it was over, and nobody had ended it, before the servers were heard again. */
function endedByItself({ ClientStatus, TaskStates }: ClientAllocUpdate, fromMs: Millis, toMs: Millis): boolean {
  const states = Object.values(TaskStates ?? {});
  if (!isEnded(ClientStatus) || latest(states, fromMs, ['Killing']) !== null) return false;
  return states.every(({ FinishedAt }) => Date.parse(FinishedAt) <= toMs);
}

/** Whether its newest start is not its first: one that began just before the servers fell silent was not started again. */
function wasStartedBefore({ Events }: TaskState): boolean {
  const starts = Events.filter(({ Type }) => Type === 'Started');
  // Of a longer story only the end is kept.
  return starts.length > 1 || !Events.some(({ Type }) => Type === 'Received');
}

/** What tells why a task does not run any more. */
const ENDS = [
  'Terminated',
  'Not Restarting',
  'Driver Failure',
  'Setup Failure',
  'Killing',
  'Max Run Duration Exceeded',
];

/** What the newest event of these types says that is not older; null = there is none. */
function latest(states: readonly TaskState[], fromMs: Millis, types: readonly string[]): string | null {
  const events = states
    .flatMap(({ Events }) => Events)
    .filter(({ Type, Time }) => types.includes(Type) && toMillis(Time) >= fromMs)
    .sort((a, b) => b.Time - a.Time);
  return events[0]?.DisplayMessage ?? null;
}
