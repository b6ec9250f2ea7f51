import type { ApiClient } from './api.js';
import type { Context } from './command.js';
import { Monitor } from './monitor.js';

/** Brings a version of a job back as a new one, and watches what comes of it unless `-detach` is given; gives the exit code. */
export async function revertJob(
  { flags, output }: Context,
  api: ApiClient,
  wish: { JobID: string; JobVersion: number; EnforcePriorVersion: number | null },
): Promise<number> {
  const { value } = await api.put<{ EvalID: string }>(`/v1/job/${encodeURIComponent(wish.JobID)}/revert`, wish);
  // A parent has nothing to evaluate: it runs with its next child.
  if (value.EvalID === '') output.out(`Job ${JSON.stringify(wish.JobID)} has a new version`);
  else if (flags.bool('detach')) output.out(`Evaluation ID: ${value.EvalID}`);
  else return new Monitor({ api, output, verbose: flags.bool('verbose') }).evaluation(value.EvalID);
  return 0;
}
