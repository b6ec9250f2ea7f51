import type Docker from 'dockerode';
import type { ExitResult } from '../../lib/plugin/sdk/driver.js';
import { isUnreachable } from './engine.js';

/** What the engine says of a container that does not run. */
interface EndedState {
  ExitCode: number;
  OOMKilled: boolean;
  Error: string;
}

/** So long before its end somebody may have told a container to stop: an engine that ends waits for 15 s, people may wait longer. */
const KILLED_BEFORE_MS = 60_000;
const NOTED_WITHIN_MS = 200;

interface KilledState {
  ExitCode: number;
  FinishedAt: string;
}

/**
 * How a container ended: by a signal, the engine tells as a shell does, in the exit code alone. `wasTaken`: with its
 * engine or machine, or by somebody. What failed then was ended by that; what ended well may have done its work.
 */
export function toExit({ ExitCode, OOMKilled, Error: error }: EndedState, { wasTaken = false } = {}): ExitResult {
  return {
    exitCode: ExitCode,
    signal: 0,
    oomKilled: OOMKilled,
    ...(error === '' ? {} : { error }),
    ...(wasTaken && ExitCode !== 0 && !OOMKilled ? { lost: true } : {}),
  };
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
