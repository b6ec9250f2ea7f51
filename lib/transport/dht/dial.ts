import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { ConnectOptions, KeyPair, SecretStream } from 'hyperdht';
import { MeshError } from '../../structs/errors.js';
import type { NodeKey } from '../../structs/mesh.js';
import type { Connection, DialOptions, NatReport } from '../network.js';
import type { Address } from '../tcp.js';
import { distinct, formatAddress, isUsable } from './addresses.js';
import { toConnection } from './connection.js';
import type { DhtNode } from './node.js';
import { type Failure, reasonOf, unreachable } from './obstacles.js';
import type { Sightings } from './sightings.js';

const TIMEOUT_MS = 15_000;
const ADDRESSES_MAX = 16;
/** A second address of the same member waits so long for the first: else its other end would see two connections for one. */
const NEXT_ADDRESS_MS = 150;
/** What was half open a moment ago lets everything else go first. */
const SUSPECT_DELAY_MS = 1_000;
const SUSPECT_MS = 30_000;
/** The DHT is asked so much later than an address that may well answer at once. */
const DHT_DELAY_MS = 100;
const RELAY_DELAY_MS = 2_000;
/**
 * An attempt that met an outdated announcement hangs for eight seconds, while a new one finds what was announced since: so
 * another begins after this long, beside it.
 */
const NEXT_TRY_MS = 2_500;
const KEY_TRIES_MAX = 3;
const RELAY_TRIES_MAX = 4;
/** hyperdht punches at random ports once in a while only (node.ts). */
const PUNCH_AGAIN_MS = 2_500;
/** hyperdht's name for a NAT that has another port for every destination. */
const RANDOM = 3;
const PUNCH_FAILED = /^(HOLEPUNCH|REMOTE|CANNOT_HOLEPUNCH)/;

export interface DialContext {
  readonly node: DhtNode;
  /** Heard by multicast. */
  readonly sightings: Sightings;
  /** DHT nodes that know the way to a key, from lookups of topics. */
  readonly guides: Sightings;
  /** Whether there is a DHT to ask at all. */
  readonly hasDht: boolean;
  /** What nobody else has. */
  isOwn(address: Address): boolean;
  report(): NatReport;
  keyPair(as: { seed: Uint8Array }): KeyPair;
  /** Asks on the local network who has this key. */
  ask(): void;
}

/** Remembers what was half open of late, by key and address. */
export class Dialler {
  readonly #context: DialContext;
  readonly #suspects = new Map<string, number>();
  readonly #dials = new Set<Dial>();
  #closed = false;

  constructor(context: DialContext) {
    this.#context = context;
  }

