import type { NodeKey } from '../../structs/mesh.js';
import { assert } from '../../util/assert.js';
import type { MeshClock } from '../clock.js';
import type { DatagramChannel, Roster } from '../peers.js';
import { maySend } from './access.js';
import type { LinkKind } from './hello.js';
import type { LiveLink } from './live-link.js';
import { type Notices, RateLimit } from './notices.js';

/** The largest datagram: one command of raft that is very large. Gossip's are far smaller. */
const DATAGRAM_MAX_BYTES = 24 * 1024 * 1024;
/** The largest over a control link, or through a hub. */
const CONTROL_MAX_BYTES = 320 * 1024;
/** Above this the bulk link is better, so that heartbeats need not wait behind it. */
const BULK_FROM_BYTES = 64 * 1024;
const CHANNELS: readonly DatagramChannel[] = ['gossip', 'raft'];
const KEY_BYTES = 32;
/** The id of a datagram's frame: its channel, and how it comes. */
const WAY = {
  /** From the member at the other end, to this one. */
  direct: 0,
  /** To the member whose key stands first: pass it on. */
  onward: 1,
  /** From the member whose key stands first. */
  passed: 2,
} as const;
/** The way a member's datagrams came is the way back to it, for so long. */
const ROUTE_MS = 60_000;
const ROUTES_MAX = 8_192;
/** What a hub passes on for one member. */
const ONWARD = { burst: 1_000, perSecond: 500 };
/** Datagrams that wait for a link, where there is no hub. */
const WAITING_MAX = 8;
const WAIT_MS = 5_000;
/** Gossip opens links when there was no hub for so long: until then one is probably being dialled, and leads to everybody. */
const HUBLESS_MS = 4_000;

export interface RouterOptions {
  readonly own: NodeKey;
  readonly clock: MeshClock;
  readonly roster: Roster;
  readonly notices: Notices;
  up(key: NodeKey, kind: LinkKind): LiveLink | undefined;
  /** Linked servers, in no order. */
  hubs(): readonly LiveLink[];
  /** Whether this agent passes datagrams on. */
  isHub(): boolean;
  /** Opens a link because there is no other way. */
  open(key: NodeKey, kind: LinkKind, waitMs: number): Promise<LiveLink>;
}

type Listener = (from: NodeKey, data: Uint8Array) => void;

