import type { KeyPair } from 'hyperdht';

/** Makes the first words of a connection, for whoever dials (who knows the other key) and for whoever is dialled (null). */
export type CreateHandshake = (keyPair: KeyPair, remotePublicKey: Buffer | null) => object;

/**
 * hyperdht's own handshakes, except for what they do with a message that was cut off: its length makes a RangeError, which hyperdht takes
 * for a mistake of its programmer, and ends the process. One datagram of a stranger would be enough. Here it is an error of the
 * message, which is dropped.
 */
export async function safeHandshakes(): Promise<CreateHandshake> {
  const { default: NoiseWrap } = await import('hyperdht/lib/noise-wrap.js');
  class SafeNoise extends NoiseWrap {
    override recv(message: Buffer): object {
      try {
        return super.recv(message);
      } catch (cause) {
        throw new Error('this is no message of a handshake', { cause });
      }
    }
  }
  return (keyPair, remotePublicKey) => new SafeNoise(keyPair, remotePublicKey);
}
