// Compares what a server says this node should run with what the node knows. Pure.
//
// The danger: a server that restarts answers from a state it has replayed only in part, where allocations that run here
// do not exist yet, or exist again after they were removed. An answer is therefore judged by its index first.

/** What the node has of an allocation. */
export interface KnownAlloc {
  /** The server's wish as of this index is being followed. */
  allocModifyIndex: number;
}

export type AllocDiff =
  /** The answer is older than one that was acted on: nothing in it may be acted on. */
  | { kind: 'stale' }
  | {
      kind: 'act';
      /** Unknown here, or changed since: to be fetched whole. */
      pull: string[];
      /** No longer known to the server, at an index at which it must know them. */
      remove: string[];
    };

/** Decides what a server's answer (allocation id → AllocModifyIndex, as of `answerIndex`) asks for. */
export function diffAllocs(input: {
  known: ReadonlyMap<string, KnownAlloc>;
  answer: Readonly<Record<string, number>>;
  answerIndex: number;
  /** The newest index this client acted on, kept across restarts. */
  lastIndex: number;
}): AllocDiff {
  const { known, answer, answerIndex, lastIndex } = input;
  if (answerIndex < lastIndex) return { kind: 'stale' };
  const pull: string[] = [];
  for (const [id, index] of Object.entries(answer)) {
    const have = known.get(id);
    if (!have || index > have.allocModifyIndex) pull.push(id);
  }
  const remove: string[] = [];
  for (const [id, { allocModifyIndex }] of known) {
    // A state that has not reached the index of the allocation's own last change cannot know that it is gone.
    if (!Object.hasOwn(answer, id) && answerIndex >= allocModifyIndex) remove.push(id);
  }
  return { kind: 'act', pull, remove };
}
