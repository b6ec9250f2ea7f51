import type { Allocation } from '../structs/allocation.js';
import type { Node } from '../structs/node.js';
import type { ApiClient } from './api.js';
import type { Output } from './command.js';
import { localTime } from './format.js';

/** How long one blocking query waits before it is asked again. */
const WAIT = '30s';

/**
 * Tells how a drain goes on, until the node is drained and its allocations have stopped. `ignoreSystem`: system jobs stay,
 * so they are not waited for.
 */
export async function monitorDrain(
  { api, output }: { api: ApiClient; output: Output },
  options: { nodeId: string; index: number; ignoreSystem: boolean },
): Promise<void> {
  const { nodeId, ignoreSystem } = options;
  const say = (text: string): void => output.out(`${localTime(new Date())}: ${text}`);
  const seen = new Map<string, Allocation>();
  let done = false;
  for (;;) {
    const node = await api.get<Node>(`/v1/node/${nodeId}`);
    const reply = await api.get<Allocation[] | null>(`/v1/node/${nodeId}/allocations`);
    const allocs = reply.value ?? [];
    for (const alloc of allocs) {
      tell(seen.get(alloc.ID), alloc, say);
      seen.set(alloc.ID, alloc);
    }
    if (node.value.DrainStrategy === null && !done) {
      if (wasCanceled(node.value)) return say(`Drain of node ${nodeId} was canceled`);
      say(`Drain complete for node ${nodeId}`);
      done = true;
    }
    if (done && !allocs.some((alloc) => isLive(alloc) && !(ignoreSystem && isSystem(alloc)))) {
      return say(`All allocations on node ${JSON.stringify(nodeId)} have stopped`);
    }
    await eitherChanges(api, [
      { path: `/v1/node/${nodeId}`, index: node.value.ModifyIndex },
      { path: `/v1/node/${nodeId}/allocations`, index: reply.index },
    ]);
  }
}

/** Waits for the first of several changes; what is asked of the others is given up. */
async function eitherChanges(api: ApiClient, asked: readonly { path: string; index: number }[]): Promise<void> {
  const over = new AbortController();
  const answers = asked.map(({ path, index }) =>
    api.ask('GET', path, { query: { index, wait: WAIT }, signal: over.signal }),
  );
  try {
    await Promise.race(answers);
  } finally {
    over.abort();
    await Promise.allSettled(answers);
  }
}

function tell(before: Allocation | undefined, alloc: Allocation, say: (text: string) => void): void {
  const who = `Alloc ${JSON.stringify(alloc.ID)}`;
  if (alloc.DesiredTransition?.Migrate && !before?.DesiredTransition?.Migrate && isLive(alloc)) {
    say(`${who} marked for migration`);
  }
  if (!before) return;
  if (before.DesiredStatus === 'run' && alloc.DesiredStatus !== 'run' && isLive(alloc)) say(`${who} draining`);
  if (before.ClientStatus !== alloc.ClientStatus) {
    say(`${who} status ${before.ClientStatus} -> ${alloc.ClientStatus}`);
  }
}

const isLive = ({ ClientStatus }: Allocation): boolean => ClientStatus === 'running' || ClientStatus === 'pending';
const isSystem = ({ Job }: Allocation): boolean => Job?.Type === 'system' || Job?.Type === 'sysbatch';
const wasCanceled = ({ LastDrain }: Node): boolean => (LastDrain as { Status?: string } | null)?.Status === 'canceled';
