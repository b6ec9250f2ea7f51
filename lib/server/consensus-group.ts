import type { Membership, Message, Raft, SnapshotMessage } from '../raft/index.js';
import { COMMANDS_VERSION_FIRST } from '../state/command-versions.js';
import { COMMANDS_VERSION } from '../state/commands.js';
import type { Instance } from '../storage/index.js';
import { MeshError } from '../structs/errors.js';
import type { Log } from '../util/log.js';
import { Admissions } from './consensus-admission.js';
import { GroupLink } from './consensus-link.js';
import { CommitNews } from './consensus-news.js';
import type { Snapshotter } from './consensus-snapshots.js';
import type { Stores } from './consensus-stores.js';
import { SnapshotTransfer } from './consensus-transfer.js';
import type { Follower, RaftTransport } from './ports.js';
import type { Life } from './raft-packet.js';
import type { Timers } from './timers.js';

/** What the host of raft lets its dealings with others know and do. */
export interface GroupHost {
  /** The machine in use; null while it must not be told anything. */
  raft(): Raft | null;
  /** Raft may be told nothing, but the group has something to say. */
  called(): void;
  life(): Instance;
  tickMs(): number;
  /** Raft was told something. */
  stepped(from: string, tickMs: number): void;
  failed(error: unknown): void;
  /** The leader has admitted this server's data. */
  admitted(epoch: number): void;
  /** The group was recovered without this server. */
  abandoned(epoch: number): void;
  /** Somebody has seen newer data of this server than what is here. */
  outdated(): void;
}

export interface GroupOptions {
  readonly id: string;
  readonly transport: RaftTransport;
  readonly stores: Stores;
  readonly snapshotter: Snapshotter;
  readonly timers: Timers;
  readonly now: () => number;
  readonly log: Log;
  readonly host: GroupHost;
}

/** One server's dealings with the others of its group. */
export class GroupSide {
  readonly #options: GroupOptions;
  readonly #link: GroupLink;
  readonly #news: CommitNews;
  readonly #transfer: SnapshotTransfer;
  readonly #admissions = new Admissions();
  readonly #openedMs: number;

