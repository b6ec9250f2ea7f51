import { assert, assertNever } from '../util/assert.js';
import type { Result } from '../util/result.js';
import { err, ok } from '../util/result.js';
import {
  campaign,
  checkQuorum,
  isLeaseHeld,
  stepVote,
  stepVoteResponse,
  tickElection,
  transferTo,
} from './election.js';
import type { Membership, MembershipChange } from './membership.js';
import { changeMembership, encodeMembership } from './membership.js';
import type { AppendResponseMessage, HeartbeatResponseMessage, Message, ReadIndexMessage } from './messages.js';
import type { HardState } from './ports.js';
import { askReadIndex } from './read-index.js';
import type { Ready, Role } from './ready.js';
import {
  broadcastAppend,
  broadcastHeartbeat,
  countOwnWrite,
  sendAppend,
  stepAppend,
  stepAppendResponse,
  stepHeartbeat,
  stepHeartbeatResponse,
  stepSnapshot,
  tellNews,
} from './replication.js';
import type { RaftOptions } from './state.js';
import { RaftState } from './state.js';

/** Committed entries are handed out in portions, so that a long replay leaves the host room to breathe. */
const COMMITTED_BYTES_MAX = 1024 * 1024;

/** Why a leader's favour is refused. `busy`: too much is uncommitted; `pending`: one change of membership at a time. */
export type Refusal =
  | { readonly kind: 'notLeader'; readonly leader: string }
  | { readonly kind: 'transferring'; readonly to: string }
  | { readonly kind: 'busy' }
  | { readonly kind: 'pending' }
  | { readonly kind: 'invalid'; readonly why: string };

/**
 * The Raft machine: tick, step and propose change it, ready() tells what the host must do, advance() that it is done.
 * It knows no clock, disk or network. One ready() is under way at a time; everything else may be called meanwhile.
 */
export class Raft {
  readonly #state: RaftState;
  #underWay: Ready | null = null;
  /** The ready() under way makes a term or a vote durable. */
  #voteUnderWay = false;
  #handedOut: { hardState: HardState; role: Role; leader: string };

  constructor(options: RaftOptions) {
    this.#state = new RaftState(options);
    this.#handedOut = { hardState: options.hardState, role: 'follower', leader: '' };
  }

