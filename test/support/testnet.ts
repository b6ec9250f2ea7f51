import { randomBytes } from 'node:crypto';
import { openDhtNetwork } from '../../lib/transport/dht/index.js';
import { createNode, type DhtNode } from '../../lib/transport/dht/node.js';
import type { DhtNetworkOptions } from '../../lib/transport/dht/options.js';
import type { ConnectAs, Network } from '../../lib/transport/network.js';
import type { Address } from '../../lib/transport/tcp.js';
import { silentLog } from '../../lib/util/log.js';

const LOOPBACK = '127.0.0.1';
/** Fewer cannot tell the kind of a NAT. */
const NODES = 4;

/** A private DHT on loopback, made of our own nodes: no test ever meets the public one. */
export interface Testnet {
  readonly bootstrap: readonly Address[];
  /** A member's network; closed with the testnet. */
  open(options?: Partial<DhtNetworkOptions>): Promise<Network>;
  /** Ends one of the DHT's own nodes. */
  stop(node: number): Promise<void>;
  close(): Promise<void>;
}

/** A key pair that nobody had before. */
export async function newIdentity(): Promise<ConnectAs> {
  const { default: DHT } = await import('hyperdht');
  const seed = randomBytes(32);
  return { publicKey: DHT.keyPair(seed).publicKey.toString('hex'), seed };
}

export async function openTestnet(): Promise<Testnet> {
  const nodes: DhtNode[] = [];
  const bootstrap: Address[] = [];
  const networks: Network[] = [];
  for (let i = 0; i < NODES; i++) {
    const node = await createNode({ bootstrap: [...bootstrap], host: LOOPBACK, port: 0, serves: true });
    nodes.push(node);
    bootstrap.push({ host: LOOPBACK, port: node.address()?.port ?? 0 });
    await node.fullyBootstrapped();
  }
  return {
    bootstrap,
    async open(options = {}) {
      const network = await openDhtNetwork({
        identity: await newIdentity(),
        bootstrap,
        port: 0,
        folder: null,
        host: LOOPBACK,
        mdns: false,
        advertise: [],
        log: silentLog,
        ...options,
      });
      networks.push(network);
      return network;
    },
    stop: async (node) => nodes[node]?.destroy({ force: true }),
    async close() {
      await Promise.all(networks.map((network) => network.close()));
      await Promise.all(nodes.map((node) => node.destroy({ force: true })));
    },
  };
}
