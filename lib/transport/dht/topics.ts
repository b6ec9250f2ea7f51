import { EventEmitter } from 'node:events';
import type { HostPort, KeyPair, Query, Server, TopicPeer } from 'hyperdht';
import type { SwarmDht } from 'hyperswarm';
import type { NodeKey } from '../../structs/mesh.js';
import { assert } from '../../util/assert.js';
import { backoffMs } from '../../util/backoff.js';
import type { Log } from '../../util/log.js';
import type { Random } from '../../util/random.js';
import type { Discovery } from '../network.js';
import type { DhtNode } from './node.js';

const FIRST_MS = 1_000;
/** hyperswarm itself looks again after ten minutes only. */
const LAST_MS = 60_000;

export interface TopicOptions {
  readonly node: DhtNode;
  readonly keyPair: KeyPair;
  /** The server of the node's key, once it listens: its way through NATs is announced, too. */
  readonly server: () => Server | undefined;
  readonly announce: boolean;
  /** `guides`: DHT nodes that lead to it. */
  readonly onFound: (key: NodeKey, guides: readonly HostPort[]) => void;
  readonly random: Random;
  readonly log: Log;
}

/**
 * Finds whoever announces one of these topics. hyperswarm decides where and how to announce, look up and withdraw; whom it
 * finds is told to us and not to it, so that it never dials, takes or bans anybody. All who join at the same moment look up
 * before anybody's announcement is stored: so it is done again after 1, 2, 4 … 60 s, at random within.
 */
export async function discoverTopics(topics: readonly Uint8Array[], options: TopicOptions): Promise<Discovery> {
  const { default: Hyperswarm } = await import('hyperswarm');
  const swarm = new Hyperswarm({ dht: new FindOnly(options), keyPair: options.keyPair, maxPeers: 0 });
  const sessions = topics.map((topic) => swarm.join(Buffer.from(topic), { server: options.announce, client: true }));
  let attempt = 0;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  const look = async (): Promise<void> => {
    const answers = await Promise.all(sessions.map((session) => session.refresh().catch(() => false)));
    if (!closed && answers.includes(false)) options.log.debug('a topic could not be looked up');
  };
  const schedule = (): void => {
    clearTimeout(timer);
    if (closed) return;
    const delayMs = backoffMs({ attempt: attempt++, baseMs: FIRST_MS, maxMs: LAST_MS, random: options.random });
    timer = setTimeout(() => void look().then(schedule), delayMs);
    timer.unref();
  };
  schedule();
  return {
    async refresh() {
      if (closed) return;
      attempt = 0;
      schedule();
      await look();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await swarm.destroy();
    },
  };
}

/** The DHT as hyperswarm gets to see it: it can find and announce, and nothing else. */
class FindOnly extends EventEmitter implements SwarmDht {
  readonly online = true;
  readonly #options: TopicOptions;

  constructor(options: TopicOptions) {
    super();
    this.#options = options;
  }

  createServer(): ReturnType<SwarmDht['createServer']> {
    const { server } = this.#options;
    return {
      // The node listens to its own key already, with the admission of the mesh; the swarm gets no server of its own.
      get relayAddresses() {
        return server()?.relayAddresses ?? [];
      },
      listen: async () => {},
      close: async () => {},
    };
  }

  connect(): never {
    assert(false, 'the swarm was given a DHT to find with, not to dial');
  }

  announce(topic: Buffer, keyPair: KeyPair, relayAddresses: HostPort[], options?: object): Query {
    return this.#tell(this.#options.node.announce(topic, keyPair, relayAddresses, options));
  }

  lookup(topic: Buffer, options?: object): Query {
    return this.#tell(this.#options.node.lookup(topic, options));
  }

  lookupAndUnannounce(topic: Buffer, keyPair: KeyPair, options?: object): Query {
    return this.#tell(this.#options.node.lookupAndUnannounce(topic, keyPair, options));
  }

  unannounce(topic: Buffer, keyPair: KeyPair, options?: object): Promise<void> {
    return this.#options.node.unannounce(topic, keyPair, options);
  }

  /** The DHT belongs to the network, not to the swarm. */
  async destroy(): Promise<void> {}

  /** The query without its findings: those are ours. */
  #tell(query: Query): Query {
    // Each of the twenty nodes that are asked tells of the same members.
    const told = new Set([this.#options.keyPair.publicKey.toString('hex')]);
    const found = (peers: readonly TopicPeer[]): void => {
      for (const { publicKey, relayAddresses } of peers) {
        const key = publicKey.toString('hex');
        if (!told.has(key)) this.#options.onFound(key, relayAddresses);
        told.add(key);
      }
    };
    return {
      get closestNodes() {
        return query.closestNodes;
      },
      destroy: () => query.destroy(),
      finished: () => query.finished(),
      async *[Symbol.asyncIterator]() {
        for await (const { peers } of query) {
          found(peers);
          yield { peers: [] };
        }
      },
    };
  }
}
