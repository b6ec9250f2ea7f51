import type { NodeKey } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';
import type { Random } from '../util/random.js';
import { randomInt } from '../util/random.js';
import { Awareness } from './awareness.js';
import { BroadcastQueue, retransmitLimit } from './broadcast-queue.js';
import type { GossipConfig } from './config.js';
import type { GossipEffect } from './effects.js';
import { Incarnation } from './incarnation.js';
import { Isolation } from './isolation.js';
import type { MemberInfo, MemberRecord } from './member.js';
import { isPresent } from './member.js';
import { MemberList } from './member-list.js';
import { encodeMessage, joinPacket, PACKET_BYTES_HARD_MAX, PACKET_HEAD_BYTES, packetsOf } from './message-codec.js';
import type { AliveMessage, GossipMessage } from './messages.js';
import { ProbeTable } from './probe-table.js';
import type { Suspicion } from './suspicion.js';

export interface GossipOptions {
  readonly key: NodeKey;
  readonly info: MemberInfo;
  /** What a `reserve` of the run before said; 0 the first time. */
  readonly incarnation: number;
  readonly random: Random;
  /** Members known from before, believed alive until they are found dead. */
  readonly known?: readonly MemberRecord[];
  readonly config?: Partial<GossipConfig>;
  readonly now: Millis;
}

/** What this member noted of another for itself: nobody else is told. */
interface Notes {
  rttMs: Millis | null;
  /** How many times it was unsteady lately, as of `unsteadyAt`. */
  unsteady: number;
  unsteadyAt: Millis;
  /** When it was last told what is held against it, or asked for what it knows. */
  toldAt: Millis;
}

/** Nothing is told to one member more often. */
const TELL_INTERVAL_MS = 1_000;

/** The memory of the machine. claims, probe and push-pull are the rules that change it; swim.ts is its face. */
export class GossipState {
  readonly key: NodeKey;
  readonly config: GossipConfig;
  readonly random: Random;
  readonly members: MemberList;
  readonly incarnation: Incarnation;
  readonly awareness = new Awareness();
  readonly isolation = new Isolation();
  readonly suspicions = new Map<NodeKey, Suspicion>();
  readonly probes = new ProbeTable();
  /** Those who are out for ever, and the proof of it as it came. */
  readonly tombstones = new Map<NodeKey, Uint8Array>();
  /** Members by somebody else's word, from whom nothing was ever heard here. */
  readonly candidates = new Set<NodeKey>();
  /** To be probed now, whosever turn it is. */
  readonly outOfTurn = new Set<NodeKey>();
  info: MemberInfo;
  leaving = false;
  /** Counts what was learned of others. */
  learned = 0;
  /** The next comparison with somebody, and how long after it the one after that comes. */
  syncAt: Millis;
  syncIntervalMs: Millis;
  /** The next round of spreading; Infinity without news. */
  gossipAt: Millis = Number.POSITIVE_INFINITY;

  readonly #news = new BroadcastQueue();
  /** News that fits no packet. */
  readonly #largeNews = new BroadcastQueue();
  readonly #notes = new Map<NodeKey, Notes>();
  #lastRoundAt: Millis = Number.NEGATIVE_INFINITY;
  #effects: GossipEffect[] = [];

  constructor(options: GossipOptions, config: GossipConfig) {
    this.key = options.key;
    this.config = config;
    this.random = options.random;
    this.info = options.info;
    this.syncIntervalMs = config.syncIntervalMinMs;
    this.syncAt = options.now + options.random.next() * config.syncIntervalMinMs;
    this.incarnation = new Incarnation(options.incarnation);
    this.members = new MemberList(options.key, options.random);
    this.emit({ type: 'reserve', incarnation: this.incarnation.reserved });
    this.members.put(this.self(options.now));
    for (const record of options.known ?? []) if (record.key !== this.key) this.members.put(record);
  }

  self(now: Millis): MemberRecord {
    const state = this.leaving ? 'left' : 'alive';
    return { key: this.key, state, incarnation: this.incarnation.current, info: this.info, since: now };
  }

  ownAlive(): AliveMessage {
    return { type: 'alive', key: this.key, incarnation: this.incarnation.current, info: this.info };
  }

  /** How many others take part. */
  get others(): number {
    return this.members.present - (this.leaving ? 0 : 1);
  }

  emit(effect: GossipEffect): void {
    if (effect.type === 'member') this.learned++;
    this.#effects.push(effect);
  }

