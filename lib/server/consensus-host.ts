import type { Entry, Membership, MembershipChange, Raft, Ready, SnapshotMeta } from '../raft/index.js';
import { encodeCommand } from '../state/command-codec.js';
import { versionFor } from '../state/command-versions.js';
import type { Command } from '../state/commands.js';
import type { EntryChain, Instance } from '../storage/index.js';
import { MeshError } from '../structs/errors.js';
import { assert } from '../util/assert.js';
import type { ConsensusOptions, ConsensusStats, RunningConsensus } from './consensus.js';
import { Applier, PacedApplier } from './consensus-apply.js';
import { Belonging } from './consensus-belonging.js';
import { needsTicks, Ticker, tickMsFor } from './consensus-clock.js';
import { DurableSide } from './consensus-durable.js';
import { asMeshError, refusalError, unknownOutcome } from './consensus-errors.js';
import { GroupSide } from './consensus-group.js';
import { HandOver } from './consensus-handover.js';
import { Joining } from './consensus-joining.js';
import { OwnLife } from './consensus-life.js';
import { LeadershipListeners } from './consensus-listeners.js';
import { PendingReads, PendingWrites } from './consensus-pending.js';
import { RepairPlan } from './consensus-repair.js';
import type { Snapshotter } from './consensus-snapshots.js';
import type { HostState, Standing } from './consensus-state.js';
import { refusalToRead, refusalToWrite, statsOf } from './consensus-state.js';
import { machineFrom, type Stores } from './consensus-stores.js';
import { PACKED_VERSION, packCommand } from './packed-command.js';
import type { Follower, Replica } from './ports.js';

/** Reads wait for a leader as long as this many shortest elections. */
const READ_ELECTIONS = 5;
/** Raft itself gives a transfer up after one; the new leader needs a moment more to be heard. */
const HAND_OVER_ELECTIONS = 2;

/** Consensus over one raft machine, its stores and its group. */
export class RaftHost implements RunningConsensus {
  readonly #options: ConsensusOptions;
  readonly #stores: Stores;
  readonly #snapshotter: Snapshotter;
  /** Null without a transport: alone for ever. */
  readonly #group: GroupSide | null;
  readonly #ticker: Ticker;
  readonly #life: OwnLife;
  readonly #chain: EntryChain;
  readonly #joining: Joining;
  readonly #belonging: Belonging;
  #raft: Raft;
  #state: HostState = { kind: 'opened' };
  #applied: number;
  /** The term in which this server leads and has applied everything before; 0 = it does not. */
  #ledTerm = 0;
  #knownLeader = '';
  /** When a leader was heard last, or this server led. */
  #contactMs: number;
  readonly #listeners: LeadershipListeners;
  readonly #writes = new PendingWrites();
  readonly #applier: PacedApplier;
  readonly #durable: DurableSide;
  readonly #reads = new PendingReads(() => this.#life.questionsFrom);
  #handOver: HandOver | null = null;
  #pump: Promise<void> | null = null;
  #woken = false;
  readonly #repairs: RepairPlan;

