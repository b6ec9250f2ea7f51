import type { Entry, HardState, Membership, MembershipChange, Ready } from '../raft/index.js';
import { Raft } from '../raft/index.js';
import { decodeCommand, encodeCommand } from '../state/command-codec.js';
import type { Command } from '../state/commands.js';
import type { Disk } from '../storage/index.js';
import { MeshError } from '../structs/errors.js';
import { assert } from '../util/assert.js';
import { backoffMs } from '../util/backoff.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import { Snapshotter } from './consensus-snapshots.js';
import type { Stores } from './consensus-stores.js';
import { openStores, prepareStores, restoreSnapshot } from './consensus-stores.js';
import type { Consensus, ConsensusGroup, Follower, StateMachine } from './ports.js';
import { RecentTimes } from './recent-times.js';
import type { Timers } from './timers.js';

// The host of raft: it carries out what ready() asks for, and nothing is acknowledged before that.
//
//     propose ─▶ raft ─▶ one write and one sync for all that came in one turn, or during the sync before ─▶ advance
//                 ▲                                                                                        │
//                 └──── the next round: its write is under way while what was committed is applied ◀───────┘
//
// When the disk refuses, the machine is thrown away as a crash would, proposals fail with E_STORAGE, and the host goes
// on from what is durable as soon as the disk takes writes again.

const ELECTION_TICKS = 10;
const HEARTBEAT_TICKS = 2;
/** Log between two snapshots: little, for small machines with memory cards keep everything twice. */
const SNAPSHOT_BYTES = 8 * 1024 * 1024;
const REPAIR_FIRST_MS = 500;
const REPAIR_MAX_MS = 10_000;
/** A replay gives other work a turn after so long. */
const TURN_MS_MAX = 20;

export interface ConsensusOptions {
  /** Where it keeps its files, in a folder `raft`; null keeps everything in memory. */
  readonly dataDir: string | null;
  /** This server's id. */
  readonly id: string;
  /** Where nothing is stored yet: begin a group of one voter. Else this server waits until a leader adds it to its group. */
  readonly found: boolean;
  readonly fsm: StateMachine;
  readonly timers: Timers;
  /** Milliseconds that never go back. */
  readonly now: () => number;
  readonly random: Random;
  readonly log: Log;
  readonly limits?: { readonly snapshotBytes?: number; readonly segmentBytes?: number };
  /** In place of the real file system. */
  readonly disk?: Disk;
}

/** What an operator may want to know. */
export interface ConsensusStats {
  readonly state: State['kind'];
  readonly term: number;
  readonly lastIndex: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly snapshotIndex: number;
  readonly voters: readonly string[];
}

export interface RunningConsensus extends Consensus, ConsensusGroup {
  /** Begins: a sole voter leads a few milliseconds later. Listeners should be registered before. */
  start(): void;
  /** Finishes what is under way and frees the data directory. */
  close(): Promise<void>;
  stats(): ConsensusStats;
}

/**
 * Opens the log, restores the newest snapshot into the state machine, and returns consensus, not yet started. Rejects
 * with MeshError: E_CONFLICT (the directory is in use, or another server's), E_NOT_SUPPORTED (another version wrote it),
 * E_STORAGE (damaged, or not writable).
 */
export async function openConsensus(options: ConsensusOptions): Promise<RunningConsensus> {
  const { dataDir, disk, limits, log, fsm, id, found } = options;
  const segmentBytes = limits?.segmentBytes;
  const stores = await openStores({ dataDir, log, ...(disk && { disk }), ...(segmentBytes && { segmentBytes }) });
  try {
    await prepareStores(stores, { id, found });
    const latest = await restoreSnapshot(stores, fsm, log);
    const everyBytes = limits?.snapshotBytes ?? SNAPSHOT_BYTES;
    return new RaftHost(options, stores, new Snapshotter({ stores, fsm, log, everyBytes, latest }));
  } catch (error) {
    await stores.log.close();
    stores.lock.release();
    throw error;
  }
}

interface Proposal {
  readonly term: number;
  readonly resolve: (outcome: { index: number; result: unknown }) => void;
  readonly reject: (error: MeshError) => void;
}

interface Read {
  readonly resolve: (index: number) => void;
  readonly reject: (error: MeshError) => void;
}

type State =
  | { readonly kind: 'opened' }
  | { readonly kind: 'running' }
  /** The disk refused a write: waiting to try again. */
  | { readonly kind: 'broken'; readonly error: MeshError }
  /** The log holds what this version cannot apply: nothing but another version helps. */
  | { readonly kind: 'halted'; readonly error: MeshError }
  | { readonly kind: 'closed' };

