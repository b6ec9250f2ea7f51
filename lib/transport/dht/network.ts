import { isIPv4 } from 'node:net';
import type { Duplex } from 'node:stream';
import type { KeyPair, Server } from 'hyperdht';
import { MeshError } from '../../structs/errors.js';
import type { NodeKey } from '../../structs/mesh.js';
import { assert } from '../../util/assert.js';
import type { Log } from '../../util/log.js';
import type { Random } from '../../util/random.js';
import type {
  ConnectAs,
  Connection,
  DialOptions,
  Discovery,
  ListenOptions,
  NatReport,
  Network,
  SecureOptions,
  Sighting,
} from '../network.js';
import type { Address } from '../tcp.js';
import { Dialler } from './dial.js';
import { type KeptNodes, keepNodes } from './kept-nodes.js';
import { listen } from './listen.js';
import { type Mdns, openMdns } from './mdns.js';
import type { DhtNode } from './node.js';
import type { DhtNetworkOptions } from './options.js';
import { Reach } from './reach.js';
import { createRelay, type Relay } from './relay.js';
import { secureStream } from './secure.js';
import { Sightings } from './sightings.js';
import { discoverTopics } from './topics.js';
import { watchMachine } from './watch.js';

/** An address that changed on the far side of a router is noticed by nobody but the one who asks for it. */
const REFRESH_MS = 20_000;
/** To take leave of a DHT that does not answer is not worth more. */
const CLOSE_MS = 2_000;
/** Anybody on the local network may answer by multicast, as often as they like. */
const SIGHTINGS_PER_S = 50;

interface Seeker {
  readonly topics: readonly Uint8Array[];
  readonly announce: boolean;
  readonly onFound: (found: Sighting) => void;
}

/** The network over the DHT: this file only joins the parts. */
export class DhtNetwork implements Network {
  readonly key: NodeKey;
  readonly #node: DhtNode;
  readonly #log: Log;
  readonly #random: Random;
  readonly #hasDht: boolean;
  readonly #keyPairOf: (as: { seed: Uint8Array }) => KeyPair;
  readonly #reach: Reach;
  readonly #kept: KeptNodes;
  readonly #dialler: Dialler;
  readonly #sightings = new Sightings();
  readonly #guides = new Sightings();
  readonly #seekers = new Set<Seeker>();
  readonly #discoveries = new Set<Discovery>();
  readonly #listeners: (() => void)[] = [];
  readonly #watch: { stop: () => void };
  readonly #timer: NodeJS.Timeout;
  #mdns: Mdns | undefined;
  #server: Server | undefined;
  #relay: Relay | undefined;
  #sightingsLeft = SIGHTINGS_PER_S;
  #sightingsAt = 0;
  #closed = false;

