declare module '@hyperswarm/secret-stream' {
  import type { Duplex } from 'node:stream';
  import type { KeyPair, SecretStream } from 'hyperdht';

  /** A Noise handshake (XX) and what it encrypts, over any ordered stream. */
  class NoiseStream {
    constructor(isInitiator: boolean, raw: Duplex, options: { keyPair: KeyPair; enableSend: boolean });
    /** False when it was destroyed before both sides had proven their keys. */
    readonly opened: Promise<boolean>;
  }
  interface NoiseStream extends SecretStream {}

  export default NoiseStream;
}
