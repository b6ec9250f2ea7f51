import type { GossipEffect, MemberInfo, MemberRecord, MemberState, RaftHint } from '../gossip/index.js';
import { ADDRESSES_MAX, checkInfo, Gossip, isPresent } from '../gossip/index.js';
import type { NodeKey, Tombstone } from '../structs/mesh.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import type { MeshClock } from './clock.js';
import type { MeshHome } from './mesh-home.js';
import type { OwnCertificate, Peers, Roster } from './peers.js';

// The gossip machine put to work: datagrams over the links, timers, its incarnation on disk; addresses go to the links,
// tombstones to the roster and back.

/** How often it is looked whether this agent's own addresses changed. */
const ADDRESSES_INTERVAL_MS = 10_000;
/** By so much a timer must be too early to be put off. */
const LATE_ENOUGH_MS = 20;
/** A good-bye is spread for at most so long. */
const LEAVE_LIMIT_MS = 1_500;
const LEAVE_POLL_MS = 50;

export interface MeshGossipOptions {
  readonly peers: Peers;
  readonly roster: Roster;
  readonly certificate: () => OwnCertificate;
  readonly home: MeshHome;
  readonly clock: MeshClock;
  readonly random: Random;
  readonly log: Log;
  /** Small words for others: version and the like. */
  readonly meta: Readonly<Record<string, string>>;
}

/** What others are told of; never about this agent itself. */
export type GossipChange = Extract<GossipEffect, { type: 'member' | 'forgotten' | 'isolated' }>;

/** Who is there now, as this agent sees it: a proposal, not the servers' word. */
export interface MeshGossip {
  /** Begins; call it before or after `peers.start()`. Throws E_STORAGE when the incarnation cannot be kept. */
  start(): void;
  health(key: NodeKey): MemberState | 'unknown';
  /** What a member says of itself, and what is believed of it. */
  member(key: NodeKey): MemberRecord | undefined;
  /** All that are known, this agent included. */
  members(): readonly MemberRecord[];
  /** Smoothed round trip of the probes, whichever way they go; null before the first. */
  rttMs(key: NodeKey): number | null;
  /** Nobody answers: this agent's own link is down. */
  readonly isolated: boolean;
  /** Says something else of this agent from now on. */
  tell(about: { raft?: RaftHint; meta?: Readonly<Record<string, string>> }): void;
  /** The returned function ends it. */
  onChange(listener: (change: GossipChange) => void): () => void;
  /** Says good-bye to all, so that nobody takes the silence for a failure; then close(). */
  leave(): Promise<void>;
  close(): void;
}

/** Where this agent may be reached, and how. */
type Place = Pick<MemberInfo, 'addresses' | 'nat' | 'relays'>;

/** Nothing happens before start(). */
export function createMeshGossip(options: MeshGossipOptions): MeshGossip {
  return new RunningGossip(options);
}

class RunningGossip implements MeshGossip {
  readonly #options: MeshGossipOptions;
  readonly #listeners = new Set<(change: GossipChange) => void>();
  #gossip: Gossip | undefined;
  #raft: RaftHint = { state: 'none', term: 0 };
  #meta: Readonly<Record<string, string>>;
  #place: Place | undefined;
  #told = '';
  #closed = false;
  #cancelTick = (): void => {};
  #cancelLook = (): void => {};
  #armedAt = Number.POSITIVE_INFINITY;

  constructor(options: MeshGossipOptions) {
    this.#options = options;
    this.#meta = options.meta;
  }

