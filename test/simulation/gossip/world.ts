import type { GossipConfig, MemberInfo, MemberRecord, MemberState } from '../../../lib/gossip/index.js';
import { Gossip } from '../../../lib/gossip/index.js';
import { Heap } from '../../../lib/util/heap.js';
import type { Random } from '../../../lib/util/random.js';
import { randomInt, seededRandom } from '../../../lib/util/random.js';

/** What the network does to datagrams. */
export interface Weather {
  latencyMinMs: number;
  latencyMaxMs: number;
  /** Shares of all datagrams. */
  loss: number;
  duplication: number;
}

export const FAIR: Weather = { latencyMinMs: 0.5, latencyMaxMs: 5, loss: 0, duplication: 0 };

interface Event {
  at: number;
  order: number;
  run: () => void;
}

/** One change of belief: at `observer`, about `subject`. */
export interface Sighting {
  at: number;
  observer: SimNode;
  subject: SimNode;
  state: MemberState;
  before: MemberState | null;
}

/** One agent's gossip, its disk, and whether it runs. */
export class SimNode {
  readonly index: number;
  readonly key: string;
  /** What survives a crash. */
  reserved = 0;
  running = false;
  /** SIGSTOP: datagrams wait, timers do not fire. */
  stalledUntil = 0;
  sentBytes = 0;
  sentPackets = 0;
  isolated = false;
  tombstones: string[] = [];
  gossip!: Gossip;
  inbox: { from: string; data: Uint8Array }[] = [];
  wakeAt = Number.POSITIVE_INFINITY;
  /** Counts the runs: what was meant for an earlier one is dropped. */
  life = 0;

  constructor(index: number, key: string) {
    this.index = index;
    this.key = key;
  }

  info(): MemberInfo {
    return infoOf(this.index);
  }
}

/** To how many of the members that it knows by their keys a machine is linked. */
const LINKS = 3;

/** A socket's buffer: a stalled process loses what does not fit. */
const INBOX_MAX = 2_000;

export function infoOf(index: number, meta: Record<string, string> = {}): MemberInfo {
  return {
    name: `node-${index}`,
    role: 'client',
    addresses: [{ host: `10.0.${index >> 8}.${index & 255}`, port: 4747 }],
    nat: 'open',
    relays: false,
    raft: { state: 'none', term: 0 },
    meta,
  };
}

/** Members, a network and a clock in one process: the same seed gives the same run, to the last datagram. */
export class GossipWorld {
  readonly random: Random;
  readonly nodes: SimNode[] = [];
  readonly sightings: Sighting[] = [];
  weather: Weather;
  /** Whether datagrams from a to b are lost for now. */
  cut: (from: SimNode, to: SimNode) => boolean = () => false;
  now = 0;
  readonly #byKey = new Map<string, SimNode>();
  readonly #events = new Heap<Event>((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order));
  readonly #config: Partial<GossipConfig>;
  #order = 0;

  constructor(options: { seed: number; weather?: Weather; config?: Partial<GossipConfig> }) {
    this.random = seededRandom(options.seed);
    this.weather = options.weather ?? FAIR;
    this.#config = options.config ?? {};
  }

  /** `count` new machines; nothing runs on them yet. */
  add(count: number): SimNode[] {
    return Array.from({ length: count }, () => {
      const digits = Array.from({ length: 8 }, () =>
        randomInt(this.random, 0x1_0000_0000).toString(16).padStart(8, '0'),
      );
      const node = new SimNode(this.nodes.length, digits.join(''));
      this.nodes.push(node);
      this.#byKey.set(node.key, node);
      return node;
    });
  }

  /** Starts them knowing each other, as if they had run for long. */
  startTogether(nodes: readonly SimNode[]): void {
    const known = nodes.map(
      (node): MemberRecord => ({
        key: node.key,
        state: 'alive',
        incarnation: node.reserved + 1,
        info: node.info(),
        since: this.now,
      }),
    );
    for (const node of nodes) this.start(node, { known });
  }

  /** Starts the process; `seeds`: members by the roster's word. */
  start(
    node: SimNode,
    options: { known?: readonly MemberRecord[]; seeds?: readonly SimNode[]; forgot?: boolean } = {},
  ): void {
    if (options.forgot) node.reserved = 0;
    node.gossip = new Gossip({
      key: node.key,
      info: node.info(),
      incarnation: node.reserved,
      random: seededRandom(randomInt(this.random, 0x1_0000_0000)),
      known: options.known ?? [],
      config: this.#config,
      now: this.now,
    });
    node.running = true;
    node.life++;
    node.inbox = [];
    node.wakeAt = Number.POSITIVE_INFINITY;
    node.isolated = false;
    const keys = (options.seeds ?? []).map(({ key }) => key).filter((key) => key !== node.key);
    if (keys.length > 0) node.gossip.step({ type: 'join', keys }, this.now);
    // Links to some of them stand a moment later.
    for (const key of keys.slice(0, LINKS)) node.gossip.step({ type: 'linked', key }, this.now);
    this.#after(node);
  }