  constructor(
    options: ConsensusOptions,
    parts: { stores: Stores; snapshotter: Snapshotter; life: Instance; chain: EntryChain },
  ) {
    const { timers, now, transport, id, log, replica } = options;
    this.#chain = parts.chain;
    this.#listeners = new LeadershipListeners(log);
    this.#repairs = new RepairPlan(options);
    this.#joining = new Joining({ ...parts, id, replica, now, log });
    this.#options = options;
    this.#stores = parts.stores;
    this.#snapshotter = parts.snapshotter;
    this.#life = new OwnLife({ store: parts.stores.instance, life: parts.life, random: options.random, log });
    this.#contactMs = now();
    this.#durable = new DurableSide({ ...parts, fsm: options.fsm, now, log });
    const applier = new Applier({ fsm: options.fsm, writes: this.#writes, log });
    this.#applier = new PacedApplier(applier, timers.soon);
    this.#applied = parts.snapshotter.latest?.index ?? 0;
    this.#raft = this.#newRaft();
    this.#belonging = new Belonging({
      ...parts,
      id,
      life: this.#life,
      joining: this.#joining,
      onAbandoned: options.onAbandoned ?? (() => {}),
      host: {
        state: () => this.#state,
        leader: () => this.leader,
        isOutside: () => this.isOutside,
        idle: () => this.#idle(),
        giveUp: (error, state = this.#state) => {
          this.#state = state;
          this.#giveUp(error);
        },
        fail: (error) => this.#fail(error),
        beginAnew: () => this.#beginAnew(),
        goOn: (applied) => this.#goOn(applied),
      },
    });
    this.#ticker = new Ticker({ timers, now, tick: () => this.#tick() });
    this.#group = transport
      ? new GroupSide({
          id,
          transport,
          stores: parts.stores,
          snapshotter: parts.snapshotter,
          timers,
          now,
          log,
          host: {
            raft: () => (this.#takesPart ? this.#raft : null),
            called: () => this.#belonging.letIn(),
            life: () => this.#life.now,
            tickMs: () => this.#ticker.tickMs,
            stepped: (from, tickMs) => this.#stepped(from, tickMs),
            failed: (error) => this.#fail(error),
            admitted: (epoch) => void this.#belonging.admitted(epoch),
            abandoned: (epoch) => this.#belonging.abandoned(epoch),
            outdated: () => void this.#belonging.outdated(),
          },
        })
      : null;
  }

  /** The machine as it is after a crash: it knows what is durable. */
  #newRaft(): Raft {
    const { id, random } = this.#options;
    return machineFrom(this.#stores, { id, random, latest: () => this.#snapshotter.latest, applied: this.#applied });
  }

  get #takesPart(): boolean {
    return this.#state.kind === 'running' && this.#life.now.admitted && !this.isOutside;
  }
  get #replica(): Replica | null {
    return this.#state.kind === 'running' ? this.#joining.replicaOf(this.#raft.membership) : null;
  }
  expel(): void {
    this.#joining.expel();
    this.#settle();
  }
  get isOutside(): boolean {
    return this.#joining.isOutside(this.#raft.membership);
  }
  get id(): string {
    return this.#options.id;
  }
  get isLeader(): boolean {
    return this.#ledTerm !== 0;
  }
  get leader(): string {
    if (this.#replica !== null) return this.#replica.leader;
    if (!this.#takesPart) return '';
    const { leader } = this.#raft;
    // It leads for others only once it has applied what came before its term.
    return leader === this.#options.id && !this.isLeader ? '' : leader;
  }
  lastContactMs(): number {
    if (this.#replica !== null) return this.#replica.lastContactMs();
    return this.isLeader ? 0 : Math.max(0, this.#options.now() - this.#contactMs);
  }
  onLeadership(listener: (leads: boolean) => void): void {
    this.#listeners.add(listener);
  }
  membership(): Membership {
    return this.#raft.membership;
  }
  followers(): readonly Follower[] {
    return this.#takesPart ? (this.#group?.followers(this.#raft) ?? []) : [];
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
    return this.#durable.syncMs;
  }
  stats(): ConsensusStats {
    const snapshotIndex = this.#snapshotter.latest?.index ?? 0;
    return statsOf(this.#raft, { ...this.#standing, appliedIndex: this.#applied, snapshotIndex });
  }

  start(): void {
    assert(this.#state.kind === 'opened', 'consensus: it is started once');
    this.#state = { kind: 'running' };
    if (this.#raft.isSoleVoter) this.#raft.campaign();
    this.#settle();
  }

  async propose(command: Command): Promise<{ index: number; result: unknown }> {
    const refusal =
      refusalToWrite(this.#standing) ?? this.#group?.refusalOf(versionFor(command), this.#raft.membership) ?? null;
    if (refusal !== null) throw refusal;
    const encoded = encodeCommand(command);
    const mayPack = this.#group?.knowAll(PACKED_VERSION, this.#raft.membership) ?? true;
    return this.#proposed(this.#raft.propose(mayPack ? packCommand(encoded) : encoded));
  }

  async change(change: MembershipChange): Promise<{ index: number }> {
    const refusal = refusalToWrite(this.#standing);
    if (refusal !== null) throw refusal;
    const { type, id } = change;
    if (this.#group === null && type !== 'remove') {
      throw new MeshError('E_NOT_SUPPORTED', `${id} cannot become a member: this server is not linked to a mesh`);
    }
    if (type !== 'remove') this.#group?.expect(id);
    const { index } = await this.#proposed(this.#raft.proposeChange(change));
    return { index };
  }

  #proposed(proposed: ReturnType<Raft['propose']>): Promise<{ index: number; result: unknown }> {
    if (!proposed.ok) throw refusalError(proposed.error);
    const outcome = this.#writes.wait(proposed.value, this.#raft.term);
    this.#wake();
    return outcome;
  }

  async transferLeadership(to: string): Promise<void> {
    const refusal = refusalToWrite(this.#standing);
    if (refusal !== null) throw refusal;
    if (this.#handOver !== null)
      throw new MeshError('E_CONFLICT', `leadership is going to ${this.#handOver.to} already`);
    const asked = this.#raft.transferLeadership(to);
    if (!asked.ok) throw refusalError(asked.error);
    const handOver = new HandOver({
      to,
      limitMs: HAND_OVER_ELECTIONS * this.#ticker.electionMs,
      timers: this.#options.timers,
    });
    this.#handOver = handOver;
    this.#settle();
    return handOver.done.finally(() => {
      this.#handOver = null;
    });
  }

  async readIndex(): Promise<number> {
    // With a disk that refuses writes nothing can change. What was ever acknowledged is in the log, which may wait to be replayed.
    const hasAll = this.#applied >= this.#stores.log.lastIndex();
    if (this.#state.kind === 'broken' && this.#raft.isSoleVoter && hasAll) return this.#applied;
    if (this.#replica !== null) return this.#replica.readIndex();
    const refusal = refusalToRead(this.#standing);
    if (refusal !== null) throw refusal;
    const read = this.#reads.wait(this.#options.now());
    this.#wake();
    return read;
  }

  get #standing(): Standing {
    const { role, isSoleVoter, membership } = this.#raft;
    const { admitted } = this.#life.now;
    return { state: this.#state, admitted, leads: this.isLeader, role, isSoleVoter, voters: membership.voters.length };
  }

  /** Work begins when the present turn is over, so that all that arrives in one turn shares one write. */
  #wake(): void {
    if (this.#woken) return;
    this.#woken = true;
    this.#options.timers.soon(() => {
      this.#woken = false;
      if (this.#state.kind !== 'running') return;
      this.#reads.ask(this.#raft);
      this.#sendEarly();
      if (this.#pump !== null || !this.#raft.hasReady()) return;
      this.#pump = this.#work().finally(() => {
        this.#pump = null;
        // What came in between the last look and here.
        if (this.#state.kind === 'running' && this.#raft.hasReady()) this.#wake();
      });
    });
  }

  /** A write may be under way: what need not wait for it goes out now. */
  #sendEarly(): void {
    if (this.#group === null || !this.#takesPart || !this.#raft.hasMessages) return;
    try {
      this.#group.send(this.#raft.takeMessages());
    } catch (error) {
      // What is to be sent is read from the disk.
      this.#fail(error);
    }
  }

  async #work(): Promise<void> {
    while ((this.#state.kind === 'running' || this.#state.kind === 'closed') && this.#raft.hasReady()) {
      let ready: Ready;
      try {
        ready = this.#raft.ready();
        await this.#round(ready);
      } catch (error) {
        this.#fail(error);
        return;
      }
      this.#reads.ask(this.#raft);
    }
  }

  /** Does what one ready() asks for. */
  async #round(ready: Ready): Promise<void> {
    this.#group?.send(ready.messages);
    if (ready.snapshot !== null) {
      await this.#durable.install(ready.snapshot, ready.hardState);
      this.#replaced(ready.snapshot);
    }
    const written = ready.mustSync ? this.#durable.write(ready) : undefined;
    for (const { context, index } of ready.reads) this.#reads.named(context, index);
    this.#reads.applied(this.#applied);
    // Whatever applying met, the write under way is waited for: nobody closes a file under it.
    const [write, apply] = await Promise.allSettled([written, this.#apply(ready.committed)]);
    if (write.status === 'rejected') throw write.reason;
    if (apply.status === 'rejected') throw apply.reason;
    // Something else may have failed meanwhile: then nothing is promised any more.
    if (this.#state.kind !== 'running' && this.#state.kind !== 'closed') return;
    this.#group?.send(ready.messagesAfterPersist);
    this.#raft.advance();
    this.#repairs.succeeded();
    this.#settle();
  }

  /** The state is now the snapshot's. */
  #replaced(meta: SnapshotMeta): void {
    this.#snapshotter.installed(meta);
    this.#chain.restored(meta);
    this.#applied = meta.index;
    this.#writes.rejectUpTo(meta.index, unknownOutcome());
  }

  async #apply(entries: readonly Entry[]): Promise<void> {
    const bytes = await this.#applier.apply(entries, (entry) => {
      this.#chain.applied(entry);
      this.#applied = entry.index;
      this.#reads.applied(entry.index);
    });
    if (entries.length === 0) return;
    this.#snapshotter.applied(this.#raft, { index: this.#applied, bytes });
    // Its own first entry is applied, and so everything before its term.
    const { role, term, termStart } = this.#raft;
    if (role === 'leader' && !this.isLeader && this.#takesPart && this.#applied >= termStart) this.#lead(term);
  }

  #tick(): void {
    if (!this.#takesPart) return;
    this.#raft.tick();
    if (this.#raft.role === 'leader') {
      this.#ticker.tickMs = tickMsFor(this.#group?.slowestRttMs(this.#raft.membership.voters) ?? 0);
    }
    this.#reads.tick(this.#raft, { nowMs: this.#options.now(), patienceMs: READ_ELECTIONS * this.#ticker.electionMs });
    this.#settle();
  }

  /** Another server was heard: `from` is '' when only a report came in. */
  #stepped(from: string, tickMs: number): void {
    if (from !== '' && from === this.#raft.leader) {
      this.#contactMs = this.#options.now();
      this.#joining.heard();
      // Elections last as long here as the leader thinks they must.
      if (tickMs > 0) this.#ticker.tickMs = tickMs;
    }
    this.#settle();
  }

  /** Draws the conclusions from whatever raft was told: called after each tick, message and round. */
  #settle(): void {
    const { role, term, leader } = this.#raft;
    // Who is being closed first finishes what was proposed.
    const isOut = !this.#takesPart && this.#state.kind !== 'closed';
    if (this.isLeader && (role !== 'leader' || term !== this.#ledTerm || isOut)) this.#lead(0);
    if (leader !== this.#knownLeader) {
      this.#knownLeader = leader;
      if (leader !== '' && leader !== this.id) this.#options.log.info('a server leads', { leader, term });
      if (leader !== '') this.#reads.askAgain(this.#raft);
    }
    this.#handOver?.sawLeader(leader);
    this.#ticker.run(this.#takesPart && needsTicks(this.#raft));
    if (this.#state.kind === 'running' && (this.#raft.hasReady() || this.#raft.hasMessages)) this.#wake();
  }

  /** Begins to lead in a term, or with 0 ceases to. */
  #lead(term: number): void {
    if ((term !== 0) === this.isLeader) return;
    this.#ledTerm = term;
    this.#contactMs = this.#options.now();
    const leads = term !== 0;
    this.#options.log.info(leads ? 'this server leads' : 'this server leads no more', {
      term: this.#raft.term,
      index: this.#applied,
    });
    if (!leads) {
      this.#group?.stopLeading();
      // What is committed already will be applied here, and answered then.
      this.#writes.rejectAfter(this.#raft.committed, unknownOutcome());
    }
    this.#listeners.tell(leads);
  }

  /** Nobody gets an answer that rests on what is not durable. */
  #fail(cause: unknown): void {
    const error = asMeshError(cause);
    const { log } = this.#options;
    if (this.#state.kind === 'running') this.#group?.handOver(this.#raft);
    if (error.code === 'E_STORAGE' && this.#state.kind !== 'closed') {
      this.#state = { kind: 'broken', error };
      if (this.#repairs.isFirst)
        log.error('nothing can be written until the disk is well again', { error: error.message });
      this.#repairLater();
    } else if (this.#state.kind !== 'closed') {
      this.#state = { kind: 'halted', error };
      const stack = cause instanceof MeshError ? '' : (cause as Error).stack;
      log.error('consensus has stopped', { error: error.message, stack });
    }
    this.#giveUp(error);
  }

  /** Nothing that waits will come to pass here. */
  #giveUp(error: MeshError): void {
    this.#ticker.run(false);
    this.#writes.rejectAfter(0, error);
    this.#reads.rejectAll(error);
    this.#handOver?.fail(error);
    this.#lead(0);
    this.#group?.stopLeading();
  }

  #repairLater(): void {
    this.#repairs.later(() => {
      // A read may have failed while a write was under way.
      this.#pump = (this.#pump ?? Promise.resolve())
        .then(() => this.#repair())
        .finally(() => {
          this.#pump = null;
          if (this.#state.kind === 'running') this.#wake();
        });
    });
  }

  async #repair(): Promise<void> {
    try {
      const begunAnewAt = await this.#durable.repair();
      if (begunAnewAt !== null) this.#replaced(begunAnewAt);
      if (this.#state.kind !== 'broken') return;
      this.#beginAnew();
      this.#options.log.info('the disk takes writes again', { index: this.#raft.lastIndex });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** With the data as it is now; `applied` is how far it goes, if something took the place of state and log. */
  #goOn(applied: number | null): void {
    this.#applied = applied ?? this.#applied;
    if (this.#state.kind === 'running') this.#raft = this.#newRaft();
    this.#settle();
  }

  /** As after a crash: what was not durable was never acknowledged, and is gone. */
  #beginAnew(): void {
    this.#raft = this.#newRaft();
    this.#state = { kind: 'running' };
    if (this.#raft.isSoleVoter) this.#raft.campaign();
    this.#settle();
  }

  epoch = (): number => this.#life.now.epoch;
  isJustRecovered = (): boolean => this.#life.isOfRecovery && this.#raft.isSoleVoter;
  recover = (): Promise<{ epoch: number }> => this.#belonging.recover();

  async #idle(): Promise<void> {
    while (this.#pump !== null) await this.#pump;
  }

  async close(): Promise<void> {
    if (this.#state.kind === 'closed') return;
    const wasRunning = this.#state.kind === 'running';
    if (wasRunning) this.#group?.handOver(this.#raft);
    this.#state = { kind: 'closed' };
    this.#repairs.cancel();
    await this.#idle();
    if (wasRunning) await this.#work();
    this.#giveUp(unknownOutcome('the server is shutting down'));
    await this.#snapshotter.idle();
    await this.#durable.close(wasRunning ? this.#applied : null);
  }
}