/** Small messages to any member: over its own link, or by one hop over a server that both are linked to. */
export class Router {
  readonly #options: RouterOptions;
  readonly #listeners = new Map<DatagramChannel, Listener[]>();
  readonly #routes = new Map<NodeKey, { hub: NodeKey; untilMs: number }>();
  readonly #waiting = new Map<NodeKey, number>();
  readonly #onward: RateLimit;
  #turn = 0;
  /** When a hub was missing for the first time since there was one. */
  #hublessSinceMs: number | undefined;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#onward = new RateLimit(options.clock, ONWARD);
  }

  listen(channel: DatagramChannel, listener: Listener): void {
    this.#listeners.set(channel, [...(this.#listeners.get(channel) ?? []), listener]);
  }

  send(to: NodeKey, channel: DatagramChannel, data: Uint8Array): void {
    const { own, up } = this.#options;
    assert(data.length <= DATAGRAM_MAX_BYTES, `a datagram of ${data.length} bytes`);
    if (to === own) {
      queueMicrotask(() => this.#deliver(own, channel, data));
      return;
    }
    if (data.length > BULK_FROM_BYTES) {
      const bulk = up(to, 'bulk');
      if (bulk) this.#hand(bulk, channel, WAY.direct, data);
      else this.#waitFor(to, 'bulk', channel, data.length > CONTROL_MAX_BYTES ? data : undefined);
      if (bulk || data.length > CONTROL_MAX_BYTES) return;
    }
    const direct = up(to, 'control');
    if (direct) {
      this.#hand(direct, channel, WAY.direct, data);
      return;
    }
    const hub = this.#hubTo(to);
    if (hub) hub.link.datagram(frameId(channel, WAY.onward), withKey(to, data));
    else if (channel === 'raft' || this.#isHubless()) this.#waitFor(to, 'control', channel, data);
  }

  #isHubless(): boolean {
    const now = this.#options.clock.monotonicMs();
    this.#hublessSinceMs ??= now;
    return now - this.#hublessSinceMs >= HUBLESS_MS;
  }

  /** Takes a datagram from a link; throws when the member at its other end broke the rules. */
  receive(live: LiveLink, id: number, data: Uint8Array): void {
    const channel = CHANNELS[id & 0xff];
    const way = id >>> 8;
    if (!channel) throw new Error('a datagram of no kind');
    if (way === WAY.passed) {
      this.#passed(live, channel, data);
      return;
    }
    if (!maySend(channel, live.claims.Role)) {
      throw new Error(`${live.claims.Name}, a ${live.claims.Role}, sends ${channel} datagrams`);
    }
    if (way === WAY.direct) this.#deliver(live.key, channel, data);
    else if (way === WAY.onward) this.#passOn(live, channel, data);
    else throw new Error('a datagram by no way');
  }

  #passOn(from: LiveLink, channel: DatagramChannel, data: Uint8Array): void {
    const { own, roster, isHub, up } = this.#options;
    const to = keyOf(data);
    const payload = data.subarray(KEY_BYTES);
    if (to === own) {
      this.#deliver(from.key, channel, payload);
      return;
    }
    if (!isHub() || roster.find(to)?.status !== 'admitted' || !this.#onward.take(from.key)) return;
    const next = up(to, 'control');
    // One hop and no more: who is not linked here is not looked for.
    if (next) this.#hand(next, channel, WAY.passed, withKey(from.key, payload));
  }

  #passed(hub: LiveLink, channel: DatagramChannel, data: Uint8Array): void {
    if (hub.claims.Role !== 'server') throw new Error(`${hub.claims.Name} is no server, and passes datagrams on`);
    const from = keyOf(data);
    const member = this.#options.roster.find(from);
    if (member?.status !== 'admitted' || !maySend(channel, member.role)) return;
    this.#routes.delete(from);
    this.#routes.set(from, { hub: hub.key, untilMs: this.#options.clock.monotonicMs() + ROUTE_MS });
    for (const oldest of this.#routes.keys()) {
      if (this.#routes.size <= ROUTES_MAX) break;
      this.#routes.delete(oldest);
    }
    try {
      this.#deliver(from, channel, data.subarray(KEY_BYTES));
    } catch (error) {
      // The hub is not to blame for what it carries.
      this.#options.notices.say('warn', from, 'a datagram was not understood', (error as Error).message);
    }
  }

  #deliver(from: NodeKey, channel: DatagramChannel, data: Uint8Array): void {
    for (const listener of this.#listeners.get(channel) ?? []) listener(from, data);
  }

  #hand(link: LiveLink, channel: DatagramChannel, way: number, data: Uint8Array): void {
    if (channel === 'raft') link.usedAtMs = this.#options.clock.monotonicMs();
    link.link.datagram(frameId(channel, way), data);
  }

  #hubTo(to: NodeKey): LiveLink | undefined {
    const hubs = this.#options.hubs();
    if (hubs.length > 0) this.#hublessSinceMs = undefined;
    const route = this.#routes.get(to);
    if (route && route.untilMs > this.#options.clock.monotonicMs()) {
      const known = hubs.find(({ key }) => key === route.hub);
      if (known) return known;
    }
    // Not every server is linked to everybody: each datagram tries another one, until one of them answers.
    return hubs[this.#turn++ % Math.max(1, hubs.length)];
  }

  /** Opens a link, and sends by it what may wait for it. */
  #waitFor(to: NodeKey, kind: LinkKind, channel: DatagramChannel, data: Uint8Array | undefined): void {
    const waiting = this.#waiting.get(to) ?? 0;
    if (waiting >= WAITING_MAX || this.#options.roster.find(to)?.status !== 'admitted') return;
    this.#waiting.set(to, waiting + 1);
    const done = (): void => {
      const left = (this.#waiting.get(to) ?? 1) - 1;
      if (left === 0) this.#waiting.delete(to);
      else this.#waiting.set(to, left);
    };
    this.#options.open(to, kind, WAIT_MS).then(
      (link) => {
        done();
        if (data) this.#hand(link, channel, WAY.direct, data);
      },
      // A datagram may be lost.
      done,
    );
  }
}

function frameId(channel: DatagramChannel, way: number): number {
  return CHANNELS.indexOf(channel) | (way << 8);
}

function withKey(key: NodeKey, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(KEY_BYTES + data.length);
  bytes.set(Buffer.from(key, 'hex'));
  bytes.set(data, KEY_BYTES);
  return bytes;
}

function keyOf(data: Uint8Array): NodeKey {
  if (data.length < KEY_BYTES) throw new Error('a datagram to nobody');
  return Buffer.from(data.buffer, data.byteOffset, KEY_BYTES).toString('hex');
}
