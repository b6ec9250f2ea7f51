declare module 'hyperdht' {
  import type { EventEmitter } from 'node:events';

  export interface HostPort {
    host: string;
    port: number;
  }

  export interface KeyPair {
    publicKey: Buffer;
    secretKey: Buffer;
  }

  /** The UDP stream below a connection; its remote end changes in place when a relayed connection becomes direct. */
  export interface RawStream extends EventEmitter {
    readonly remoteHost: string | null;
    readonly remotePort: number;
  }

  export interface RawStreamOptions {
    firewall?: (socket: unknown, port: number, host: string) => boolean;
    framed?: boolean;
  }

  export interface SecretStream extends EventEmitter {
    readonly publicKey: Buffer;
    readonly remotePublicKey: Buffer;
    readonly handshakeHash: Buffer;
    readonly rawStream: RawStream | null;
    readonly destroyed: boolean;
    write(data: Uint8Array): boolean;
    end(): void;
    destroy(error?: Error): void;
    pause(): void;
    resume(): void;
    unshift(data: Uint8Array): void;
  }

  export interface ConnectOptions {
    createHandshake?: (keyPair: KeyPair, remotePublicKey: Buffer | null) => object;
    keyPair?: KeyPair;
    /** DHT nodes, or the peer itself, that the handshake is sent to before anybody is looked up. */
    relayAddresses?: HostPort[];
    relayThrough?: Buffer | null;
    /** False: probes once more before it believes the server's address. */
    fastOpen?: boolean;
    /** Asked before punching: 0 unknown, 1 open, 2 consistent, 3 random. False gives up. */
    holepunch?: (remoteFirewall: number, localFirewall: number) => boolean;
  }

  export interface ServerOptions {
    createHandshake?: (keyPair: KeyPair, remotePublicKey: Buffer | null) => object;
    /** True (or a rejection) refuses. */
    firewall?: (remotePublicKey: Buffer, payload: unknown, clientAddress: HostPort) => boolean | Promise<boolean>;
    /** Asked for every connection. */
    relayThrough?: () => Buffer | null;
  }

  export interface Server extends EventEmitter {
    readonly relayAddresses: HostPort[];
    listen(keyPair?: KeyPair): Promise<unknown>;
    refresh(): void;
    close(): Promise<void>;
  }

  export interface TopicPeer {
    publicKey: Buffer;
    relayAddresses: HostPort[];
  }

  export interface Query extends AsyncIterable<{ peers: TopicPeer[] }> {
    readonly closestNodes: unknown[];
    destroy(): void;
    finished(): Promise<void>;
  }

  export interface Options {
    bootstrap: (HostPort | string)[];
    /** A port, or the first and the end of a range; [0, 0] is any. */
    port: number | [number, number];
    host?: string;
    anyPort: boolean;
    keyPair?: KeyPair;
    ephemeral?: boolean;
    firewalled?: boolean;
    randomPunchInterval?: number;
  }

  class DHT extends EventEmitter {
    constructor(options: Options);
    static readonly BOOTSTRAP: string[];
    static bootstrapper(port: number, host: string, options?: Partial<Options>): DHT;
    static keyPair(seed?: Uint8Array): KeyPair;
    /** True until others were seen to reach this node without being asked. */
    readonly firewalled: boolean;
    /** Whether each destination sees another port. */
    readonly randomized: boolean;
    /** As others see this node; null and 0 while they do not agree. */
    readonly defaultKeyPair: KeyPair;
    readonly host: string | null;
    readonly port: number;
    readonly online: boolean;
    /** The sockets below. Not part of the documented interface. */
    protected readonly udx: {
      lookup(host: string, options: { family: number }): Promise<{ host: string; family: number }>;
    };
    /** What was sampled of the own address. Not part of the documented interface. */
    protected _randomPunchLimit: number;
    /** `networkInterfaces`: the watch on them, which keeps the process alive. */
    protected readonly io: { networkInterfaces: { destroy(): Promise<unknown> } };
    protected readonly _nat: { add(host: string, port: number): void };
    bind(): Promise<void>;
    fullyBootstrapped(): Promise<void>;
    address(): HostPort | null;
    localAddress(): HostPort | null;
    addNode(node: HostPort): void;
    toArray(options?: { limit?: number }): HostPort[];
    /** `to` is this node as the other one sees it. */
    ping(to: HostPort, options?: { retry?: boolean }): Promise<{ from: HostPort; to: HostPort }>;
    refresh(): void;
    connect(key: Buffer, options?: ConnectOptions): SecretStream;
    createServer(options: ServerOptions, onconnection?: (stream: SecretStream) => void): Server;
    createRawStream(options?: RawStreamOptions): unknown;
    announce(topic: Buffer, keyPair: KeyPair, relayAddresses: HostPort[], options?: object): Query;
    lookup(topic: Buffer, options?: object): Query;
    lookupAndUnannounce(topic: Buffer, keyPair: KeyPair, options?: object): Query;
    unannounce(topic: Buffer, keyPair: KeyPair, options?: object): Promise<void>;
    destroy(options?: { force?: boolean }): Promise<void>;
    /** Null when the node is closed. Not part of the documented interface. */
    protected _request(
      to: HostPort & { id: null },
      force: boolean,
      internal: boolean,
      command: number,
      target: null,
      value: Buffer,
      session: null,
      onresponse: () => void,
      onerror: () => void,
    ): object | null;
    /** Checks anew whether others reach this node unasked. Not part of the documented interface. */
    protected _updateNetworkState(onlyFirewall?: boolean): Promise<boolean>;
  }

  export default DHT;
}

declare module 'hyperdht/lib/noise-wrap.js' {
  import type { KeyPair } from 'hyperdht';

  /** Not part of the documented interface. */
  class NoiseWrap {
    constructor(keyPair: KeyPair, remotePublicKey: Buffer | null);
    recv(message: Buffer): object;
  }
  export default NoiseWrap;
}
