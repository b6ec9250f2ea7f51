import type { ConnectOptions, default as DHT, HostPort, Options, SecretStream, Server, ServerOptions } from 'hyperdht';
import { MeshError } from '../../structs/errors.js';
import type { NodeKey } from '../../structs/mesh.js';
import { assert } from '../../util/assert.js';
import type { ConnectAs } from '../network.js';
import type { Address } from '../tcp.js';
import { type CreateHandshake, safeHandshakes } from './handshakes.js';
import { endableNames, type Names } from './names.js';

/**
 * Punches at a time through a NAT that has a new port for every destination: fifty packets a second each on one side, 256 sockets
 * on the other. One that the other side has given up goes on for 35 s: with hyperdht's limit of one, and its pause of 20 s, a
 * command line that is run again gets through to nobody.
 */
const RANDOM_PUNCHES_MAX = 6;
const RANDOM_PUNCH_INTERVAL_MS = 1;
/** A command of dht-rpc. */
const PING_NAT = 1;
/** The sampler of the own address keeps 32 samples: so many new ones leave nothing of the old. */
const SAMPLES = 40;

/** A node of the DHT, and what must be known of it that hyperdht keeps to itself. */
export interface DhtNode extends DHT {
  /** The member whose relay has this address in a connection that runs now. */
  relayAt(host: string, port: number): NodeKey | undefined;
  /** Whether it was told to meet somebody at a relay that it is itself, and connects to its own key for that. */
  readonly dialsItself: boolean;
  /** How often it connected to a relay so far. */
  readonly relaysDialled: number;
  /** Others see this node at another address now: what was sampled before is forgotten. */
  moved(to: HostPort): void;
  /**
   * Looks whether others reach this node unasked. hyperdht asks one node at the start and mistakes a quick DHT for a NAT, then
   * waits for 20 minutes; and behind a NAT it forgets every node that it asks in earnest.
   */
  checkReachable(witnesses: readonly HostPort[]): Promise<void>;
}

export interface NodeOptions {
  /** Never undefined: hyperdht would take the public nodes for it. */
  readonly bootstrap: 'public' | readonly Address[];
  /** 0: any. */
  readonly port: number;
  readonly host?: string | undefined;
  readonly identity?: ConnectAs;
  /** Serves others as a part of the DHT from the start; nothing stands between them and its port. */
  readonly serves?: boolean;
  /** Where others reach it, when that is not `host`. */
  readonly publicHost?: string;
}

/** The one place where a DHT is made. Resolves when the UDP port is bound; rejects with E_CONFLICT when it is taken. */
export async function createNode(options: NodeOptions): Promise<DhtNode> {
  const { default: Base } = await import('hyperdht');
  const bootstrap = bootstrapList(options.bootstrap, Base.BOOTSTRAP);
  const Node = nodeClass(Base, await safeHandshakes());
  const node = new Node({
    bootstrap,
    port: options.port === 0 ? [0, 0] : options.port,
    anyPort: false,
    randomPunchInterval: RANDOM_PUNCH_INTERVAL_MS,
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.identity ? { keyPair: Base.keyPair(options.identity.seed) } : {}),
    // Never `ephemeral: false` for a member: it would ask all nodes it knows to reach it unasked, and behind a NAT forget each
    // of them for not doing so.
    ...(options.serves ? { ephemeral: false, firewalled: false } : {}),
  });
  // The first of all has nobody to tell it its address.
  const publicHost = options.publicHost ?? options.host;
  if (options.serves && publicHost !== undefined && options.port !== 0)
    node.moved({ host: publicHost, port: options.port });
  try {
    await node.bind();
  } catch (error) {
    await node.destroy({ force: true }).catch(() => {});
    throw taken(options, error);
  }
  return node;
}

function taken({ port, serves }: NodeOptions, cause?: unknown): MeshError {
  return new MeshError(
    'E_CONFLICT',
    `UDP port ${port} is in use: end the program that has it, or choose another port with ${serves ? '-port' : 'mesh { port = … }'}`,
    { cause },
  );
}

