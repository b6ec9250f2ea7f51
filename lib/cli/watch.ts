import type { Context, FlagSpec } from './command.js';
import { Monitor } from './monitor.js';

/** `-detach` and `-verbose`, for commands that watch what they began. */
export const WATCH_FLAGS: Record<string, FlagSpec> = {
  detach: { type: 'bool', help: "Do not watch: print the evaluation's id and end." },
  verbose: { type: 'bool', help: 'Show whole ids.' },
};

/** Watches an evaluation to its end, unless -detach was given; '' is an evaluation that there was no need for. */
export async function watchEvaluation(context: Context, evalId: string): Promise<number> {
  const { flags, output } = context;
  if (evalId === '') return 0;
  const verbose = flags.bool('verbose');
  if (flags.bool('detach')) {
    // Whole: it is for a script that asks on.
    output.out(`Evaluation ID: ${evalId}`);
    return 0;
  }
  return new Monitor({ api: await context.api(), output, verbose }).evaluation(evalId);
}
