import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { ExitResult } from '../../lib/plugin/sdk/driver.js';
import { type EngineKind, isUnreachable, statusOf, waitForEnd } from './engine.js';

/** What the engine says of a container that does not run. */
interface EndedState {
  ExitCode: number;
  OOMKilled: boolean;
  Error: string;
}

/** So long before its end somebody may have told a container to stop: an engine that ends waits for 15 s, people may wait longer. */
const KILLED_BEFORE_MS = 60_000;
const NOTED_WITHIN_MS = 200;
const RETRY_MS = 1_000;
const BY_SOMEBODY = 'somebody had the engine stop or kill the container, past the agent';
const REMOVED = 'the container was removed by somebody else';

interface KilledState {
  ExitCode: number;
  FinishedAt: string;
}

/** Who ended a container, where it did not end by itself. */
type EndedBy =
  /** Its engine or machine was ended or restarted. What failed then was ended by that; what ended well may have done its work. */
  | 'engine'
  /** Somebody had the engine stop or kill it, past the agent. */
  | 'somebody'
  | null;

/** How a container ended: by a signal, the engine tells as a shell does, in the exit code alone. */
export function toExit({ ExitCode, OOMKilled, Error: error }: EndedState, by: EndedBy = null): ExitResult {
  const isTaken = ExitCode !== 0 && !OOMKilled;
  const said = error === '' && isTaken && by === 'somebody' ? BY_SOMEBODY : error;
  return {
    exitCode: ExitCode,
    signal: 0,
    oomKilled: OOMKilled,
    ...(said === '' ? {} : { error: said }),
    ...(isTaken && by === 'engine' ? { lost: true } : {}),
  };
}

/** What a container's end is learnt with. */
export interface EndWatch {
  engine: Docker;
  container: Docker.Container;
  /** It was started before the machine was. */
  isFormerBoot: boolean;
  kind: EngineKind;
  /** Whether this driver has sent it a signal. */
  isSignalled: () => boolean;
  /** Whether the engine takes new calls. */
  isServing: () => Promise<boolean>;
  /** Ends the watch. */
  signal: AbortSignal;
}

/** Waits for a container's end, across restarts of its engine. Never settles once `signal` is aborted. */
export async function awaitExit(watch: EndWatch): Promise<ExitResult> {
  const { engine, container, signal, kind } = watch;
  let wasUnheard = watch.isFormerBoot;
  while (!signal.aborted) {
    try {
      await waitForEnd(engine, kind.wait(container.id), signal);
      const { State } = await container.inspect();
      if (!State.Running) return toExit(State, wasUnheard ? 'engine' : await endedBy(watch, State));
      wasUnheard = false;
    } catch (error) {
      if (statusOf(error) === 404) return { exitCode: 137, signal: 9, oomKilled: false, error: REMOVED };
      if (isUnreachable(error)) wasUnheard ||= kind.holdsTasks;
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  }
  return new Promise(() => {});
}

async function endedBy(watch: EndWatch, state: KilledState): Promise<EndedBy> {
  if (watch.isSignalled() || !(await wasKilled(watch.engine, watch.container.id, state))) return null;
  // An engine that ends takes no calls any more before it ends its containers.
  return watch.kind.holdsTasks && !(await watch.isServing()) ? 'engine' : 'somebody';
}

/**
 * Whether the engine told an ended container to stop: as it does to all when it ends, and for people who ask it to. Throws when there is
 * no engine any more.
 */
export async function wasKilled(
  engine: Docker,
  containerId: string,
  { ExitCode, FinishedAt }: KilledState,
): Promise<boolean> {
  if (ExitCode === 0) return false;
  const finishedMs = Date.parse(FinishedAt);
  const since = (finishedMs - KILLED_BEFORE_MS) / 1_000;
  // What it wrote down a moment later; until then the answer does not end.
  const until = (finishedMs + NOTED_WITHIN_MS) / 1_000;
  const filters = { container: [containerId], event: ['kill'] };
  try {
    let text = '';
    for await (const chunk of await engine.getEvents({ since, until, filters })) text += String(chunk);
    return text.trim() !== '';
  } catch (error) {
    if (isUnreachable(error)) throw error;
    return false;
  }
}
