import { nominateWhenReady } from './election.js';
import type {
  AppendMessage,
  AppendResponseMessage,
  HeartbeatMessage,
  HeartbeatResponseMessage,
  SnapshotMessage,
} from './messages.js';
import type { Progress } from './progress.js';
import { confirmReads, releaseEarlyReads } from './read-index.js';
import type { RaftState } from './state.js';

/** Sends every member what it lacks; a member that lacks nothing learns the commit index. */
export function broadcastAppend(state: RaftState): void {
  for (const id of state.others) sendAppend(state, id, { evenIfEmpty: true });
}

/** Tells the others of entries and commits in one message, however many they were; of reads in one round. */
export function tellNews(state: RaftState): void {
  const { entries, commit, round } = state.hasNews;
  state.hasNews = { entries: false, commit: false, round: false };
  if (entries || commit) for (const id of state.others) sendAppend(state, id, { evenIfEmpty: commit });
  if (round) broadcastHeartbeat(state);
}

/** Sends to one member until it is up to date or its window is full. */
export function sendAppend(state: RaftState, to: string, options: { evenIfEmpty: boolean }): void {
  let evenIfEmpty = options.evenIfEmpty;
  while (sendOne(state, to, evenIfEmpty)) evenIfEmpty = false;
}

/** Returns whether something was sent. */
function sendOne(state: RaftState, to: string, evenIfEmpty: boolean): boolean {
  const progress = state.progress.get(to);
  if (progress === undefined || progress.paused) return false;
  const prevIndex = progress.next - 1;
  const prevTerm = state.log.term(prevIndex);
  if (prevTerm === undefined || progress.next < state.log.firstIndex) return sendSnapshot(state, to, progress);
  const entries = state.log.entries(progress.next, state.messageBytesMax);
  if (entries.length === 0 && !evenIfEmpty) return false;
  const last = entries.at(-1)?.index ?? 0;
  progress.sent(
    last,
    entries.reduce((sum, entry) => sum + entry.data.length, 0),
  );
  const { id, term, log } = state;
  state.send({ type: 'append', from: id, to, term, prevIndex, prevTerm, entries, commit: log.committed });
  return true;
}

/** The log no longer reaches back to what the member has. */
function sendSnapshot(state: RaftState, to: string, progress: Progress): boolean {
  const snapshot = state.snapshots.latest();
  // A member that is not there would have a snapshot streamed to nobody.
  if (snapshot === null || !progress.active) return false;
  progress.becomeSnapshot(snapshot.index);
  state.send({ type: 'snapshot', from: state.id, to, term: state.term, snapshot });
  return true;
}

/** A follower takes entries from the leader of its term, or says where the logs may agree. */
export function stepAppend(state: RaftState, message: AppendMessage): void {
  const { log } = state;
  const reply = (outcome: AppendResponseMessage['outcome']): void =>
    state.sendAfterPersist({ type: 'appendResponse', from: state.id, to: message.from, term: state.term, outcome });
  if (message.prevIndex < log.committed) {
    reply({ ok: true, match: log.committed });
    return;
  }
  if (!log.matches(message.prevIndex, message.prevTerm)) {
    const hint = log.lastIndexWithTerm(message.prevIndex, message.prevTerm);
    reply({ ok: false, index: message.prevIndex, hintIndex: hint.index, hintTerm: hint.term });
    return;
  }
  const first = log.firstNew(message.entries);
  if (first !== undefined) state.append(message.entries.slice(first.index - message.prevIndex - 1));
  const match = message.prevIndex + message.entries.length;
  // Not beyond what this message has confirmed: later entries may still be another leader's (Raft §5.3).
  state.commitTo(Math.min(message.commit, match));
  reply({ ok: true, match });
}

