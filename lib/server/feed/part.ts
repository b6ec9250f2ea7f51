import type { Cores, EntryChain, FeedStats, FollowerState } from '../../storage/index.js';
import { dropFeed, FeedFollower, FeedPublisher, feedIn } from '../../storage/index.js';
import type { FeedAddress } from '../../structs/rpc-feed.js';
import { byteStream } from '../../transport/byte-stream.js';
import type { RpcHandlers, RpcStreamHandlers } from '../../transport/rpc.js';
import type { Log } from '../../util/log.js';
import type { RunningConsensus } from '../consensus.js';
import { Applier } from '../consensus-apply.js';
import { noLeader } from '../consensus-errors.js';
import { PendingWrites } from '../consensus-pending.js';
import type { HandedOver, Replica, ServerPeers, StateMachine } from '../ports.js';
import type { Timers } from '../timers.js';
import { ReplicaClock } from './clock.js';
import { FeedFinder, type Heard } from './follow.js';

/** How often it is looked who leads, and whether connections stand. */
const LOOK_MS = 2_000;
/** The state was handed over: so long the group has to take this server in. */
const JOINING_MS = 35_000;
/** A member that has heard no leader for so long asks whether it is one still. */
const SILENCE_MS = 5_000;
const ASK_MS = 3_000;
/** Nobody has asked for the feed for so long: it is published no more, for each command would be written twice for nothing. */
const UNASKED_MS = 60_000;

export interface FeedPartOptions {
  /** Its own folder. */
  readonly folder: string;
  /** This server's id. */
  readonly id: string;
  readonly fsm: StateMachine;
  readonly chain: EntryChain;
  /** The cores of this process; opened when they are first needed. */
  readonly cores: () => Promise<Cores>;
  /** Puts them aside as damaged; the next call of cores() opens new ones. */
  readonly condemnCores: () => Promise<void>;
  readonly peers: Pick<ServerPeers, 'serverCaller'>;
  /** The servers of the mesh. */
  readonly servers: () => readonly string[];
  readonly timers: Timers;
  /** Milliseconds that never go back. */
  readonly now: () => number;
  readonly log: Log;
  readonly limits?: { readonly lookMs?: number; readonly silenceMs?: number; readonly unaskedMs?: number };
}

/** What an operator may want to know. */
export interface FeedPartStats {
  readonly published: FeedStats | null;
  readonly following: FollowerState | null;
}

/**
 * A server's part in the feed. In the group it publishes what it applies, from the first time that somebody asks for it. Outside
 * of the group it keeps its state by the feed of whoever leads, until the group takes it in.
 */
export class FeedPart implements Replica {
  readonly handlers: RpcHandlers;
  readonly streamHandlers: RpcStreamHandlers;
  readonly #options: FeedPartOptions;
  #consensus: RunningConsensus | null = null;
  #publisher: Promise<FeedPublisher> | null = null;
  #published: FeedPublisher | null = null;
  #follower: FeedFollower | null = null;
  #finder: FeedFinder | null = null;
  readonly #clock: ReplicaClock;
  #handedOverMs: number | null = null;
  /** When somebody wanted the own feed last. */
  #askedMs = 0;
  /** The cores were begun anew once: what cannot be read after that is not their fault. */
  #hasCondemned = false;
  #cancelLook = (): void => {};
  #closed = false;