  constructor(
    node: DhtNode,
    options: DhtNetworkOptions & { keyPairOf: (as: { seed: Uint8Array }) => KeyPair; random: Random },
  ) {
    this.key = options.identity.publicKey;
    this.#node = node;
    this.#log = options.log;
    this.#random = options.random;
    this.#keyPairOf = options.keyPairOf;
    this.#hasDht = options.bootstrap === 'public' || options.bootstrap.length > 0;
    const bootstrap = options.bootstrap === 'public' ? [] : options.bootstrap.filter(({ host }) => isIPv4(host));
    const { host, advertise, log } = options;
    this.#reach = new Reach({ node, bootstrap, hasDht: this.#hasDht, host, advertise, log });
    this.#kept = keepNodes(node, this.#hasDht ? options.folder : null, log);
    this.#dialler = new Dialler({
      node,
      sightings: this.#sightings,
      guides: this.#guides,
      hasDht: this.#hasDht,
      isOwn: (address) => this.#reach.isOwn(address),
      report: () => this.report(),
      keyPair: (as) => this.#keyPairOf(as),
      ask: () => this.#mdns?.ask(),
    });
    this.#watch = watchMachine((why) => this.#changed(why));
    this.#timer = setInterval(() => void this.#renew(), REFRESH_MS);
    this.#timer.unref();
    void this.#look();
    // By then it knows more nodes to ask.
    void node.fullyBootstrapped().then(
      () => this.#look(),
      () => {},
    );
  }

  /** Starts to look for members by multicast. */
  async openMdns(): Promise<void> {
    this.#mdns = await openMdns({
      key: this.key,
      port: () => this.#node.localAddress()?.port ?? 0,
      announce: () => [...this.#seekers].some(({ announce }) => announce),
      onFound: (key, address) => this.#heard(key, address),
      random: this.#random,
      log: this.#log.child('mdns'),
    });
  }

  async listen(listening: ListenOptions): Promise<void> {
    assert(!this.#server, 'a network listens once');
    const keyPair = this.#node.defaultKeyPair;
    this.#server = await listen({
      node: this.#node,
      keyPair,
      listening,
      relay: () => this.#relay,
      needsRelay: () => this.report().nat === 'random',
      log: this.#log,
    });
  }

  async dial(key: NodeKey, options: DialOptions = {}): Promise<Connection> {
    if (key === this.key && !options.as) throw new MeshError('E_BAD_REQUEST', `${key.slice(0, 8)} is this node itself`);
    return this.#dialler.dial(key, options);
  }

  discover(topics: readonly Uint8Array[], options: Omit<Seeker, 'topics'>): Discovery {
    const seeker: Seeker = { topics, ...options };
    this.#seekers.add(seeker);
    this.#tellMdns();
    const found = this.#hasDht ? this.#lookUp(seeker) : Promise.resolve(undefined);
    const discovery: Discovery = {
      refresh: async () => {
        this.#mdns?.ask();
        await (await found)?.refresh();
      },
      close: async () => {
        if (!this.#discoveries.delete(discovery)) return;
        this.#seekers.delete(seeker);
        this.#tellMdns();
        await (await found)?.close();
      },
    };
    this.#discoveries.add(discovery);
    return discovery;
  }

  #lookUp({ topics, announce, onFound }: Seeker): Promise<Discovery> {
    const found = discoverTopics(topics, {
      node: this.#node,
      keyPair: this.#node.defaultKeyPair,
      server: () => this.#server,
      announce,
      onFound: (key, guides) => {
        this.#guides.add(key, guides, performance.now());
        onFound({ key, addresses: [], source: 'topic' });
      },
      random: this.#random,
      log: this.#log.child('topics'),
    });
    found.catch((error: Error) => this.#log.error('topics cannot be looked up', { error: error.message }));
    return found;
  }

  report(): NatReport {
    return this.#reach.report();
  }

  async refresh(): Promise<void> {
    this.#mdns?.ask();
    await this.#renew();
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  secure(stream: Duplex, { as, ...options }: SecureOptions): Promise<Connection> {
    return secureStream(stream, { ...options, keyPair: as ? this.#keyPairOf(as) : this.#node.defaultKeyPair });
  }

  async serveRelay(admit: (key: NodeKey) => boolean): Promise<void> {
    assert(!this.#relay, 'a network relays for one circle of members');
    this.#relay = await createRelay({ node: this.#node, admit, log: this.#log.child('relay') });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#dialler.close();
    clearInterval(this.#timer);
    this.#watch.stop();
    this.#kept.save(true);
    const left = this.#leave();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([left, late]);
    clearTimeout(timer);
    await this.#node.destroy({ force: true }).catch(() => {});
  }

  /** Takes leave of everybody who knows this node. */
  async #leave(): Promise<void> {
    const leaving = [...this.#discoveries].map((discovery) => discovery.close());
    await Promise.allSettled([...leaving, this.#mdns?.close()]);
    await this.#node.destroy().catch((error: Error) => this.#log.debug('left in disorder', { error: error.message }));
  }

  #tellMdns(): void {
    this.#mdns?.setTopics([...this.#seekers].flatMap(({ topics }) => topics));
  }

  #heard(key: NodeKey, address: Address): void {
    const now = performance.now();
    if (now - this.#sightingsAt > 1_000) {
      this.#sightingsAt = now;
      this.#sightingsLeft = SIGHTINGS_PER_S;
    }
    if (this.#sightingsLeft-- <= 0) return;
    this.#sightings.add(key, [address], now);
    for (const { onFound } of this.#seekers) onFound({ key, addresses: [address], source: 'mdns' });
  }

  #changed(why: 'addresses' | 'woke'): void {
    this.#log.info(why === 'woke' ? 'the machine woke up' : 'the addresses of this machine changed', {
      addresses: this.#reach
        .localAddresses()
        .map(({ host }) => host)
        .join(' '),
    });
    for (const listener of this.#listeners) listener();
    void this.refresh();
  }

  async #renew(): Promise<void> {
    if (this.#closed) return;
    this.#server?.refresh();
    // Nothing is known of a DHT that was out of reach at the start, and hyperdht asks again every 40 seconds only.
    if (this.#node.toArray({ limit: 1 }).length === 0) this.#node.refresh();
    await this.#look();
  }

  async #look(): Promise<void> {
    try {
      await this.#reach.look();
      if (this.#closed) return;
      if (this.report().dht === 'answers') this.#kept.save();
      else if (this.#kept.recall()) {
        this.#node.refresh();
        await this.#reach.look();
      }
    } catch (error) {
      this.#log.debug('could not look around', { error: (error as Error).message });
    }
  }
}

/** As the node's own key pair must be for a network of this identity. */
export function assertIdentity(keyPair: KeyPair, identity: ConnectAs): void {
  assert(keyPair.publicKey.toString('hex') === identity.publicKey, 'the seed belongs to the public key');
}