  constructor(options: GroupOptions) {
    this.#options = options;
    const { id, transport, stores, snapshotter, timers, now, log, host } = options;
    this.#openedMs = now();
    this.#link = new GroupLink({
      id,
      transport,
      now,
      log,
      self: () => host.life(),
      tickMs: () => host.tickMs(),
      admits: (to, life) => this.#isMember(to) && this.#admissions.isAdmitted(to, life),
      events: {
        onMessages: (from, messages, tickMs) => this.#step(from, messages, tickMs),
        onStranger: (from, life) => this.#meetStranger(from, life),
        onAdmitted: (epoch) => host.admitted(epoch),
        onAbandoned: (epoch) => host.abandoned(epoch),
        onOutdated: () => host.outdated(),
      },
    });
    this.#news = new CommitNews({ timers, send: (messages) => this.#link.send(messages) });
    this.#transfer = new SnapshotTransfer({
      stores,
      snapshotter,
      transport,
      link: this.#link,
      log,
      committed: () => {
        const raft = host.raft();
        return raft && { index: raft.committed, term: raft.term };
      },
      onArrived: (message) => this.#step(message.from, [message], 0, { withSnapshot: true }),
      onSent: (to, arrived) => {
        host.raft()?.reportSnapshot(to, arrived);
        host.stepped('', 0);
      },
    });
  }

  #isMember(id: string): boolean {
    const { voters = [], learners = [] } = this.#options.host.raft()?.membership ?? {};
    return voters.includes(id) || learners.includes(id);
  }

  /** Sends what raft wants to be sent; a snapshot's bytes go with its message. */
  send(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    const plain = messages.filter(({ type }) => type !== 'snapshot');
    this.#news.send(plain);
    if (plain.length === messages.length) return;
    for (const message of messages) if (message.type === 'snapshot') this.#transfer.send(message as SnapshotMessage);
  }

  #step(from: string, messages: readonly Message[], tickMs: number, options = { withSnapshot: false }): void {
    const { host } = this.#options;
    const raft = host.raft();
    if (raft === null) {
      host.called();
      return;
    }
    try {
      for (const message of messages) {
        // Without its bytes it would be installed from nothing.
        if (message.type !== 'snapshot' || options.withSnapshot) raft.step(message);
      }
    } catch (error) {
      host.failed(error);
      return;
    }
    host.stepped(from, tickMs);
  }

  /** Data that may have forgotten votes and entries is counted on by nobody: its server leaves the group, and may come again. */
  #meetStranger(from: string, life: Life): void {
    const { host, log } = this.#options;
    const raft = host.raft();
    if (raft?.role !== 'leader') return;
    if (this.#admissions.meet(from, life, this.#isMember(from))) return;
    if (!raft.proposeChange({ type: 'remove', id: from }).ok) return;
    this.#admissions.replaced(from, life);
    log.warn('a server’s data was restored, copied or lost: it leaves the group until it is added again', { from });
    host.stepped('', 0);
  }

  /** The server becomes a member, and was none. */
  expect(id: string): void {
    if (!this.#isMember(id)) this.#admissions.expect(id);
  }

  /** Whether every member is known to apply commands of this version. */
  knowAll(version: number, { voters, learners }: Membership): boolean {
    const knows = (id: string): boolean => id === this.#options.id || (this.#link.commandsOf(id) ?? 0) >= version;
    return voters.every(knows) && learners.every(knows);
  }

  /** Why a command that needs this version cannot be written yet: some member could not apply it. Null when all can. */
  refusalOf(version: number, { voters, learners }: Membership): MeshError | null {
    if (version <= COMMANDS_VERSION_FIRST) return null;
    for (const id of [...voters, ...learners]) {
      const known = id === this.#options.id ? COMMANDS_VERSION : this.#link.commandsOf(id);
      if (known !== null && known >= version) continue;
      const what = known === null ? 'has not been heard since' : `knows those up to ${known}`;
      const text = `this needs commands of version ${version}, and server ${id.slice(0, 8)} of the group ${what}: update meshnomad there, or take that server out of the group, and try again`;
      return new MeshError('E_NOT_SUPPORTED', text);
    }
    return null;
  }

  followers(raft: Raft): Follower[] {
    const { id: self, now } = this.#options;
    if (raft.role !== 'leader') return [];
    const others = raft.followers().filter(({ id }) => id !== self);
    return others.map(({ id, match }) => ({
      id,
      voter: raft.membership.voters.includes(id),
      matchIndex: match,
      lastContactMs: now() - (this.#link.heardMs(id) ?? this.#openedMs),
      rttMs: this.#link.rttMs(id),
      receivingSnapshot: this.#transfer.isSendingTo(id),
    }));
  }

  /** The longest usual round trip to a voter; 0 when none is known. */
  slowestRttMs(voters: readonly string[]): number {
    return Math.max(0, ...voters.map((id) => this.#link.rttMs(id) ?? 0));
  }

  /** Asks the member with the longest log to take over: it campaigns at once instead of waiting for this server's silence. */
  handOver(raft: Raft): void {
    if (raft.role !== 'leader') return;
    const { id: self } = this.#options;
    const able = raft.followers().filter(({ id, active }) => {
      return id !== self && active && raft.membership.voters.includes(id);
    });
    const best = able.reduce<(typeof able)[number] | null>((a, b) => (a !== null && a.match >= b.match ? a : b), null);
    if (best !== null) this.#link.send([{ type: 'timeoutNow', from: self, to: best.id, term: raft.term }]);
  }

  /** This server leads no more. */
  stopLeading(): void {
    this.#news.flush();
    this.#admissions.clear();
    this.#transfer.stop();
  }
}
