import { setTimeout as pause } from 'node:timers/promises';
import type { ScalerCall, ScalerRpc } from '../../lib/plugin/sdk/autoscaler.js';
import type { Node } from '../../lib/structs/node.js';
import type { NodeListStub } from '../../lib/structs/rpc.js';

export type Call = ScalerCall;

const POLL_MS = 2_000;

/** A node as it is now; null: there is none any more. */
export async function nodeOf(rpc: ScalerRpc, { ID }: Pick<NodeListStub, 'ID'>, call: Call): Promise<Node | null> {
  return (await rpc.call('Node.GetNode', { NodeID: ID }, call)).Node;
}

/** Looks again and again until it is so. Rejects with `what` when it is not by then. */
export async function until(
  isSo: () => Promise<boolean>,
  { deadlineMs, call, what }: { deadlineMs: number; call: Call; what: string },
): Promise<void> {
  while (!(await isSo())) {
    if (Date.now() > deadlineMs) throw new Error(what);
    await pause(POLL_MS, undefined, { signal: call.signal });
  }
}