class RaftHost implements RunningConsensus {
  readonly #options: ConsensusOptions;
  readonly #stores: Stores;
  readonly #snapshotter: Snapshotter;
  #raft: Raft;
  #state: State = { kind: 'opened' };
  #applied: number;
  #leads = false;
  /** When this server, the only one there is, led last. */
  #lastLedMs: number;
  #listeners: ((leads: boolean) => void)[] = [];
  readonly #proposals = new Map<number, Proposal>();
  /** Reads by their context, until raft has named an index. */
  readonly #asked = new Map<number, Read>();
  /** Reads that wait for their index to be applied. */
  #waiting: { index: number; read: Read }[] = [];
  #context = 0;
  #pump: Promise<void> | null = null;
  #woken = false;
  #failures = 0;
  #cancelRepair = (): void => {};
  readonly #syncTimes = new RecentTimes();

  constructor(options: ConsensusOptions, stores: Stores, snapshotter: Snapshotter) {
    this.#options = options;
    this.#stores = stores;
    this.#snapshotter = snapshotter;
    this.#lastLedMs = options.now();
    this.#applied = snapshotter.latest?.index ?? 0;
    this.#raft = this.#newRaft();
    const { voters } = this.#raft.membership;
    if (voters.length > 0 && !voters.includes(options.id)) {
      throw new MeshError(
        'E_CONFLICT',
        `${options.dataDir} belongs to server ${voters.join(', ')}, this is ${options.id}: ` +
          'use another data directory, or bring back the identity that belongs to this one',
      );
    }
  }

  /** The machine as it is after a crash: it knows what is durable. */
  #newRaft(): Raft {
    const { log, stable } = this.#stores;
    return new Raft({
      id: this.#options.id,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      random: this.#options.random,
      log,
      snapshots: { latest: () => this.#snapshotter.latest },
      hardState: stable.load(),
      applied: this.#applied,
    });
  }

