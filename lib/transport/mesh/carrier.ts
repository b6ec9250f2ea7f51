import type { Duplex } from 'node:stream';
import { MeshError } from '../../structs/errors.js';
import type { LinkPath, NodeKey } from '../../structs/mesh.js';
import { byteStream } from '../byte-stream.js';
import { JoinChannel, REQUEST_MAX_BYTES } from '../join-messages.js';
import type { Connection, Network } from '../network.js';
import type { Roster } from '../peers.js';
import type { RpcContext, RpcStreamHandlers } from '../rpc.js';
import { type CallerOptions, join, roomyLink } from './caller.js';
import type { LiveLink } from './live-link.js';
import { RateLimit } from './notices.js';

// Connections by way of a member that both ends are linked with: where UDP to the internet is blocked, or no NAT can be passed.
// The carrier copies bytes that only the two ends understand; the windows of its two links bound what it holds.

/** Members that are asked to carry before a dial is given up. */
const TRIES_MAX = 3;
const HANDSHAKE_MS = 5_000;
/** Connections that pass through here, of everybody and of one member; each may hold a few MiB. */
const CARRIES_MAX = 32;
const CARRIES_PER_MEMBER_MAX = 8;
/** Of these, connections of machines that join. */
const JOINERS_MAX = 16;
const JOIN_MS = 10_000;
/** Handshakes of carried connections under way. */
const ARRIVALS_MAX = 32;
/** A machine on this network that is asked to carry is there at once or not at all. */
const LINK_WAIT_MS = 2_000;
const NEIGHBOURS_MAX = 64;
/** Who said nothing for so long may be gone. */
const SILENT_MS = 3_500;
/** Of one member: it asks again whenever it looks for one that is away. */
const ASKS = { burst: 40, perSecond: 4 };

export interface CarrierOptions extends Pick<CallerOptions, 'clock' | 'streamsOver' | 'link' | 'up'> {
  readonly own: NodeKey;
  readonly network: Network;
  readonly roster: Roster;
  /** The control links that are up. */
  controls(): readonly LiveLink[];
  /** Members whose address is known, for one that is linked with nobody. */
  known(): readonly NodeKey[];
  /** Whether the key may come in now. */
  admit(key: NodeKey): Promise<boolean>;
  open(connection: Connection): void;
}

/** Carries for others, and has others carry. */
export class Carrier {
  /** What other members ask. */
  readonly handlers: RpcStreamHandlers = {
    'Mesh.Carry': ({ To }, stream, context) =>
      void this.#carry(String(To), stream, context).catch((error: Error) => stream.destroy(error)),
    'Mesh.Carried': ({ From }, stream, context) =>
      void this.#arrive(String(From), stream, context).catch((error: Error) => stream.destroy(error)),
  };
  readonly #options: CarrierOptions;
  readonly #asks: RateLimit;
  /** Both ends of each connection that passes through here. */
  readonly #carries = new Set<readonly NodeKey[]>();
  readonly #neighbours = new Set<NodeKey>();
  #arrivals = 0;
  #joiners = 0;

  constructor(options: CarrierOptions) {
    this.#options = options;
    this.#asks = new RateLimit(options.clock, ASKS);
  }

