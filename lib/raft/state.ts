import { assert } from '../util/assert.js';
import type { Random } from '../util/random.js';
import { randomInt } from '../util/random.js';
import { RaftLog } from './log.js';
import type { Membership } from './membership.js';
import { decodeMembership, MembershipHistory } from './membership.js';
import type { Message } from './messages.js';
import type { Entry, EntryType, HardState, LogReader, SnapshotReader } from './ports.js';
import type { Window } from './progress.js';
import { Progress } from './progress.js';
import { quorumValue } from './quorum.js';
import type { ReadState, Role } from './ready.js';

/** Payload bytes of one append message: large enough for throughput, small enough not to delay a heartbeat on a slow link. */
const MESSAGE_BYTES_MAX = 256 * 1024;
/** What may be under way to one follower without an answer. */
const WINDOW: Window = { messagesMax: 64, bytesMax: 4 * 1024 * 1024 };
/** Proposals that are not committed yet; more are refused so that a lost quorum does not fill the memory. */
const UNCOMMITTED_BYTES_MAX = 64 * 1024 * 1024;
/**
 * How much longer than an election time-out a server's patience may be: enough for one to be the first (thesis §9.3), and no more,
 * for nobody writes meanwhile.
 */
const SPREAD = 2 / 3;
/** Sizes of committed entries that may linger before they are dropped in one go. */
const SIZES_KEPT = 1024;

export interface RaftOptions {
  readonly id: string;
  /** A follower campaigns after this many ticks of silence, or up to two thirds more, at random. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly random: Random;
  readonly log: LogReader;
  readonly snapshots: SnapshotReader;
  readonly hardState: HardState;
  /** Index up to which the state machine has applied already: its snapshot's, or 0. */
  readonly applied: number;
}

/** A question for a linearizable index that waits for a quorum to confirm this leader. */
export interface PendingRead {
  readonly from: string;
  readonly context: number;
  readonly index: number;
  readonly round: number;
}

/** The memory of the machine. election, replication and read-index are the rules that change it; raft.ts is its face. */
export class RaftState {
  readonly id: string;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly messageBytesMax = MESSAGE_BYTES_MAX;
  readonly snapshots: SnapshotReader;
  readonly log: RaftLog;
  readonly members: MembershipHistory;
  readonly #random: Random;

  role: Role = 'follower';
  term: number;
  vote: string;
  leader = '';
  /** Ticks since a leader was heard; on a leader since the last check of quorum. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** This server's own patience in the present term, in ticks. */
  electionTimeout = 0;
  votes = new Map<string, boolean>();

  // What only a leader knows.
  progress = new Map<string, Progress>();
  /** The member that is to take over; '' for none. Proposals are refused meanwhile. */
  successor = '';
  /** Index of the empty entry that opened this leader's term. */
  termStart = 0;
  readRound = 0;
  /** What ready() has yet to tell the others: all that came since the last one shares a message. */
  hasNews = { entries: false, commit: false, round: false };
  pendingReads: PendingRead[] = [];
  /** Reads that came before this leader had committed anything of its own term. */
  earlyReads: { from: string; context: number }[] = [];
  /** Payload sizes of this leader's own entries from #sizesFrom on, until they are committed. */
  #sizes: number[] = [];
  #sizesFrom = 0;
  #uncommittedBytes = 0;

  // What ready() will hand out.
  outbox: Message[] = [];
  outboxAfterPersist: Message[] = [];
  reads: ReadState[] = [];

  constructor(options: RaftOptions) {
    this.id = options.id;
    this.electionTicks = options.electionTicks;
    this.heartbeatTicks = options.heartbeatTicks;
    this.snapshots = options.snapshots;
    this.#random = options.random;
    assert(options.electionTicks > options.heartbeatTicks, 'raft: several heartbeats fit into an election time-out');
    const { term, vote, commit } = options.hardState;
    this.term = term;
    this.vote = vote;
    const snapshot = options.snapshots.latest();
    const last = options.log.lastIndex();
    // The hint may be newer than a log whose last write was lost: what it says beyond the end is not known here.
    this.log = new RaftLog(options.log, { applied: options.applied, committed: Math.min(commit, last) });
    this.members = new MembershipHistory({
      index: snapshot?.index ?? 0,
      membership: snapshot?.membership ?? { voters: [], learners: [] },
    });
    for (const index of options.log.configIndexes()) {
      if (index > this.members.latestIndex) this.members.append(index, readMembership(options.log, index));
    }
    this.resetElectionTimeout();
  }

  get membership(): Membership {
    return this.members.latest;
  }

  /** Every member but this one. */
  get others(): readonly string[] {
    const { voters, learners } = this.membership;
    return [...voters, ...learners].filter((id) => id !== this.id);
  }

  get isSoleVoter(): boolean {
    const { voters } = this.membership;
    return voters.length === 1 && voters[0] === this.id;
  }

  get isVoter(): boolean {
    return this.membership.voters.includes(this.id);
  }

  /**
   * May this server campaign? A voter may; so may one whose removal is in its log but not known to be committed: the
   * others may still need its vote and its longer log to get on (thesis §4.2.2). It does not count itself then.
   */
  get mayStand(): boolean {
    return this.isVoter || this.members.at(this.log.committed).voters.includes(this.id);
  }