  constructor(options: FeedPartOptions) {
    this.#options = options;
    const { now, timers } = options;
    this.#clock = new ReplicaClock({ now, timers, applied: () => this.#follower?.meta?.index ?? 0 });
    this.handlers = {
      'Feed.Describe': async ({ Follow }) => ({
        // What a server outside has heard may be hearsay of hearsay.
        Leader: this.#consensus?.isOutside === false ? this.#consensus.leader : '',
        Index: options.chain.index,
        Members: this.#members,
        Feed: this.#address(Follow),
      }),
      'Feed.ReadIndex': async () => {
        if (this.#consensus?.isLeader !== true) throw noLeader('this server does not lead');
        return { Index: await this.#consensus.readIndex() };
      },
    };
    this.streamHandlers = {
      'Feed.Replicate': (_, messages) => {
        options.cores().then(
          (cores) => cores.replicate(byteStream(messages), 'answers'),
          (error: Error) => messages.destroy(error),
        );
      },
    };
  }

  /** Begins; before consensus does, so that nothing it applies is missed. */
  async start(consensus: RunningConsensus): Promise<void> {
    const { folder, cores, now, log } = this.#options;
    const feed = consensus.isOutside ? 'none' : feedIn(folder);
    // It published before: whoever follows goes on where it ended. What nobody can go on with begins when it is asked for.
    this.#askedMs = now();
    if (feed === 'sound') await this.#publish();
    if (feed === 'stale') {
      const dropped = cores().then((opened) => dropFeed(folder, opened));
      await dropped.catch((error: Error) =>
        log.warn('the former state feed still takes its place', { error: error.message }),
      );
    }
    // Nobody may ask for it before that is done.
    this.#consensus = consensus;
    this.#lookAgain(0);
  }

  stats(): FeedPartStats {
    return { published: this.#published?.stats() ?? null, following: this.#follower?.state ?? null };
  }

  get leader(): string {
    const { limits } = this.#options;
    return this.#clock.silentMs() < (limits?.silenceMs ?? SILENCE_MS) ? (this.#finder?.leader ?? '') : '';
  }

  lastContactMs(): number {
    return this.#clock.lastContactMs();
  }

  async readIndex(): Promise<number> {
    const { leader } = this;
    if (leader === '') throw noLeader('no server has said that it leads');
    const { Index } = await this.#options.peers.serverCaller(leader).call('Feed.ReadIndex', {}, { timeoutMs: ASK_MS });
    await this.#clock.reaches(Index);
    return Index;
  }

  #address(follow: boolean): FeedAddress | null {
    if (this.#consensus === null || this.#consensus.isOutside || this.#closed) return null;
    if (follow) {
      this.#askedMs = this.#options.now();
      if (this.#publisher === null) void this.#publish();
    }
    return this.#published?.address ?? null;
  }

  /** Never rejects: nothing but the feed depends on it. */
  async #publish(): Promise<void> {
    const { folder, id: node, chain, fsm, cores, log } = this.#options;
    const open = async (): Promise<FeedPublisher> => {
      const capture = () => ({ meta: chain.meta, stream: fsm.snapshot() });
      return FeedPublisher.open({ folder, cores: await cores(), node, chain, capture, log });
    };
    this.#publisher = open();
    try {
      this.#published = await this.#publisher;
      log.info('publishes what is decided', { index: chain.index });
    } catch (error) {
      this.#publisher = null;
      log.error('the state feed could not be opened', { error: (error as Error).message });
    }
  }

  #lookAgain(ms: number): void {
    if (this.#closed) return;
    this.#cancelLook = this.#options.timers.setTimeout(ms, () => {
      this.#look()
        .catch((error: Error) => this.#options.log.warn('the feed cannot be followed', { error: error.message }))
        .finally(() => this.#lookAgain(this.#options.limits?.lookMs ?? LOOK_MS));
    });
  }

  async #look(): Promise<void> {
    // The way in is over: the next one begins when it is out again.
    if (this.#consensus?.isOutside === false) this.#handedOverMs = null;
    if (!this.#mayFollow) {
      this.#follower?.follow(null);
      this.#finder?.stop();
      await this.#askIfExpelled();
      await this.#endUnasked();
      return;
    }
    await this.#condemnUnreadable();
    const finder = await this.#openFinder();
    await finder.look(() => this.#mayFollow);
  }

  /** What is here of the feed cannot be read: all of it is fetched again. */
  async #condemnUnreadable(): Promise<void> {
    const { state } = this.#follower ?? {};
    if (state?.kind !== 'failed' || !state.isOwn || this.#hasCondemned) return;
    const { log, condemnCores } = this.#options;
    log.error('what is here of the state feed is damaged: it is put aside and fetched again', { error: state.why });
    this.#hasCondemned = true;
    this.#finder?.stop();
    await this.#follower?.close();
    await this.#published?.close();
    [this.#finder, this.#follower, this.#published, this.#publisher] = [null, null, null, null];
    await condemnCores();
  }

  get #members(): string[] {
    const { voters, learners } = this.#options.chain.meta.membership;
    return [...voters, ...learners];
  }

  /** Who is put out of the group is told nothing any more, not even that. */
  async #askIfExpelled(): Promise<void> {
    const consensus = this.#consensus;
    if (consensus === null || consensus.isOutside || consensus.isLeader || this.#closed) return;
    const { id, peers, servers, log, limits } = this.#options;
    if (consensus.lastContactMs() < (limits?.silenceMs ?? SILENCE_MS) || this.#members.length === 0) return;
    for (const other of servers()) {
      if (other === id) continue;
      const said = await peers
        .serverCaller(other)
        .call('Feed.Describe', { Follow: false }, { timeoutMs: ASK_MS })
        .catch(() => null);
      // Only who leads knows, and nobody is put out of a group whose log is shorter than one's own.
      if (said?.Leader !== other || said.Index < consensus.lastIndex() || said.Members.includes(id)) continue;
      log.info('the group has gone on without this server', { leader: other });
      consensus.expel();
      return;
    }
  }

  async #endUnasked(): Promise<void> {
    const { now, limits, folder, cores, log } = this.#options;
    if (this.#published === null || now() - this.#askedMs < (limits?.unaskedMs ?? UNASKED_MS)) return;
    const published = this.#published;
    this.#published = null;
    await published.close();
    await dropFeed(folder, await cores());
    this.#publisher = null;
    log.info('publishes no more: nobody follows', {});
  }

  /** Outside of the group, and not on the way into it. */
  get #mayFollow(): boolean {
    const since = this.#handedOverMs === null ? Number.POSITIVE_INFINITY : this.#options.now() - this.#handedOverMs;
    return !this.#closed && this.#consensus?.isOutside === true && since > JOINING_MS;
  }

  async #openFinder(): Promise<FeedFinder> {
    if (this.#finder !== null) return this.#finder;
    const { folder, id, chain, fsm, peers, servers, log } = this.#options;
    const cores = await this.#options.cores();
    const applier = new Applier({ fsm, writes: new PendingWrites(), log });
    this.#follower = new FeedFollower({
      folder,
      cores,
      chain,
      log,
      target: {
        apply: (entry) => applier.apply(entry),
        restore: (stream, meta) => fsm.restore(stream, meta.index),
      },
    });
    const { now } = this.#options;
    const onHeard = (heard: Heard): void => this.#clock.heard(heard);
    this.#finder = new FeedFinder({ id, cores, follower: this.#follower, peers, servers, now, onHeard, log });
    return this.#finder;
  }

  async handOver(): Promise<HandedOver | null> {
    this.#handedOverMs = this.#options.now();
    await this.#follower?.stop();
    const meta = this.#follower?.meta ?? null;
    return meta === null ? null : { meta, stream: this.#options.fsm.snapshot()() };
  }

  /** Publishes what waits. Cores stay open: whoever opened them closes them. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelLook();
    this.#finder?.stop();
    await this.#follower?.close();
    const publisher = await this.#publisher?.catch(() => null);
    await publisher?.close();
  }
}