  /** Multicast told of a member: it is on this network. */
  meetNeighbour(key: NodeKey): void {
    this.#neighbours.delete(key);
    this.#neighbours.add(key);
    for (const oldest of this.#neighbours) {
      if (this.#neighbours.size <= NEIGHBOURS_MAX) break;
      this.#neighbours.delete(oldest);
    }
  }

  /** A connection to a member by way of another one; rejects with the reasons of all that were asked. */
  async dial(key: NodeKey, signal: AbortSignal): Promise<Connection> {
    const reasons: string[] = [];
    for (const carrier of this.#candidates()
      .filter((one) => one !== key)
      .slice(0, TRIES_MAX)) {
      try {
        signal.throwIfAborted();
        const live = await this.#lent(carrier, signal);
        signal.throwIfAborted();
        live.usedAtMs = this.#options.clock.monotonicMs();
        return await this.#secure(live.link.stream('Mesh.Carry', { To: key }), { key, live, dialled: true, signal });
      } catch (error) {
        signal.throwIfAborted();
        reasons.push((error as Error).message);
      }
    }
    throw new Error(
      reasons.length === 0 ? 'no member is there to carry it' : `no member carries it: ${reasons.join('; ')}`,
    );
  }

  /**
   * Takes the connection of an invite to a server that is linked here: for a machine that can reach this member and no server.
   * Never throws; tells the joiner why not.
   */
  async carryJoiner(connection: Connection): Promise<void> {
    const channel = new JoinChannel(connection.stream, REQUEST_MAX_BYTES);
    try {
      if ((await channel.receive(JOIN_MS)).Type !== 'join') throw new MeshError('E_BAD_REQUEST', 'this is not join/1');
      const server = this.#nearest().find(({ claims }) => claims.Role === 'server');
      if (!server) throw new MeshError('E_NO_NODE_PATH', 'this member is no server, and linked with none');
      if (this.#joiners >= JOINERS_MAX) throw new MeshError('E_TOO_MANY', 'too many machines join here at the moment');
      this.#joiners++;
      connection.stream.once('close', () => this.#joiners--);
      this.#hold([connection.remoteKey, server.key], connection.stream);
      const live = await this.#lent(server.key, AbortSignal.timeout(JOIN_MS));
      channel.send({ Type: 'carried' });
      join(channel.release(), byteStream(live.link.stream('Mesh.Carried', { From: connection.remoteKey })));
    } catch (error) {
      const { code, message } = error instanceof MeshError ? error : new MeshError('E_NO_NODE_PATH', String(error));
      channel.send({ Type: 'refused', Code: code, Message: message });
      channel.close();
    }
  }

  /** Who may be asked to carry: those that are linked, the nearest first, then those on this network, then whoever is known. */
  #candidates(): NodeKey[] {
    const linked = this.#nearest().map(({ key }) => key);
    const others = linked.length > 0 ? [] : this.#options.known();
    return [...new Set([...linked, ...this.#neighbours, ...others])];
  }

  /** Linked by a link of their own, the nearest first. */
  #nearest(): LiveLink[] {
    return this.#options
      .controls()
      .filter(({ carried, claims, link }) => !carried && claims.Role !== 'operator' && link.silentMs < SILENT_MS)
      .sort((a, b) => a.rttMs - b.rttMs);
  }

  /** Notes both ends of what passes through here, as long as it does; throws E_TOO_MANY. */
  #hold(ends: readonly [NodeKey, NodeKey], stream: Duplex): void {
    const of = (key: NodeKey): number => [...this.#carries].filter((others) => others.includes(key)).length;
    const full = this.#carries.size >= CARRIES_MAX || ends.some((end) => of(end) >= CARRIES_PER_MEMBER_MAX);
    if (full || !this.#asks.take(ends[0])) throw new MeshError('E_TOO_MANY', 'too much is carried here already');
    this.#carries.add(ends);
    stream.once('close', () => this.#carries.delete(ends));
  }

  /** The link that is up with a member, if it is one of its own: nothing is carried twice. */
  #linked(key: NodeKey): LiveLink | undefined {
    const live = this.#options.up(key, 'control');
    return live?.carried ? undefined : live;
  }

  /** A link for bytes of others: bulk, or control where bulk takes long. */
  async #lent(key: NodeKey, signal: AbortSignal): Promise<LiveLink> {
    const control = await this.#options.link(key, 'control', LINK_WAIT_MS, signal);
    if (control.carried) throw new Error(`${control.claims.Name} has no link of its own here`);
    const need = { bytes: 0, waitMs: LINK_WAIT_MS, signal };
    const roomy = await roomyLink(key, this.#options, need).catch(() => control);
    return roomy.carried ? control : roomy;
  }

  async #carry(to: NodeKey, stream: Duplex, { peer, signal }: RpcContext): Promise<void> {
    const { own, roster } = this.#options;
    const from = peer?.key;
    if (from === undefined || to === own || to === from || roster.find(to)?.status !== 'admitted') {
      throw new MeshError('E_NOT_FOUND', `${to.slice(0, 8)} is no member that anything could be carried to`);
    }
    if (!this.#linked(to)) throw new MeshError('E_NO_NODE_PATH', `no link with ${to.slice(0, 8)} here`);
    this.#hold([from, to], stream);
    const live = await this.#lent(to, signal);
    if (stream.destroyed) return;
    join(byteStream(stream), byteStream(live.link.stream('Mesh.Carried', { From: from })));
  }

  async #arrive(from: NodeKey, stream: Duplex, { peer }: RpcContext): Promise<void> {
    const { roster, admit, open } = this.#options;
    const live = peer && this.#linked(peer.key);
    const mayCome = roster.find(from)?.status === 'admitted' || roster.isInvite(from);
    if (!live || from === live.key || !mayCome) {
      throw new MeshError('E_PERMISSION_DENIED', `${from.slice(0, 8)} may not come in here`);
    }
    if (this.#arrivals >= ARRIVALS_MAX || !this.#asks.take(live.key)) {
      throw new MeshError('E_TOO_MANY', 'too many come in at a time');
    }
    this.#arrivals++;
    try {
      const connection = await this.#secure(stream, { key: from, live, dialled: false });
      // Only now: a carrier that lies must not use up what the member itself may ask.
      if (await admit(from)) open(connection);
      else connection.stream.destroy();
    } finally {
      this.#arrivals--;
    }
  }

  /** Both ends prove themselves; the carrier's word for who they are is not believed. */
  async #secure(
    messages: Duplex,
    options: { key: NodeKey; live: LiveLink; dialled: boolean; signal?: AbortSignal },
  ): Promise<Connection> {
    const { key, live, dialled, signal } = options;
    const { network, clock } = this.#options;
    const bytes = byteStream(messages);
    let why: Error | undefined;
    bytes.on('error', (error) => {
      why ??= error;
    });
    const onAbort = (): void => void bytes.destroy(new Error('given up'));
    const cancel = clock.setTimeout(HANDSHAKE_MS, () => bytes.destroy(new Error('no handshake in time')));
    signal?.addEventListener('abort', onAbort, { once: true });
    const path = (): LinkPath => ({ Kind: 'relayed', Address: live.path.Address, Relay: live.key });
    try {
      const connection = await network.secure(bytes, { dialled, path });
      if (connection.remoteKey === key) return connection;
      connection.stream.destroy();
      throw new Error(`${live.claims.Name} carried to another key than the one it was asked for`);
    } catch (error) {
      bytes.destroy();
      throw why ?? error;
    } finally {
      cancel();
      signal?.removeEventListener('abort', onAbort);
    }
  }
}