  /** Tries every way at once and takes the first that opens; the others are given up. Cheap enough to call again at once. */
  async dial(key: NodeKey, options: DialOptions = {}): Promise<Connection> {
    options.signal?.throwIfAborted();
    if (this.#closed) throw closedError();
    for (const [text, at] of this.#suspects) if (performance.now() - at > SUSPECT_MS) this.#suspects.delete(text);
    const suspects = [...this.#suspects.keys()].filter((text) => text.startsWith(key)).map((text) => text.slice(65));
    const dial = new Dial(this.#context, key, options, new Set(suspects));
    this.#dials.add(dial);
    const connection = await dial.run().finally(() => this.#dials.delete(dial));
    const way = connection.path().Address;
    // Open, and not a word until it was given up: a black hole. The next dial prefers other ways.
    connection.stream.once('close', () => {
      if (!connection.stream.heard) this.#suspects.set(`${key} ${way}`, performance.now());
    });
    return connection;
  }

  /** Calls off what is under way. */
  close(): void {
    this.#closed = true;
    for (const dial of this.#dials) dial.stop(closedError());
  }
}

function closedError(): MeshError {
  return new MeshError('E_TIMEOUT', 'the network is closed');
}

type Opened = ReturnType<typeof toConnection>;

class Dial {
  readonly #context: DialContext;
  readonly #key: NodeKey;
  readonly #options: DialOptions;
  /** Addresses at which it was half open of late. */
  readonly #suspects: ReadonlySet<string>;
  readonly #relays: readonly NodeKey[];
  readonly #startedAt = performance.now();
  readonly #failures: Failure[] = [];
  readonly #streams = new Set<SecretStream>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #tried = new Set<string>();
  readonly #cleanups: (() => void)[] = [];
  #pings = 0;
  #answered = 0;
  #keyTries = 0;
  #relayTries = 0;
  #settled = false;
  #resolve: (connection: Opened) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(context: DialContext, key: NodeKey, options: DialOptions, suspects: ReadonlySet<string>) {
    this.#context = context;
    this.#key = key;
    this.#options = options;
    this.#suspects = suspects;
    this.#relays = (options.relays ?? []).filter((relay) => relay !== key && relay !== this.#ownKey());
  }

  run(): Promise<Opened> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      const { signal, timeoutMs = TIMEOUT_MS } = this.#options;
      const onAbort = (): void => this.stop(signal?.reason);
      signal?.addEventListener('abort', onAbort, { once: true });
      const deadline = setTimeout(() => this.#giveUp(), timeoutMs);
      this.#cleanups.push(
        () => signal?.removeEventListener('abort', onAbort),
        () => clearTimeout(deadline),
        this.#context.sightings.watch(this.#key, (address) => this.#tryAddress(address)),
      );
      this.#start();
    });
  }

  stop(reason: unknown): void {
    this.#end(() => this.#reject(reason));
  }

  #start(): void {
    const { sightings, hasDht } = this.#context;
    const known = distinct([...(this.#options.addresses ?? []), ...sightings.find(this.#key, performance.now())]);
    for (const address of known.slice(0, ADDRESSES_MAX)) this.#tryAddress(address);
    this.#context.ask();
    if (hasDht) {
      const delayMs = this.#pings > 0 ? DHT_DELAY_MS : 0;
      // From behind such a NAT most others are reached through a relay first; the connection becomes direct by itself.
      const relayFirst = this.#relays.length > 0 && this.#context.report().nat === 'random';
      this.#later(delayMs, () => (relayFirst ? this.#tryRelay() : this.#tryKey()));
      if (!relayFirst && this.#relays.length > 0) this.#later(RELAY_DELAY_MS, () => this.#tryRelay());
    }
    // Nobody on the local network answers after this long either, if nothing else is under way.
    else this.#later(RELAY_DELAY_MS, () => {});
  }

  #ownKey(): NodeKey {
    return this.#context.node.defaultKeyPair.publicKey.toString('hex');
  }

  #tryAddress(address: Address): void {
    const way = formatAddress(address);
    if (this.#settled || this.#tried.has(way) || this.#tried.size >= ADDRESSES_MAX) return;
    if (isIP(address.host) === 0) {
      this.#tried.add(way);
      this.#tryName(address, way);
      return;
    }
    if (!isUsable(address) || this.#context.isOwn(address)) return;
    this.#tried.add(way);
    this.#pings++;
    // A dead address costs a packet this way, and not a handshake with a search in the DHT behind it.
    this.#context.node.ping({ host: address.host, port: address.port }).then(
      () => {
        this.#pings--;
        const others = this.#context.hasDht || this.#tried.size > 1;
        const waitMs = others && this.#suspects.has(way) ? SUSPECT_DELAY_MS : 0;
        const delayMs = this.#answered++ * NEXT_ADDRESS_MS + waitMs;
        const relayAddresses = [{ host: address.host, port: address.port }];
        this.#later(delayMs, () => this.#attempt(way, { relayAddresses, holepunch: () => false }));
      },
      () => {
        this.#pings--;
        this.#failed({ way, why: 'no answer' });
      },
    );
  }

  /** Whoever has a changing address at home often has a name for it. */
  #tryName({ host, port }: Address, way: string): void {
    this.#pings++;
    lookup(host, { family: 4 }).then(
      (found) => {
        this.#pings--;
        this.#tryAddress({ host: found.address, port });
        this.#giveUpIfIdle();
      },
      () => {
        this.#pings--;
        this.#failed({ way, why: 'the name is not known' });
      },
    );
  }

  #tryKey(): void {
    if (this.#settled || this.#keyTries++ >= KEY_TRIES_MAX) return;
    const guides = this.#context.guides.find(this.#key, performance.now());
    const mayRelay = this.#relays.length > 0;
    const { node } = this.#context;
    const relaysBefore = node.relaysDialled;
    const options: ConnectOptions = {
      // To punch at random ports takes ten seconds and floods a home router: a relay is there at once, and is left again. Where
      // the other side has named one, this connection itself is relayed meanwhile.
      holepunch: (remote, local) => {
        if (remote < RANDOM && local < RANDOM) return true;
        if (mayRelay && node.relaysDialled === relaysBefore) return false;
        // A matter of chance, five seconds on average: more tries at a time make it less.
        this.#later(0, () => this.#tryKey());
        return true;
      },
      ...(guides.length > 0 ? { relayAddresses: guides.map(({ host, port }) => ({ host, port })) } : {}),
    };
    this.#attempt('by its key in the DHT', options, (why) => {
      if (!PUNCH_FAILED.test(why)) return;
      if (mayRelay) this.#tryRelay();
      else this.#later(PUNCH_AGAIN_MS, () => this.#tryKey());
    });
    this.#later(NEXT_TRY_MS, () => this.#tryKey());
  }

  /** Through the next relay, which is the caller's next best, or through the first again. */
  #tryRelay(): void {
    if (this.#settled || this.#relays.length === 0 || this.#relayTries >= RELAY_TRIES_MAX) return;
    const relay = this.#relays[this.#relayTries++ % this.#relays.length] as NodeKey;
    this.#attempt(`through ${relay.slice(0, 8)}`, { relayThrough: Buffer.from(relay, 'hex') });
    this.#later(NEXT_TRY_MS, () => this.#tryRelay());
  }

  #attempt(way: string, options: ConnectOptions, onFailed: (why: string) => void = () => {}): void {
    if (this.#settled) return;
    const { node, keyPair } = this.#context;
    const raw = node.connect(Buffer.from(this.#key, 'hex'), {
      ...options,
      ...(this.#options.as ? { keyPair: keyPair(this.#options.as) } : {}),
      // Costs a round trip, and makes sure of one.
      ...(this.#suspects.size > 0 ? { fastOpen: false } : {}),
    });
    let why = 'closed without a word';
    this.#streams.add(raw);
    raw.on('error', (error) => {
      why = reasonOf(error);
    });
    raw.once('open', () => {
      if (this.#settled) return;
      this.#streams.delete(raw);
      this.#end(() => this.#resolve(toConnection(node, raw, { dialled: true })));
    });
    raw.once('close', () => {
      if (!this.#streams.delete(raw) || this.#settled) return;
      onFailed(why);
      this.#failed({ way, why });
    });
  }

  #failed(failure: Failure): void {
    if (this.#settled) return;
    this.#failures.push(failure);
    this.#giveUpIfIdle();
  }

  #giveUpIfIdle(): void {
    if (this.#settled) return;
    if (this.#streams.size === 0 && this.#timers.size === 0 && this.#pings === 0) this.#giveUp();
  }

  #giveUp(): void {
    const text = unreachable(this.#key, this.#failures, {
      report: this.#context.report(),
      relays: this.#relays.length,
      seconds: (performance.now() - this.#startedAt) / 1000,
    });
    this.#end(() => this.#reject(new MeshError('E_TIMEOUT', text)));
  }

  #later(ms: number, then: () => void): void {
    if (this.#settled) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      then();
      this.#giveUpIfIdle();
    }, ms);
    this.#timers.add(timer);
  }

  #end(tell: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const cleanup of this.#cleanups) cleanup();
    for (const stream of this.#streams) stream.destroy();
    this.#streams.clear();
    tell();
  }
}