  get isLeader(): boolean {
    return this.#leads;
  }
  get leader(): string {
    if (this.#state.kind !== 'running') return '';
    const { leader } = this.#raft;
    // It leads for others only once it has applied what came before its term.
    return leader === this.#options.id && !this.#leads ? '' : leader;
  }
  lastContactMs(): number {
    return this.#leads ? 0 : Math.max(0, this.#options.now() - this.#lastLedMs);
  }
  onLeadership(listener: (leads: boolean) => void): void {
    this.#listeners.push(listener);
  }
  get id(): string {
    return this.#options.id;
  }
  membership(): Membership {
    return this.#raft.membership;
  }
  followers(): readonly Follower[] {
    return [];
  }
  lastIndex(): number {
    return this.#raft.lastIndex;
  }
  appliedIndex(): number {
    return this.#applied;
  }
  term(): number {
    return this.#raft.term;
  }
  syncMs(): number | null {
    return this.#syncTimes.median;
  }
  async change(change: MembershipChange): Promise<{ index: number }> {
    throw this.#refusal() ?? new MeshError('E_NOT_SUPPORTED', `${change.type} ${change.id}: no transport to others`);
  }
  async transferLeadership(to: string): Promise<void> {
    throw this.#refusal() ?? new MeshError('E_BAD_REQUEST', `leadership cannot go to ${to}: it is no voter`);
  }
  stats(): ConsensusStats {
    const { term, lastIndex, committed, membership } = this.#raft;
    return {
      state: this.#state.kind,
      term,
      lastIndex,
      commitIndex: committed,
      appliedIndex: this.#applied,
      snapshotIndex: this.#snapshotter.latest?.index ?? 0,
      voters: membership.voters,
    };
  }

  start(): void {
    assert(this.#state.kind === 'opened', 'consensus: it is started once');
    this.#state = { kind: 'running' };
    if (this.#raft.isSoleVoter) this.#raft.campaign();
    this.#wake();
  }

  async propose(command: Command): Promise<{ index: number; result: unknown }> {
    const refusal = this.#refusal();
    if (refusal !== null) throw refusal;
    const proposed = this.#raft.propose(encodeCommand(command));
    if (!proposed.ok) {
      if (proposed.error.kind !== 'busy') throw noLeader('this server does not lead');
      throw new MeshError('E_TOO_MANY', 'too many writes wait for the disk: retry in a moment');
    }
    const { term } = this.#raft;
    return new Promise((resolve, reject) => {
      this.#proposals.set(proposed.value, { term, resolve, reject });
      this.#wake();
    });
  }

  async readIndex(): Promise<number> {
    // With a disk that refuses writes nothing can change: what is applied here is all that was ever acknowledged.
    if (this.#state.kind === 'broken' && this.#raft.isSoleVoter) return this.#applied;
    const refusal = this.#refusal();
    if (refusal !== null) throw refusal;
    const context = ++this.#context;
    const asked = this.#raft.readIndex(context);
    if (!asked.ok) throw noLeader('no leader is known');
    return new Promise((resolve, reject) => {
      this.#asked.set(context, { resolve, reject });
      this.#wake();
    });
  }

  #refusal(): MeshError | null {
    const { kind } = this.#state;
    if (this.#state.kind === 'broken' || this.#state.kind === 'halted') return this.#state.error;
    if (kind !== 'running') return noLeader(kind === 'closed' ? 'the server is shutting down' : 'it has not started');
    return this.#leads ? null : noLeader('the log is still being replayed');
  }

  /** Work begins when the present turn is over, so that all that arrives in one turn shares one write. */
  #wake(): void {
    if (this.#woken || this.#pump !== null) return;
    this.#woken = true;
    this.#options.timers.soon(() => {
      this.#woken = false;
      if (this.#state.kind !== 'running' || this.#pump !== null) return;
      this.#pump = this.#work().finally(() => {
        this.#pump = null;
        // What came in between the last look and here.
        if (this.#state.kind === 'running' && this.#raft.hasReady()) this.#wake();
      });
    });
  }

  async #work(): Promise<void> {
    let turnBegan = this.#options.now();
    while ((this.#state.kind === 'running' || this.#state.kind === 'closed') && this.#raft.hasReady()) {
      const ready = this.#raft.ready();
      try {
        await this.#round(ready);
      } catch (error) {
        this.#fail(error);
        return;
      }
      if (!ready.mustSync && this.#options.now() - turnBegan > TURN_MS_MAX) {
        await new Promise<void>((resolve) => this.#options.timers.soon(resolve));
        turnBegan = this.#options.now();
      }
      if (ready.mustSync) turnBegan = this.#options.now();
    }
  }

  /** Does what one ready() asks for. */
  async #round(ready: Ready): Promise<void> {
    assert(
      ready.messages.length + ready.messagesAfterPersist.length === 0,
      'consensus: a sole voter has nobody to tell',
    );
    const written = ready.mustSync ? this.#write(ready) : undefined;
    for (const { context, index } of ready.reads) {
      const read = this.#asked.get(context);
      this.#asked.delete(context);
      if (read !== undefined) this.#waiting.push({ index, read });
    }
    let defect: unknown;
    try {
      this.#apply(ready.committed);
    } catch (error) {
      defect = error;
    }
    this.#answerReads();
    // Whatever applying met, the write under way is waited for: nobody closes a file under it.
    await written;
    if (defect !== undefined) throw defect;
    this.#raft.advance();
    this.#failures = 0;
  }

  /** Term and vote before entries: an entry of a term that is not on disk would outlive its vote. */
  async #write(ready: Ready): Promise<void> {
    const { stable, log } = this.#stores;
    const { hardState } = ready;
    if (hardState !== null && changesVote(stable.load(), hardState)) {
      // The hint must not run ahead of the entries that this very write is about to make durable.
      await stable.save({ ...hardState, commit: Math.min(hardState.commit, log.lastIndex()) });
    }
    const began = this.#options.now();
    await log.append(ready.entries);
    if (ready.entries.length > 0) this.#syncTimes.add(this.#options.now() - began);
  }

  #apply(entries: readonly Entry[]): void {
    let bytes = 0;
    for (const entry of entries) {
      if (entry.type === 'command') this.#applyCommand(entry);
      this.#applied = entry.index;
      bytes += entry.data.length;
    }
    const last = entries.at(-1);
    if (last === undefined) return;
    this.#snapshotter.applied(this.#raft, { index: last.index, bytes });
    // Its own first entry is applied, and so everything before its term.
    const { role, termStart } = this.#raft;
    if (role === 'leader' && !this.#leads && this.#applied >= termStart) this.#lead(true);
  }

  #applyCommand(entry: Entry): void {
    const proposal = this.#proposals.get(entry.index);
    this.#proposals.delete(entry.index);
    const command = decodeCommand(entry.data);
    let result: unknown;
    try {
      result = this.#options.fsm.apply(entry.index, command);
    } catch (error) {
      if (error instanceof MeshError) throw error;
      // A defect: every server meets it alike, and passing over it is the only way to ever start again.
      const { message } = error as Error;
      this.#options.log.error('a command could not be applied', {
        index: entry.index,
        type: command.type,
        error: message,
      });
      proposal?.reject(new MeshError('E_INTERNAL', `applying ${command.type} failed: ${message}`, { cause: error }));
      return;
    }
    if (proposal === undefined) return;
    if (proposal.term === entry.term) proposal.resolve({ index: entry.index, result });
    else proposal.reject(noLeader('another leader took over; whether the write was kept is unknown'));
  }

  #answerReads(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ index }) => index > this.#applied);
    for (const { index, read } of waiting) if (index <= this.#applied) read.resolve(this.#applied);
  }

  #lead(leads: boolean): void {
    if (this.#leads === leads) return;
    this.#leads = leads;
    this.#lastLedMs = this.#options.now();
    const { term } = this.#raft;
    this.#options.log.info(leads ? 'this server leads' : 'this server leads no more', { term, index: this.#applied });
    for (const listener of this.#listeners) {
      try {
        listener(leads);
      } catch (error) {
        this.#options.log.error('what follows a change of leadership failed', { leads, error: (error as Error).stack });
      }
    }
  }

  /** Nobody gets an answer that rests on what is not durable. */
  #fail(cause: unknown): void {
    const error =
      cause instanceof MeshError
        ? cause
        : new MeshError('E_INTERNAL', `consensus failed: ${(cause as Error).message}`, { cause });
    const { log } = this.#options;
    if (error.code === 'E_STORAGE' && this.#state.kind !== 'closed') {
      this.#state = { kind: 'broken', error };
      if (this.#failures === 0)
        log.error('nothing can be written until the disk is well again', { error: error.message });
      this.#repairLater();
    } else if (this.#state.kind !== 'closed') {
      this.#state = { kind: 'halted', error };
      log.error('consensus has stopped', {
        error: error.message,
        stack: cause instanceof MeshError ? '' : (cause as Error).stack,
      });
    }
    this.#rejectAll(error);
    this.#lead(false);
  }

  #rejectAll(error: MeshError): void {
    const all = [...this.#proposals.values(), ...this.#asked.values(), ...this.#waiting.map(({ read }) => read)];
    this.#proposals.clear();
    this.#asked.clear();
    this.#waiting = [];
    for (const { reject } of all) reject(error);
  }

  #repairLater(): void {
    const attempt = this.#failures++;
    const ms = backoffMs({ attempt, baseMs: REPAIR_FIRST_MS, maxMs: REPAIR_MAX_MS, random: this.#options.random });
    this.#cancelRepair = this.#options.timers.setTimeout(ms, () => {
      this.#pump = this.#repair().finally(() => {
        this.#pump = null;
        if (this.#state.kind === 'running') this.#wake();
      });
    });
  }

  async #repair(): Promise<void> {
    try {
      await this.#stores.log.repair();
      if (this.#state.kind !== 'broken') return;
      // As after a crash: what was not durable was never acknowledged, and is gone.
      this.#raft = this.#newRaft();
      this.#state = { kind: 'running' };
      this.#raft.campaign();
      this.#options.log.info('the disk takes writes again', { index: this.#raft.lastIndex });
    } catch (error) {
      this.#fail(error);
    }
  }

  async close(): Promise<void> {
    if (this.#state.kind === 'closed') return;
    const wasRunning = this.#state.kind === 'running';
    this.#state = { kind: 'closed' };
    this.#cancelRepair();
    await this.#pump;
    if (wasRunning) await this.#work();
    this.#rejectAll(noLeader('the server is shutting down; whether the write was kept is unknown'));
    this.#lead(false);
    await this.#snapshotter.idle();
    const { stable, log, lock } = this.#stores;
    try {
      // The hint lets the next start see whether acknowledged entries were lost in between.
      if (wasRunning) await stable.save({ ...stable.load(), commit: this.#applied });
    } catch (error) {
      this.#options.log.warn('the commit hint could not be written', { error: (error as Error).message });
    }
    await log.close();
    lock.release();
  }
}

function changesVote(before: HardState, now: HardState): boolean {
  return before.term !== now.term || before.vote !== now.vote;
}

function noLeader(why: string): MeshError {
  return new MeshError('E_NO_LEADER', `no leader: ${why}`);
}