  /** Has this leader committed an entry of its own term? Before that it may know less than is committed (Raft §8). */
  get hasCommittedInTerm(): boolean {
    return this.role === 'leader' && this.log.committed >= this.termStart;
  }

  resetElectionTimeout(): void {
    this.electionElapsed = 0;
    this.electionTimeout = this.electionTicks + randomInt(this.#random, Math.ceil(SPREAD * this.electionTicks));
  }

  #reset(term: number): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = '';
    }
    this.leader = '';
    this.heartbeatElapsed = 0;
    this.resetElectionTimeout();
    this.votes = new Map();
    this.progress = new Map();
    this.successor = '';
    this.pendingReads = [];
    this.earlyReads = [];
    this.readRound = 0;
    this.hasNews = { entries: false, commit: false, round: false };
    this.#sizes = [];
    this.#sizesFrom = this.log.lastIndex + 1;
    this.#uncommittedBytes = 0;
  }

  becomeFollower(term: number, leader: string): void {
    assert(term >= this.term, 'raft: a term never goes back');
    this.#reset(term);
    this.role = 'follower';
    this.leader = leader;
  }

  becomePreCandidate(): void {
    assert(this.role !== 'leader', 'raft: a leader does not campaign');
    // Neither term nor vote change: a partitioned server must not disturb the others when it returns (thesis §9.6).
    this.role = 'preCandidate';
    this.leader = '';
    this.votes = new Map();
    // Whoever still holds to the dead leader's lease may grant in a moment, and the question costs nothing: it is asked again soon.
    this.electionElapsed = 0;
    this.electionTimeout = this.heartbeatTicks + randomInt(this.#random, this.heartbeatTicks);
  }

  becomeCandidate(): void {
    assert(this.role !== 'leader', 'raft: a leader does not campaign');
    this.#reset(this.term + 1);
    this.role = 'candidate';
    this.vote = this.id;
  }

  becomeLeader(): void {
    assert(this.role !== 'follower', 'raft: a leader has won an election');
    this.#reset(this.term);
    this.role = 'leader';
    this.leader = this.id;
    this.followMembership();
    this.termStart = this.appendOwn('noop', new Uint8Array()).index;
  }

  /** Makes the leader's view of the members agree with the membership in force. */
  followMembership(): void {
    if (this.role !== 'leader') return;
    const { voters, learners } = this.membership;
    const present = new Map<string, Progress>();
    for (const id of [...voters, ...learners]) {
      const known = this.progress.get(id) ?? new Progress(this.log.lastIndex + 1, WINDOW);
      if (!this.progress.has(id)) {
        // A new member gets the time of one check before its silence counts.
        known.active = true;
        if (id === this.id) known.match = this.log.stableIndex;
      }
      present.set(id, known);
    }
    this.progress = present;
    if (!present.has(this.successor)) this.successor = '';
  }

  /** Appends an entry of this leader's term. */
  appendOwn(type: EntryType, data: Uint8Array): Entry {
    const entry: Entry = { term: this.term, index: this.log.lastIndex + 1, type, data };
    this.append([entry]);
    this.#sizes.push(data.length);
    this.#uncommittedBytes += data.length;
    return entry;
  }

  /** Room for a proposal? One is always allowed, however large. */
  hasRoomFor(bytes: number): boolean {
    return this.#uncommittedBytes === 0 || this.#uncommittedBytes + bytes <= UNCOMMITTED_BYTES_MAX;
  }

  /** Adds entries to the log; a change of membership is in force from here on. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    this.log.append(entries);
    const before = this.membership;
    this.members.truncateFrom(first.index);
    for (const { type, index, data } of entries) {
      if (type === 'config') this.members.append(index, decodeMembership(data));
    }
    if (this.membership !== before) this.followMembership();
  }

  /** Raises the commit index; returns whether it moved. */
  commitTo(index: number): boolean {
    const before = this.log.committed;
    if (!this.log.commitTo(index)) return false;
    if (this.role !== 'leader') return true;
    const done = index + 1 - this.#sizesFrom;
    for (let i = Math.max(0, before + 1 - this.#sizesFrom); i < done; i++)
      this.#uncommittedBytes -= this.#sizes[i] ?? 0;
    if (index === this.log.lastIndex || done > SIZES_KEPT) {
      this.#sizes = this.#sizes.slice(done);
      this.#sizesFrom = index + 1;
    }
    return true;
  }

  /** A leader counts an entry of its own term as committed once a majority has it durably (Raft §5.4.2). */
  commitByQuorum(): boolean {
    const index = quorumValue(this.membership.voters, (id) => this.progress.get(id)?.match ?? 0);
    return index > this.log.committed && this.log.matches(index, this.term) && this.commitTo(index);
  }

  send(message: Message): void {
    this.outbox.push(message);
  }

  /** For every message that promises something: it leaves after what it rests on is durable. */
  sendAfterPersist(message: Message): void {
    this.outboxAfterPersist.push(message);
  }
}

function readMembership(log: LogReader, index: number): Membership {
  const entry = log.entries(index, index, 0)[0];
  assert(entry?.type === 'config', `log: entry ${index} should be a config entry`);
  return decodeMembership(entry.data);
}
