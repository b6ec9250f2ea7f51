import { quorumValue } from './quorum.js';
import type { RaftState } from './state.js';

/**
 * Reads that see every write acknowledged before they began, without writing to the log (Raft §8, thesis §6.4): the
 * leader notes its commit index, has a majority confirm that it still leads, and lets the reader go once that index is applied.
 */
export function askReadIndex(state: RaftState, question: { from: string; context: number }): void {
  // Before the first commit of its term a leader may not know of everything that is committed.
  if (!state.hasCommittedInTerm) {
    state.earlyReads.push(question);
    return;
  }
  const index = state.log.committed;
  if (state.isSoleVoter) {
    answer(state, { ...question, index });
    return;
  }
  // Questions that come before the round leaves are all asked before its first answer, so it serves them all.
  if (!state.hasNews.round) state.readRound++;
  state.hasNews.round = true;
  state.pendingReads.push({ ...question, index, round: state.readRound });
}

export function releaseEarlyReads(state: RaftState): void {
  if (state.earlyReads.length === 0 || !state.hasCommittedInTerm) return;
  const early = state.earlyReads;
  state.earlyReads = [];
  for (const question of early) askReadIndex(state, question);
}

/** Answers the reads whose round a majority has confirmed. */
export function confirmReads(state: RaftState): void {
  if (state.pendingReads.length === 0) return;
  const confirmed = quorumValue(state.membership.voters, (id) =>
    id === state.id ? state.readRound : (state.progress.get(id)?.ackedRound ?? 0),
  );
  // A leader that committed its own removal answers no more; rounds only grow, so the confirmed ones come first.
  const done = state.pendingReads.filter((read) => read.round <= confirmed);
  state.pendingReads = state.pendingReads.slice(done.length);
  for (const read of done) answer(state, read);
}

function answer(state: RaftState, read: { from: string; context: number; index: number }): void {
  const { from, context, index } = read;
  if (from === state.id) state.reads.push({ context, index });
  else state.send({ type: 'readIndexResponse', from: state.id, to: from, term: state.term, context, index });
}
