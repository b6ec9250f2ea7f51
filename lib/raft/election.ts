import type { VoteMessage, VoteResponseMessage } from './messages.js';
import { majority, voteResult } from './quorum.js';
import { broadcastAppend } from './replication.js';
import type { RaftState } from './state.js';

/** Why a server campaigns: its patience ended (it asks first whether it would win), or the leader told it to take over. */
export type CampaignReason = 'timeout' | 'transfer';

/** Begins an election, unless this server may not lead: it has no vote, or is still installing a snapshot. */
export function campaign(state: RaftState, reason: CampaignReason): void {
  if (state.role === 'leader' || !state.mayStand || state.log.installing !== null) return;
  // Alone there is nobody to disturb and nobody to wait for.
  if (reason === 'timeout' && !state.isSoleVoter) {
    state.becomePreCandidate();
    collectVote(state, state.id, true);
    askForVotes(state, { pre: true, transfer: false });
  } else {
    stand(state, reason);
  }
}

/** The election proper: a new term, and this server's vote for itself. */
function stand(state: RaftState, reason: CampaignReason): void {
  state.becomeCandidate();
  collectVote(state, state.id, true);
  if (state.role === 'candidate') askForVotes(state, { pre: false, transfer: reason === 'transfer' });
}

function askForVotes(state: RaftState, kind: { pre: boolean; transfer: boolean }): void {
  if (state.role !== 'candidate' && state.role !== 'preCandidate') return;
  const term = kind.pre ? state.term + 1 : state.term;
  for (const to of state.membership.voters) {
    if (to === state.id) continue;
    // After persist: the candidate counts its own vote, which must not be forgotten by a crash (Raft §5.2).
    state.sendAfterPersist({
      type: 'vote',
      from: state.id,
      to,
      term,
      ...kind,
      lastIndex: state.log.lastIndex,
      lastTerm: state.log.lastTerm,
    });
  }
}

function collectVote(state: RaftState, from: string, granted: boolean): void {
  if (!state.votes.has(from)) state.votes.set(from, granted);
  const result = voteResult(state.membership.voters, state.votes);
  if (result === 'pending') return;
  if (result === 'lost') {
    state.becomeFollower(state.term, '');
  } else if (state.role === 'preCandidate') {
    stand(state, 'timeout');
  } else {
    state.becomeLeader();
    // The entry that opens the term: with it everything before is committed too (Raft §5.4.2, §8).
    broadcastAppend(state);
  }
}

/** While a leader is heard regularly, nobody else gets a vote: a server that cannot hear it must not depose it (thesis §4.2.3). */
export function isLeaseHeld(state: RaftState): boolean {
  return state.leader !== '' && state.electionElapsed < state.electionTicks;
}

/** So long the questions of two servers may have crossed: a round trip is no longer than two ticks. */
const CROSSING_TICKS = 2;

/** This server asks the same at the same time, with a log as good; one of the two must be the first. */
function goesFirst(state: RaftState, { from, lastIndex, lastTerm }: VoteMessage): boolean {
  const { role, log, id, electionElapsed } = state;
  const asks = role === 'preCandidate' && electionElapsed < CROSSING_TICKS;
  return asks && lastTerm === log.lastTerm && lastIndex === log.lastIndex && id < from;
}

/** Answers a request of the present term, or a trial for a later one. */
export function stepVote(state: RaftState, message: VoteMessage): void {
  const { from, pre, term } = message;
  const free = state.vote === from || (state.vote === '' && state.leader === '') || (pre && term > state.term);
  const granted =
    free && state.log.isUpToDate(message.lastIndex, message.lastTerm) && !(pre && goesFirst(state, message));
  if (granted && !pre) {
    state.vote = from;
    state.electionElapsed = 0;
  }
  // Two that stand at once split the votes: whoever lets another go first waits.
  if (granted && state.role === 'preCandidate') state.becomeFollower(state.term, '');
  // A granted trial answers in the trial's term, else the asker could not tell it from a stale answer.
  state.sendAfterPersist({
    type: 'voteResponse',
    from: state.id,
    to: from,
    term: granted ? term : state.term,
    pre,
    granted,
  });
}

export function stepVoteResponse(state: RaftState, message: VoteResponseMessage): void {
  const awaited = message.pre ? 'preCandidate' : 'candidate';
  if (state.role === awaited) collectVote(state, message.from, message.granted);
}

/** A follower or candidate lets time pass. */
export function tickElection(state: RaftState): void {
  state.electionElapsed++;
  if (state.electionElapsed < state.electionTimeout && !state.isSoleVoter) return;
  // Silence ends the lease, also for a learner: else it would go on refusing the candidate who needs its vote.
  state.leader = '';
  if (!state.mayStand) return;
  state.electionElapsed = 0;
  campaign(state, 'timeout');
}

/** A leader that has not heard a majority for one election time-out steps down: another may lead already (thesis §6.2). */
export function checkQuorum(state: RaftState): void {
  let heard = 0;
  for (const voter of state.membership.voters) {
    if (voter === state.id || state.progress.get(voter)?.active) heard++;
  }
  if (heard < majority(state.membership.voters.length)) {
    state.becomeFollower(state.term, '');
    return;
  }
  for (const progress of state.progress.values()) progress.active = false;
}

/** Hands leadership to a voter: it is brought up to date first, then told to campaign at once (thesis §3.10). */
export function transferTo(state: RaftState, id: string): void {
  state.successor = id;
  // The transfer has one election time-out; then proposals are taken again.
  state.electionElapsed = 0;
  nominateWhenReady(state);
}

/** Tells the successor to stand once it has everything. */
export function nominateWhenReady(state: RaftState): void {
  const { successor } = state;
  if (successor === '' || state.progress.get(successor)?.match !== state.log.lastIndex) return;
  state.send({ type: 'timeoutNow', from: state.id, to: successor, term: state.term });
}
