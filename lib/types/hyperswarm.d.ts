declare module 'hyperswarm' {
  import type { EventEmitter } from 'node:events';
  import type { HostPort, KeyPair, Query } from 'hyperdht';

  /** What a swarm asks of the DHT that is handed to it. */
  interface SwarmDht extends EventEmitter {
    readonly online: boolean;
    createServer(): {
      readonly relayAddresses: HostPort[];
      listen(): Promise<void>;
      close(): Promise<void>;
    };
    connect(): never;
    announce(topic: Buffer, keyPair: KeyPair, relayAddresses: HostPort[], options?: object): Query;
    lookup(topic: Buffer, options?: object): Query;
    lookupAndUnannounce(topic: Buffer, keyPair: KeyPair, options?: object): Query;
    unannounce(topic: Buffer, keyPair: KeyPair, options?: object): Promise<void>;
    destroy(): Promise<void>;
  }

  interface PeerDiscoverySession {
    /** False when the DHT did not answer. */
    refresh(options?: { server?: boolean; client?: boolean }): Promise<boolean>;
    destroy(): Promise<void>;
  }

  class Hyperswarm {
    constructor(options: { dht: SwarmDht; keyPair: KeyPair; maxPeers: number });
    join(topic: Buffer, options: { server: boolean; client: boolean }): PeerDiscoverySession;
    destroy(): Promise<void>;
  }

  export type { PeerDiscoverySession, SwarmDht };
  export default Hyperswarm;
}
