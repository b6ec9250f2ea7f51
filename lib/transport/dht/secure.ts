import type { Duplex } from 'node:stream';
import type { KeyPair } from 'hyperdht';
import type { LinkPath } from '../../structs/mesh.js';
import type { Connection } from '../network.js';
import { ConnectionStream } from './stream.js';

/** A connection over bytes that somebody else carries: the same handshake and encryption as over UDP. See Network.secure. */
export async function secureStream(
  bytes: Duplex,
  options: { keyPair: KeyPair; dialled: boolean; path: () => LinkPath },
): Promise<Connection> {
  const { default: NoiseStream } = await import('@hyperswarm/secret-stream');
  const { keyPair, dialled, path } = options;
  let why = 'the bytes ended';
  const noise = new NoiseStream(dialled, bytes, { keyPair, enableSend: false });
  noise.on('error', (error: Error) => {
    why = error.message;
  });
  // It may have been paused by whoever read of it before.
  bytes.resume();
  if (bytes.destroyed) noise.destroy();
  if (!(await noise.opened)) throw new Error(`no handshake over a carried connection: ${why}`);
  return {
    stream: new ConnectionStream(noise),
    remoteKey: noise.remotePublicKey.toString('hex'),
    localKey: noise.publicKey.toString('hex'),
    handshakeHash: noise.handshakeHash,
    dialled,
    carried: true,
    path,
  };
}