function bootstrapList(wanted: 'public' | readonly Address[], known: readonly string[]): (HostPort | string)[] {
  if (wanted === 'public') return [...known];
  assert(Array.isArray(wanted), 'the bootstrap nodes are a list: anything else means the public ones to hyperdht');
  return wanted.map(({ host, port }) => ({ host, port }));
}

/** hyperdht is loaded when the first node is made, so its subclass is made then, too. */
function nodeClass(Base: typeof DHT, createHandshake: CreateHandshake): new (options: Options) => DhtNode {
  return class Node extends Base implements DhtNode {
    readonly #relays = new Map<SecretStream, NodeKey>();
    readonly #names: Names;
    relaysDialled = 0;

    constructor(options: Options) {
      super(options);
      this._randomPunchLimit = RANDOM_PUNCHES_MAX;
      const { udx } = this;
      this.#names = endableNames(udx.lookup.bind(udx), (host) =>
        Base.BOOTSTRAP.some((known) => known.includes(`@${host}:`)),
      );
      udx.lookup = this.#names.lookup;
    }

    override async destroy(how?: { force?: boolean }): Promise<void> {
      this.#names.end();
      try {
        await super.destroy(how);
      } finally {
        // One that could not bind forgets it, and the process would never end.
        await this.io.networkInterfaces.destroy();
      }
    }

    /** Without options it is hyperdht itself that dials, and that is always a relay. */
    override connect(key: Buffer, options?: ConnectOptions): SecretStream {
      const stream = super.connect(key, { ...options, createHandshake });
      if (options !== undefined) return stream;
      this.relaysDialled++;
      this.#relays.set(stream, key.toString('hex'));
      stream.on('error', () => {});
      stream.once('close', () => this.#relays.delete(stream));
      return stream;
    }

    override createServer(options: ServerOptions, onconnection?: (stream: SecretStream) => void): Server {
      return super.createServer({ ...options, createHandshake }, onconnection);
    }

    get dialsItself(): boolean {
      return [...this.#relays.values()].includes(this.defaultKeyPair.publicKey.toString('hex'));
    }

    relayAt(host: string, port: number): NodeKey | undefined {
      for (const [stream, key] of this.#relays)
        if (stream.rawStream?.remoteHost === host && stream.rawStream.remotePort === port) return key;
      return undefined;
    }

    moved(to: HostPort): void {
      for (let i = 0; i < SAMPLES; i++) this._nat.add(to.host, to.port);
    }

    /**
     * It has found that others reach this node, and at which port. Answers to what was sent from another port before come later, and a
     * few of them would make it doubt that for as long as it hears little: it would meet nobody behind a symmetric NAT.
     */
    override async _updateNetworkState(onlyFirewall?: boolean): Promise<boolean> {
      const found = await super._updateNetworkState(onlyFirewall);
      if (found && this.host !== null) this.moved({ host: this.host, port: this.port });
      return found;
    }

    async checkReachable(witnesses: readonly HostPort[]): Promise<void> {
      if (!this.firewalled) return;
      const answers = witnesses.map(({ host, port }) => this.#reachesUnasked({ id: null, host, port }));
      if ((await Promise.all(answers)).includes(true)) await this._updateNetworkState(true);
    }

    /** Asks a node to answer to the port that nothing was sent from. One without an id is not forgotten if it does not. */
    #reachesUnasked(to: HostPort & { id: null }): Promise<boolean> {
      const own = Buffer.alloc(2);
      own.writeUInt16LE(this.localAddress()?.port ?? 0);
      return new Promise((resolve) => {
        const answered = (): void => resolve(true);
        const silent = (): void => resolve(false);
        if (!this._request(to, false, true, PING_NAT, null, own, null, answered, silent)) resolve(false);
      });
    }
  };
}
