// Comes from the agent, which opens one network a mesh; goes to hyperdht, hyperswarm and multicast-dns.
import { MeshError } from '../../structs/errors.js';
import type { Network } from '../network.js';
import type { DhtNetworkOptions } from './options.js';

/**
 * Opens the network over the DHT. Resolves once the UDP port is bound; rejects with MeshError E_CONFLICT when another program
 * has it.
 */
export async function openDhtNetwork(options: DhtNetworkOptions): Promise<Network> {
  throw new MeshError('E_NOT_SUPPORTED', `no network yet for ${options.identity.publicKey}`);
}