export function stepAppendResponse(state: RaftState, message: AppendResponseMessage): void {
  const progress = state.progress.get(message.from);
  if (progress === undefined) return;
  progress.active = true;
  const { outcome } = message;
  if (!outcome.ok) {
    // Skip whole terms: the follower has nothing of a term above the hint's at the hint (thesis §5.3).
    const agreed = state.log.lastIndexWithTerm(outcome.hintIndex, outcome.hintTerm).index;
    if (progress.refused(outcome.index, agreed)) sendAppend(state, message.from, { evenIfEmpty: true });
    return;
  }
  const wasPaused = progress.paused;
  const isNews = progress.accepted(outcome.match);
  if (!isNews && progress.state !== 'probe') return;
  if (progress.state === 'probe') progress.becomeReplicate();
  // A snapshot that was installed, or entries that came another way, bring it back to the log.
  if (progress.state === 'snapshot' && progress.match + 1 >= state.log.firstIndex) {
    progress.becomeProbe();
    progress.becomeReplicate();
  }
  commitByCount(state);
  if (!state.hasNews.commit) sendAppend(state, message.from, { evenIfEmpty: wasPaused });
  if (state.role === 'leader' && message.from === state.successor) nominateWhenReady(state);
}

/** The leader's own write is durable: now it counts itself. */
export function countOwnWrite(state: RaftState): void {
  const own = state.progress.get(state.id);
  if (state.role !== 'leader' || own === undefined) return;
  own.accepted(state.log.stableIndex);
  commitByCount(state);
}

/** Commits what a majority has; the others hear of it with the next ready(). */
function commitByCount(state: RaftState): void {
  if (!state.commitByQuorum()) return;
  state.hasNews.commit = true;
  onCommitted(state);
}

function onCommitted(state: RaftState): void {
  releaseEarlyReads(state);
  // Removed from the voters, a leader serves until that is committed, and then withdraws (thesis §4.2.2).
  if (!state.isVoter && state.log.committed >= state.members.latestIndex) {
    broadcastAppend(state);
    state.becomeFollower(state.term, '');
  }
}

/** Tells everybody that this leader is there, and up to where each may commit. */
export function broadcastHeartbeat(state: RaftState): void {
  for (const to of state.others) {
    const match = state.progress.get(to)?.match ?? 0;
    // No further than it is known to agree: its log may still end in another leader's entries.
    const commit = Math.min(match, state.log.committed);
    state.send({ type: 'heartbeat', from: state.id, to, term: state.term, commit, round: state.readRound });
  }
}

export function stepHeartbeat(state: RaftState, message: HeartbeatMessage): void {
  state.commitTo(Math.min(message.commit, state.log.lastIndex));
  state.sendAfterPersist({
    type: 'heartbeatResponse',
    from: state.id,
    to: message.from,
    term: state.term,
    round: message.round,
  });
}

export function stepHeartbeatResponse(state: RaftState, message: HeartbeatResponseMessage): void {
  const progress = state.progress.get(message.from);
  if (progress === undefined) return;
  progress.heard();
  progress.freeOne();
  if (progress.match < state.log.lastIndex || progress.state === 'probe') {
    sendAppend(state, message.from, { evenIfEmpty: true });
  }
  progress.ackedRound = Math.max(progress.ackedRound, message.round);
  confirmReads(state);
}

/** A follower that lags behind the leader's log starts anew from its snapshot, unless it has all that already. */
export function stepSnapshot(state: RaftState, message: SnapshotMessage): void {
  const { snapshot } = message;
  const { log } = state;
  if (snapshot.index > log.committed) {
    // With the same last entry the log is intact up to there: nothing to install (Raft §7).
    if (log.matches(snapshot.index, snapshot.term)) state.commitTo(snapshot.index);
    else {
      log.install(snapshot);
      state.members.reset({ index: snapshot.index, membership: snapshot.membership });
    }
  }
  const outcome = { ok: true, match: log.committed } as const;
  state.sendAfterPersist({ type: 'appendResponse', from: state.id, to: message.from, term: state.term, outcome });
}
