import type { Evaluation } from '../structs/evaluation.js';
import { propose } from './propose.js';
import type { ServerWorld } from './world.js';

/**
 * Records evaluations: in order, together with those that come meanwhile, and if possible beside what somebody waits for.
 */
export interface EvalWriter {
  /** Resolves once the evaluations are stored. */
  write(evaluations: readonly Evaluation[]): Promise<void>;
}

/** Evaluations in one log entry at most: keeps an entry well under the limit of the log. */
const ENTRY_MAX = 256;
/** Nobody notices if an outcome comes so much later; while requests come it need not. */
const PATIENCE_MS = 20;

interface Waiting {
  evaluations: readonly Evaluation[];
  resolve(): void;
  reject(error: unknown): void;
}

export function createEvalWriter({ consensus, company }: Pick<ServerWorld, 'consensus' | 'company'>): EvalWriter {
  let waiting: Waiting[] = [];
  let writing = false;

  const takeEntry = (): Waiting[] => {
    let size = 0;
    let count = 0;
    for (const { evaluations } of waiting) {
      if (count > 0 && size + evaluations.length > ENTRY_MAX) break;
      size += evaluations.length;
      count++;
    }
    const entry = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return entry;
  };

  const run = async (): Promise<void> => {
    writing = true;
    while (waiting.length > 0) {
      if (waiting.length < ENTRY_MAX) await company.wait(PATIENCE_MS);
      const entry = takeEntry();
      try {
        await propose(consensus, { type: 'evals-upsert', evals: entry.flatMap(({ evaluations }) => evaluations) });
        for (const { resolve } of entry) resolve();
      } catch (error) {
        for (const { reject } of entry) reject(error);
      }
    }
    writing = false;
  };

  return {
    write(evaluations) {
      return new Promise((resolve, reject) => {
        waiting.push({ evaluations, resolve, reject });
        if (!writing) void run();
      });
    },
  };
}
