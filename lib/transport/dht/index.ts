// Comes from the agent, which opens one network a mesh; goes to hyperdht, hyperswarm, blind-relay and multicast-dns, which are
// loaded when the first network is opened.
import { randomInt } from 'node:crypto';
import { MeshError } from '../../structs/errors.js';
import type { Random } from '../../util/random.js';
import type { Network } from '../network.js';
import { assertIdentity, DhtNetwork } from './network.js';
import { createNode, type DhtNode } from './node.js';
import type { DhtNetworkOptions } from './options.js';
import { keptPort } from './port-file.js';

export type { DhtNetworkOptions } from './options.js';

/** So many programs that start at the same time may have taken the port that was just found free. */
const PORTS_TRIED_MAX = 10;

const entropy: Random = { next: () => randomInt(2 ** 48 - 1) / (2 ** 48 - 1) };

/**
 * Opens the network over the DHT. Resolves once the UDP port is bound, whether there is a DHT or not; rejects with MeshError
 * E_CONFLICT when another program has the port that was asked for.
 */
export async function openDhtNetwork(options: DhtNetworkOptions): Promise<Network> {
  const { default: DHT } = await import('hyperdht');
  const { identity } = options;
  const node = await openNode(options);
  assertIdentity(node.defaultKeyPair, identity);
  const keyPairOf = (as: { seed: Uint8Array }) => DHT.keyPair(as.seed);
  const network = new DhtNetwork(node, { ...options, keyPairOf, random: entropy });
  if (options.mdns) await network.openMdns();
  return network;
}

async function openNode({ bootstrap, host, identity, folder, log, ...options }: DhtNetworkOptions): Promise<DhtNode> {
  const onMoved = (from: number, to: number): void =>
    log.warn('another program has the UDP port that was kept: another one is used from now on', { from, to });
  for (let tried = 1; ; tried++) {
    const port = options.port ?? (await keptPort({ folder, host, onMoved }));
    try {
      return await createNode({ bootstrap, host, identity, port });
    } catch (error) {
      const isTaken = error instanceof MeshError && error.code === 'E_CONFLICT';
      if (!isTaken || options.port !== null || tried === PORTS_TRIED_MAX) throw error;
    }
  }
}