  /** kill -9. */
  kill(node: SimNode): void {
    node.running = false;
    node.life++;
  }

  stall(node: SimNode, ms: number): void {
    node.stalledUntil = this.now + ms;
    const { life } = node;
    this.at(node.stalledUntil, () => {
      if (node.life === life) this.#resume(node);
    });
  }

  /** Does something to a running machine, and what follows from it. */
  step(node: SimNode, event: Parameters<Gossip['step']>[0]): void {
    node.gossip.step(event, this.now);
    this.#after(node);
  }

  at(at: number, run: () => void): void {
    this.#events.push({ at, order: this.#order++, run });
  }

  /** Lets time pass. */
  run(ms: number): void {
    const end = this.now + ms;
    for (let next = this.#events.peek(); next && next.at <= end; next = this.#events.peek()) {
      this.#events.pop();
      this.now = next.at;
      next.run();
    }
    this.now = end;
  }

  /** Lets time pass until it holds; how long it took, or undefined when it did not within the limit. */
  runUntil(holds: () => boolean, limitMs: number, stepMs = 20): number | undefined {
    const start = this.now;
    while (!holds()) {
      if (this.now - start >= limitMs) return undefined;
      this.run(stepMs);
    }
    return this.now - start;
  }

  running(): SimNode[] {
    return this.nodes.filter((node) => node.running);
  }

  /** Whether all who run believe this of all of `subjects`; a member's belief of itself does not count. */
  allSee(subjects: readonly SimNode[], state: MemberState | undefined, observers = this.running()): boolean {
    return observers.every((observer) =>
      subjects.every((subject) => subject === observer || observer.gossip.member(subject.key)?.state === state),
    );
  }

  /** Deaths believed of those who run. */
  falseDeaths(since = 0): Sighting[] {
    return this.sightings.filter(({ at, state, subject }) => at >= since && state === 'dead' && subject.running);
  }

  #resume(node: SimNode): void {
    if (!node.running || node.stalledUntil > this.now) return;
    // As an event loop does: timers first, then what lies in the socket.
    if (node.wakeAt <= this.now) this.#wake(node);
    const inbox = node.inbox;
    node.inbox = [];
    for (const { from, data } of inbox) {
      node.gossip.step({ type: 'datagram', from, data }, this.now);
      this.#after(node);
    }
  }

  #wake(node: SimNode): void {
    node.wakeAt = Number.POSITIVE_INFINITY;
    node.gossip.tick(this.now);
    this.#after(node);
  }

  #after(node: SimNode): void {
    for (const effect of node.gossip.ready()) {
      switch (effect.type) {
        case 'send':
          this.#send(node, effect.to, effect.data);
          break;
        case 'reserve':
          node.reserved = effect.incarnation;
          break;
        case 'isolated':
          node.isolated = effect.isolated;
          break;
        case 'member': {
          const subject = this.#byKey.get(effect.record.key);
          const { state } = effect.record;
          if (subject && state !== effect.before?.state)
            this.sightings.push({ at: this.now, observer: node, subject, state, before: effect.before?.state ?? null });
          break;
        }
        case 'tombstone':
          node.tombstones.push(effect.key);
          node.gossip.step({ type: 'bury', key: effect.key, bytes: effect.bytes }, this.now);
          break;
        case 'forgotten':
          break;
      }
    }
    const due = node.gossip.dueAt(this.now);
    if (due >= node.wakeAt) return;
    node.wakeAt = due;
    const { life } = node;
    this.at(Math.max(due, this.now), () => {
      if (node.life !== life || node.wakeAt !== due || node.stalledUntil > this.now) return;
      this.#wake(node);
    });
  }

  #send(from: SimNode, toKey: string, data: Uint8Array): void {
    from.sentBytes += data.length;
    from.sentPackets++;
    const to = this.#byKey.get(toKey);
    if (!to || this.cut(from, to)) return;
    const { latencyMinMs, latencyMaxMs, loss, duplication } = this.weather;
    const copies = this.random.next() < loss ? 0 : this.random.next() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const latency = latencyMinMs + this.random.next() * (latencyMaxMs - latencyMinMs);
      this.at(this.now + latency, () => this.#deliver(from.key, to, data));
    }
  }

  #deliver(from: string, to: SimNode, data: Uint8Array): void {
    if (!to.running) return;
    if (to.stalledUntil > this.now) {
      if (to.inbox.length < INBOX_MAX) to.inbox.push({ from, data });
      return;
    }
    to.gossip.step({ type: 'datagram', from, data }, this.now);
    this.#after(to);
  }
}