  takeEffects(): GossipEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  get hasNews(): boolean {
    return this.#news.size > 0 || this.#largeNews.size > 0;
  }

  /** To be spread to all; replaces what was said before of `subject`. */
  broadcast(subject: string, message: GossipMessage, now: Millis): void {
    const bytes = encodeMessage(message);
    const isLarge = bytes.length > this.config.packetBytesMax - PACKET_HEAD_BYTES;
    (isLarge ? this.#largeNews : this.#news).add(subject, bytes);
    if (this.gossipAt === Number.POSITIVE_INFINITY)
      this.gossipAt = Math.max(now, this.#lastRoundAt + this.config.gossipIntervalMs);
  }

  withdraw(subject: string): void {
    this.#news.drop(subject);
    this.#largeNews.drop(subject);
  }

  /** Sends messages in one packet, with as much news as there is room for. */
  send(to: NodeKey, messages: readonly GossipMessage[]): void {
    const encoded = messages.map(encodeMessage);
    const used = encoded.reduce((sum, bytes) => sum + bytes.length, PACKET_HEAD_BYTES);
    const news = this.#news.take(this.config.packetBytesMax - used, this.#limit());
    this.emit({ type: 'send', to, data: joinPacket([...encoded, ...news]) });
  }

  /** One round of spreading. */
  spread(now: Millis): void {
    const { gossipFanout, gossipToTheDeadMs, packetsPerRoundMax, packetBytesMax, gossipIntervalMs } = this.config;
    const hears = (record: MemberRecord): boolean =>
      isPresent(record) || (record.state === 'dead' && now - record.since < gossipToTheDeadMs);
    for (const { key } of this.members.pick(gossipFanout, hears)) {
      const news = this.#news.take(packetsPerRoundMax * (packetBytesMax - PACKET_HEAD_BYTES), this.#limit());
      for (const data of packetsOf(news, packetBytesMax)) this.emit({ type: 'send', to: key, data });
      for (const large of this.#largeNews.take(PACKET_BYTES_HARD_MAX, this.#limit()))
        this.emit({ type: 'send', to: key, data: joinPacket([large]) });
    }
    this.#lastRoundAt = now;
    // Alone, news is kept for whoever comes: each time round it is looked whether somebody did.
    this.gossipAt = this.hasNews ? now + gossipIntervalMs : Number.POSITIVE_INFINITY;
  }

  #limit(): number {
    return retransmitLimit(this.config.retransmitFactor, this.members.present);
  }

  rttMs(key: NodeKey): Millis | null {
    return this.#notes.get(key)?.rttMs ?? null;
  }

  noteRtt(key: NodeKey, rttMs: Millis): void {
    const notes = this.#note(key);
    notes.rttMs = notes.rttMs === null ? rttMs : notes.rttMs + (rttMs - notes.rttMs) / 4;
  }

  /** How unsteady it has been lately: one less for each time that passed quietly. */
  unsteadiness(key: NodeKey, now: Millis): number {
    const notes = this.#notes.get(key);
    if (!notes) return 0;
    return Math.max(0, notes.unsteady - Math.floor((now - notes.unsteadyAt) / this.config.unsteadyMs));
  }

  noteUnsteady(key: NodeKey, now: Millis): void {
    const unsteady = this.unsteadiness(key, now) + 1;
    Object.assign(this.#note(key), { unsteady: Math.min(unsteady, 3), unsteadyAt: now });
  }

  /** Whether it may be told something now: once a second at most, so that no answer can be made to multiply. */
  mayTell(key: NodeKey, now: Millis): boolean {
    const notes = this.#note(key);
    if (now - notes.toldAt < TELL_INTERVAL_MS) return false;
    notes.toldAt = now;
    return true;
  }

  forget(key: NodeKey): void {
    this.members.remove(key);
    this.suspicions.delete(key);
    this.#notes.delete(key);
    this.candidates.delete(key);
    this.isolation.forget(key);
    this.#news.drop(key);
  }

  /** So that many which began together do not all act at once. */
  jitter(ms: Millis): Millis {
    return ms + randomInt(this.random, Math.max(1, Math.round(ms / 4)));
  }

  #note(key: NodeKey): Notes {
    const known = this.#notes.get(key);
    if (known) return known;
    const never = Number.NEGATIVE_INFINITY;
    const notes: Notes = { rttMs: null, unsteady: 0, unsteadyAt: never, toldAt: never };
    this.#notes.set(key, notes);
    return notes;
  }
}
