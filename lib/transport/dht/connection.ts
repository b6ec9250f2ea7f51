import type { SecretStream } from 'hyperdht';
import type { LinkPath } from '../../structs/mesh.js';
import type { Connection } from '../network.js';
import { formatAddress, isLocal, recentHosts } from './addresses.js';
import type { DhtNode } from './node.js';
import { ConnectionStream } from './stream.js';

/** An open connection of the DHT in the words of the port. `first`: bytes that were read of it already. */
export function toConnection(
  node: DhtNode,
  raw: SecretStream,
  options: { dialled: boolean; first?: Buffer },
): Connection & { readonly stream: ConnectionStream } {
  const remoteKey = raw.remotePublicKey.toString('hex');
  let last: LinkPath = { Kind: 'direct', Address: '' };
  return {
    stream: new ConnectionStream(raw, options.first),
    remoteKey,
    localKey: raw.publicKey.toString('hex'),
    handshakeHash: raw.handshakeHash,
    dialled: options.dialled,
    path() {
      // Asked anew each time: the remote end changes in place when a relayed connection becomes direct.
      last = pathOf(node, raw, remoteKey) ?? last;
      return last;
    },
  };
}

function pathOf(node: DhtNode, raw: SecretStream, remoteKey: string): LinkPath | undefined {
  const { remoteHost: host = null, remotePort: port = 0 } = raw.rawStream ?? {};
  if (host === null) return undefined;
  const address = formatAddress({ host, port });
  const relay = node.relayAt(host, port);
  // A relay's own connections have its address, too, and are direct.
  if (relay !== undefined && relay !== remoteKey) return { Kind: 'relayed', Address: address, Relay: relay };
  return { Kind: isLocal(host, recentHosts()) ? 'local' : 'direct', Address: address };
}