  get id(): string {
    return this.#state.id;
  }
  get role(): Role {
    return this.#state.role;
  }
  get term(): number {
    return this.#state.term;
  }
  /** '' when unknown. */
  get leader(): string {
    return this.#state.leader;
  }
  get membership(): Membership {
    return this.#state.membership;
  }
  get committed(): number {
    return this.#state.log.committed;
  }
  get lastIndex(): number {
    return this.#state.log.lastIndex;
  }
  /** Index of the entry that opened the term of this leader. */
  get termStart(): number {
    return this.#state.termStart;
  }
  /** The only voter, and that is this server: it needs no ticks and waits for nobody. */
  get isSoleVoter(): boolean {
    return this.#state.isSoleVoter;
  }
  /** Membership in force at an index: what a snapshot taken there carries. */
  membershipAt(index: number): Membership {
    return this.#state.members.at(index);
  }
  /** Where each member's log stands, as the leader knows it. */
  followers(): { id: string; match: number; state: string; active: boolean }[] {
    return [...this.#state.progress].map(([id, { match, state, active }]) => ({ id, match, state, active }));
  }

  /** One tick has passed. */
  tick(): void {
    const state = this.#state;
    if (state.role !== 'leader') {
      tickElection(state);
      return;
    }
    state.electionElapsed++;
    state.heartbeatElapsed++;
    if (state.electionElapsed >= state.electionTicks) {
      state.electionElapsed = 0;
      state.successor = '';
      checkQuorum(state);
      if (this.role !== 'leader') return;
    }
    if (state.heartbeatElapsed >= state.heartbeatTicks) {
      state.heartbeatElapsed = 0;
      broadcastHeartbeat(state);
    }
  }

  /** Campaigns at once, without waiting for silence. A sole voter leads when this returns. */
  campaign(): void {
    campaign(this.#state, 'timeout');
  }

  /** Appends a command; its index is where it will be if it is committed at all. */
  propose(command: Uint8Array): Result<number, Refusal> {
    const state = this.#state;
    const refusal = this.#refusal();
    if (refusal !== null) return err(refusal);
    if (!state.hasRoomFor(command.length)) return err({ kind: 'busy' });
    const { index } = state.appendOwn('command', command);
    state.hasNews.entries = true;
    return ok(index);
  }

  /** Appends a change of membership, in force at once; the next is refused until this one is committed. */
  proposeChange(change: MembershipChange): Result<number, Refusal> {
    const state = this.#state;
    const refusal = this.#refusal();
    if (refusal !== null) return err(refusal);
    // Without an entry of its own term a new leader could overtake an unfinished change of the previous one
    // (Ongaro's correction of 2015 to the single-server change).
    if (state.members.latestIndex > state.log.committed || !state.hasCommittedInTerm) return err({ kind: 'pending' });
    const next = changeMembership(state.membership, change);
    if (!next.ok) return err({ kind: 'invalid', why: next.error });
    const { index } = state.appendOwn('config', encodeMembership(next.value));
    broadcastAppend(state);
    return ok(index);
  }

  /** Hands leadership to a voter. */
  transferLeadership(to: string): Result<void, Refusal> {
    const state = this.#state;
    const refusal = this.#refusal();
    if (refusal !== null) return err(refusal);
    if (to === state.id) return err({ kind: 'invalid', why: `${to} leads already` });
    if (!state.membership.voters.includes(to)) return err({ kind: 'invalid', why: `${to} is no voter` });
    transferTo(state, to);
    sendAppend(state, to, { evenIfEmpty: true });
    return ok(undefined);
  }

  #refusal(): Refusal | null {
    const { role, leader, successor } = this.#state;
    if (role !== 'leader') return { kind: 'notLeader', leader };
    return successor === '' ? null : { kind: 'transferring', to: successor };
  }

  /** Asks for an index that makes a read linearizable; it comes with ready().reads under the same context. */
  readIndex(context: number): Result<void, Refusal> {
    const state = this.#state;
    const { id, leader, term } = state;
    if (leader === '') return err({ kind: 'notLeader', leader });
    if (state.role === 'leader') askReadIndex(state, { from: id, context });
    else state.send({ type: 'readIndex', from: id, to: leader, term, context });
    return ok(undefined);
  }

  /** A snapshot sent to a member has arrived (its answer will follow) or was lost. */
  reportSnapshot(id: string, arrived: boolean): void {
    const progress = this.#state.progress.get(id);
    if (progress?.state !== 'snapshot') return;
    if (!arrived) progress.snapshotIndex = 0;
    progress.becomeProbe();
    // Not at once: it has to install what arrived, or to become reachable again.
    progress.sent(0, 0);
  }

  /** The host has compacted its log up to here. */
  compacted(index: number): void {
    this.#state.members.compact(index);
  }

  /** Takes a message of another server. */
  step(message: Message): void {
    const state = this.#state;
    if (message.term < state.term) this.#meetLowerTerm(message);
    else if (message.term === state.term || this.#meetHigherTerm(message)) this.#dispatch(message);
  }

  /** Returns false when the message is to be ignored. */
  #meetHigherTerm(message: Message): boolean {
    const state = this.#state;
    if (message.type === 'vote') {
      if (!message.transfer && isLeaseHeld(state)) return false;
      if (message.pre) return true;
    }
    // A granted trial carries the term this server would stand in: that is no reason to enter it.
    if (message.type === 'voteResponse' && message.pre && message.granted) return true;
    const fromLeader = message.type === 'append' || message.type === 'heartbeat' || message.type === 'snapshot';
    state.becomeFollower(message.term, fromLeader ? message.from : '');
    return true;
  }

  #meetLowerTerm(message: Message): void {
    const state = this.#state;
    const { id, term } = state;
    const to = message.from;
    switch (message.type) {
      case 'append':
      case 'heartbeat':
      case 'snapshot': {
        // An answer in the higher term makes a stale leader step down; without it a server whose term ran ahead
        // could neither follow nor be elected.
        const outcome = { ok: false, index: 0, hintIndex: 0, hintTerm: 0 } as const;
        state.sendAfterPersist({ type: 'appendResponse', from: id, to, term, outcome });
        break;
      }
      case 'vote':
        if (message.pre) {
          state.sendAfterPersist({ type: 'voteResponse', from: id, to, term, pre: true, granted: false });
        }
        break;
      default:
    }
  }