  start(): void {
    const { peers, roster, home, clock, random } = this.#options;
    const kept = home.read('incarnation') as { Reserved?: unknown } | undefined;
    const info = this.#info();
    this.#told = JSON.stringify(info);
    this.#gossip = new Gossip({
      key: peers.key,
      info,
      incarnation: Number.isSafeInteger(kept?.Reserved) ? (kept?.Reserved as number) : 0,
      random,
      now: clock.monotonicMs(),
    });
    this.#flush();
    peers.onDatagram('gossip', (from, data) => this.#step({ type: 'datagram', from, data }));
    peers.onLink((peer, up) => {
      if (up) this.#step({ type: 'linked', key: peer.key });
      // A first link often brings the first news of the own address.
      if (up && peers.linked().length === 1) this.#lookAtSelf();
    });
    roster.onChange(() => this.#followRoster());
    this.#followRoster();
    for (const { key } of peers.linked()) this.#step({ type: 'linked', key });
    this.#lookLater();
  }

  health(key: NodeKey): MemberState | 'unknown' {
    return this.#gossip?.member(key)?.state ?? 'unknown';
  }

  member(key: NodeKey): MemberRecord | undefined {
    return this.#gossip?.member(key);
  }

  members(): readonly MemberRecord[] {
    return [...(this.#gossip?.members() ?? [])];
  }

  rttMs(key: NodeKey): number | null {
    return this.#gossip?.rttMs(key) ?? null;
  }

  get isolated(): boolean {
    return this.#gossip?.isolated ?? false;
  }

  tell(about: { raft?: RaftHint; meta?: Readonly<Record<string, string>> }): void {
    this.#raft = about.raft ?? this.#raft;
    this.#meta = about.meta ?? this.#meta;
    this.#tellSelf();
  }

  onChange(listener: (change: GossipChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async leave(): Promise<void> {
    const { clock } = this.#options;
    this.#step({ type: 'leave' });
    const end = clock.monotonicMs() + LEAVE_LIMIT_MS;
    const alone = (): boolean => ![...(this.#gossip?.members() ?? [])].some(isPresent);
    while (this.#gossip?.hasNews && !alone() && !this.#closed && clock.monotonicMs() < end) {
      await new Promise<void>((resolve) => clock.setTimeout(LEAVE_POLL_MS, resolve));
    }
    this.close();
  }

  close(): void {
    this.#closed = true;
    this.#cancelTick();
    this.#cancelLook();
    this.#listeners.clear();
  }

  #step(event: Parameters<Gossip['step']>[0]): void {
    if (this.#closed || !this.#gossip) return;
    this.#gossip.step(event, this.#options.clock.monotonicMs());
    this.#flush();
  }

  #tick(): void {
    this.#armedAt = Number.POSITIVE_INFINITY;
    if (this.#closed || !this.#gossip) return;
    const now = this.#options.clock.monotonicMs();
    // The timer may stand for something that has been put off a little since.
    if (now >= this.#gossip.dueAt(now)) this.#gossip.tick(now);
    this.#flush();
  }

  #flush(): void {
    const gossip = this.#gossip;
    if (!gossip) return;
    // Doing one thing may make the next: a tombstone that is taken is passed on.
    for (let effects = gossip.ready(); effects.length > 0; effects = gossip.ready()) {
      for (const effect of effects) this.#do(effect);
    }
    const { clock } = this.#options;
    const now = clock.monotonicMs();
    const due = gossip.dueAt(now);
    // To put a timer off costs less than to be woken by one that stands for nothing.
    const isSoonEnough = due >= this.#armedAt && due - this.#armedAt < LATE_ENOUGH_MS;
    if (isSoonEnough || this.#closed) return;
    this.#cancelTick();
    this.#armedAt = due;
    this.#cancelTick = clock.setTimeout(Math.max(0, due - now), () => this.#tick());
  }

  #do(effect: GossipEffect): void {
    const { peers, home } = this.#options;
    switch (effect.type) {
      case 'send':
        peers.send(effect.to, 'gossip', effect.data);
        return;
      case 'reserve':
        home.write('incarnation', { Reserved: effect.incarnation });
        return;
      case 'tombstone':
        this.#bury(effect.key, effect.bytes);
        return;
      case 'member':
        this.#learn(effect);
        this.#announce(effect);
        return;
      case 'forgotten':
      case 'isolated':
        this.#announce(effect);
        return;
    }
  }

  #learn({ record, before }: Extract<GossipEffect, { type: 'member' }>): void {
    const { addresses } = record.info;
    if (record.state === 'alive' && addresses.length > 0 && addresses !== before?.info.addresses)
      this.#options.peers.learn(record.key, addresses);
  }

  #announce(change: GossipChange): void {
    this.#say(change);
    for (const listener of [...this.#listeners]) listener(change);
  }

  #say(change: GossipChange): void {
    const { log } = this.#options;
    if (change.type === 'isolated') {
      if (change.isolated) log.warn('nobody answers: the network of this machine is probably down');
      else log.info('others answer again');
      return;
    }
    if (change.type === 'forgotten') return;
    const { record, before } = change;
    if (record.state === before?.state) return;
    const fields = { name: record.info.name, key: record.key };
    if (record.state === 'dead') log.warn('a member is gone', fields);
    else if (record.state === 'left') log.info('a member said good-bye', fields);
    else if (record.state === 'suspect') log.debug('a member does not answer', fields);
    else if (before?.state === 'suspect') log.debug('a member answers again', fields);
    else log.info('a member is there', fields);
  }

  /** A tombstone that somebody passed on: into the roster if it is genuine, and only then into the gossip. */
  #bury(key: NodeKey, bytes: Uint8Array): void {
    const { roster, log } = this.#options;
    const tombstone = parseTombstone(bytes);
    if (tombstone?.Key !== key || !roster.bury([tombstone])) {
      log.debug('a tombstone that somebody passed on does not count', { key });
      return;
    }
    // What counts from now on is the roster's copy, which may be another one for the same key.
    this.#followRoster();
  }

  /** Takes over who belongs to the mesh and who is out. */
  #followRoster(): void {
    const { roster, peers } = this.#options;
    const gossip = this.#gossip;
    if (!gossip || this.#closed) return;
    const out = new Map(roster.tombstones().map((tombstone) => [tombstone.Key, tombstone]));
    const known = new Set(gossip.buried());
    for (const key of known) if (!out.has(key)) this.#step({ type: 'exhume', key });
    for (const [key, tombstone] of out) {
      if (!known.has(key)) this.#step({ type: 'bury', key, bytes: tombstoneBytes(tombstone) });
    }
    // Operators ask and go; they do not gossip.
    const keys = roster.members().filter((key) => key !== peers.key && roster.find(key)?.role !== 'operator');
    this.#step({ type: 'join', keys });
  }

  #lookLater(): void {
    this.#cancelLook = this.#options.clock.setTimeout(ADDRESSES_INTERVAL_MS, () => {
      if (this.#closed) return;
      this.#lookAtSelf();
      this.#lookLater();
    });
  }

  /** Looks where this agent may be reached; that asks the system, so it is not done for every word. */
  #lookAtSelf(): void {
    if (this.#closed || !this.#gossip) return;
    this.#place = this.#lookAround();
    this.#tellSelf();
  }

  #lookAround(): Place {
    const { addresses, nat, relays } = this.#options.peers.place();
    return { addresses: addresses.slice(0, ADDRESSES_MAX), nat, relays };
  }

  /** Tells the others when something of this agent has changed. */
  #tellSelf(): void {
    if (this.#closed || !this.#gossip) return;
    const info = this.#info();
    const text = JSON.stringify(info);
    if (text === this.#told) return;
    this.#told = text;
    this.#step({ type: 'update', info });
  }

  #info(): MemberInfo {
    const { certificate, log } = this.#options;
    const { Name, Role } = certificate().claims;
    this.#place ??= this.#lookAround();
    const info: MemberInfo = { name: Name, role: Role, ...this.#place, raft: this.#raft, meta: this.#meta };
    const checked = checkInfo(info);
    if (checked.ok) return info;
    log.warn('what this agent says of itself is too long for the gossip: left out are its meta words', {
      why: checked.error,
    });
    return { ...info, name: Name.slice(0, 128), meta: {} };
  }
}

function tombstoneBytes(tombstone: Tombstone): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(tombstone));
}

function parseTombstone(bytes: Uint8Array): Tombstone | undefined {
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as Tombstone | null;
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