  #dispatch(message: Message): void {
    const state = this.#state;
    switch (message.type) {
      case 'append':
        this.#heardLeader(message);
        stepAppend(state, message);
        break;
      case 'heartbeat':
        this.#heardLeader(message);
        stepHeartbeat(state, message);
        break;
      case 'snapshot':
        this.#heardLeader(message);
        stepSnapshot(state, message);
        break;
      case 'vote':
        stepVote(state, message);
        break;
      case 'voteResponse':
        stepVoteResponse(state, message);
        break;
      case 'timeoutNow':
        campaign(state, 'transfer');
        break;
      case 'readIndexResponse':
        state.reads.push({ context: message.context, index: message.index });
        break;
      case 'appendResponse':
      case 'heartbeatResponse':
      case 'readIndex':
        if (state.role === 'leader') stepAsLeader(state, message);
        break;
      default:
        assertNever(message);
    }
  }

  /** A message that only the leader of this term sends. */
  #heardLeader(message: Message): void {
    const state = this.#state;
    assert(state.role !== 'leader', `two leaders in term ${state.term}: ${state.id} and ${message.from}`);
    if (state.role !== 'follower') state.becomeFollower(state.term, message.from);
    state.leader = message.from;
    state.electionElapsed = 0;
  }

  get #hardState(): HardState {
    const { term, vote, log } = this.#state;
    return { term, vote, commit: log.committed };
  }

  /** Is there something for the host to do? */
  hasReady(): boolean {
    if (this.#underWay !== null) return false;
    const state = this.#state;
    const { hardState, role, leader } = this.#handedOut;
    return (
      state.outbox.length > 0 ||
      state.outboxAfterPersist.length > 0 ||
      state.reads.length > 0 ||
      state.hasNews.commit ||
      state.hasNews.round ||
      state.log.unstable().length > 0 ||
      state.log.installing !== null ||
      state.log.hasNextCommitted() ||
      state.role !== role ||
      state.leader !== leader ||
      state.term !== hardState.term ||
      state.vote !== hardState.vote
    );
  }

  /** What to do now; the next one only after advance(). */
  ready(): Ready {
    assert(this.#underWay === null, 'raft: advance() comes before the next ready()');
    const state = this.#state;
    tellNews(state);
    const now = this.#hardState;
    const before = this.#handedOut.hardState;
    const voteChanged = now.term !== before.term || now.vote !== before.vote;
    const entries = state.log.unstable().slice();
    const ready: Ready = {
      role: state.role,
      term: state.term,
      leader: state.leader,
      hardState: voteChanged || now.commit !== before.commit ? now : null,
      snapshot: state.log.installing,
      entries,
      // A sole voter leads before its term is on disk: a crash would forget the term, so nobody may hear of it yet.
      messages: voteChanged ? [] : state.outbox,
      messagesAfterPersist: voteChanged ? [...state.outbox, ...state.outboxAfterPersist] : state.outboxAfterPersist,
      committed: state.log.nextCommitted(COMMITTED_BYTES_MAX),
      reads: state.reads,
      mustSync: voteChanged || entries.length > 0 || state.log.installing !== null,
    };
    state.outbox = [];
    state.outboxAfterPersist = [];
    state.reads = [];
    this.#underWay = ready;
    this.#voteUnderWay = voteChanged;
    this.#handedOut = { hardState: now, role: state.role, leader: state.leader };
    return ready;
  }

  /** Does takeMessages() have any, as far as can be said without making them? */
  get hasMessages(): boolean {
    const { outbox, hasNews } = this.#state;
    return outbox.length > 0 || hasNews.entries || hasNews.commit || hasNews.round;
  }

  /**
   * Messages that need not wait for the write under way: with a slow disk too a leader's heartbeats go out in time, and
   * others write at the same time as it does (thesis §10.2.1). May be called at any time.
   */
  takeMessages(): readonly Message[] {
    const state = this.#state;
    const { term, vote } = this.#handedOut.hardState;
    // Nobody may hear of a term before it is durable.
    if (this.#voteUnderWay || state.term !== term || state.vote !== vote) return [];
    tellNews(state);
    const messages = state.outbox;
    state.outbox = [];
    return messages;
  }

  /** Everything of the last ready() is done: written, sent, applied. */
  advance(): void {
    const done = this.#underWay;
    assert(done !== null, 'raft: advance() follows ready()');
    this.#underWay = null;
    this.#voteUnderWay = false;
    const { log } = this.#state;
    if (done.snapshot !== null) log.installed(done.snapshot);
    const applied = done.committed.at(-1);
    if (applied !== undefined) log.appliedTo(applied.index);
    const last = done.entries.at(-1);
    if (last !== undefined) log.stableTo(last.index, last.term);
    countOwnWrite(this.#state);
  }
}

function stepAsLeader(
  state: RaftState,
  message: AppendResponseMessage | HeartbeatResponseMessage | ReadIndexMessage,
): void {
  switch (message.type) {
    case 'appendResponse':
      stepAppendResponse(state, message);
      break;
    case 'heartbeatResponse':
      stepHeartbeatResponse(state, message);
      break;
    case 'readIndex':
      askReadIndex(state, { from: message.from, context: message.context });
      break;
    default:
      assertNever(message);
  }
}
