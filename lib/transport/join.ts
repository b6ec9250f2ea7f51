import type { Duplex } from 'node:stream';
import { MeshError } from '../structs/errors.js';
import { type LinkPath, MESH_ROLES, type MeshMember, type NodeKey } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';
import { verifyChain } from './certificate.js';
import { discoveryDays, discoveryTopic, type Invite, inviteKey } from './invite.js';
import {
  ANSWER_MAX_BYTES,
  JOIN_VERSION,
  JoinChannel,
  type JoinedAnswer,
  refusal,
  type ServerPlace,
} from './join-messages.js';
import type { Connection, Network } from './network.js';
import type { Membership } from './roster.js';
import { isKey, type SigningKey, sign, verify } from './signature.js';
import type { Address } from './tcp.js';

// The joiner's side of join/1: find a server of the mesh that the invite names, by its hints, by the topic of the day, and
// prove to it who we are. Asking twice is harmless: the servers know the key that an invite was used with.

const TIMEOUT_MS = 60_000;
const DIAL_MS = 10_000;
/** So long a server may take for each message; it says something every 15 s while somebody has to approve. */
const ANSWER_MS = 45_000;
/** A server behind a member that passes our bytes on has so long for its handshake. */
const CARRIED_MS = 10_000;
const RETRY_MS = 1_000;
/** So often, until the time is up, whoever watches is told that nobody has answered yet. */
const TELLINGS = 6;
const DIALS_MAX = 4;
/** Where a topic leads to may be anybody: so many keys are tried. */
const CANDIDATES_MAX = 64;
/** Another server, or the same one later, may answer otherwise. */
const PASSING = new Set(['E_TIMEOUT', 'E_NO_LEADER', 'E_TOO_MANY', 'E_STORAGE', 'E_INTERNAL', 'E_NO_NODE_PATH']);

export interface JoinOptions {
  readonly invite: Invite;
  readonly network: Network;
  /** This machine's own key: what is admitted. */
  readonly identity: SigningKey;
  /** The name wanted; the invite may say another. */
  readonly name: string;
  /** Nobody has chosen the name: a number may be put behind it. */
  readonly rename: boolean;
  readonly facts: Record<string, string>;
  /** Name of the member that this machine was before it was installed anew. */
  readonly replace?: string;
  readonly now: () => Millis;
  readonly signal?: AbortSignal;
  /** Until a server has answered. */
  readonly timeoutMs?: number;
  /** Nobody has answered so far; `why`: what the last attempt came to, '' before any ended. Six times. */
  readonly onWaiting?: (about: { seconds: number; why: string }) => void;
  /** Somebody has to approve; the words are to be shown. From now on there is no limit of time. */
  readonly onPending?: (about: { name: string; words: string }) => void;
}

export interface Joined {
  /** For `saveMembership`. */
  readonly membership: Membership;
  readonly member: MeshMember;
  /** Where servers are to be reached: for the address book. */
  readonly places: readonly ServerPlace[];
  /** The server that was asked, and how it was reached. */
  readonly via: { readonly key: NodeKey; readonly path: LinkPath };
}

/**
 * Joins a mesh. Rejects with the servers' own refusal, or with E_TIMEOUT that says what was tried. After a lost answer call it
 * again: the same key with the same invite is the same join.
 */
export async function joinMesh(options: JoinOptions): Promise<Joined> {
  const { invite, network, now } = options;
  const search = new Search(options);
  const topics = discoveryDays(now()).map((day) => discoveryTopic(invite.discoverySecret, day));
  const discovery = network.discover(topics, {
    announce: false,
    onFound: ({ key, addresses }) => search.consider(key, addresses),
  });
  search.consider(invite.server, invite.hints);
  try {
    return await search.done;
  } finally {
    void discovery.close().catch(() => {});
  }
}

/** Tries everybody who may be a server, a few at a time, until one has answered for good. */
class Search {
  readonly done: Promise<Joined>;
  readonly #options: JoinOptions;
  readonly #as: SigningKey;
  readonly #stop = new AbortController();
  readonly #candidates = new Map<NodeKey, readonly Address[]>();
  readonly #trying = new Set<NodeKey>();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** One at a time asks to be let in. */
  #turn: Promise<void> = Promise.resolve();
  #last = '';
  #queue: NodeKey[] = [];
  #resolve!: (joined: Joined) => void;
  #reject!: (error: unknown) => void;
  #limit: NodeJS.Timeout | undefined;
  #waiting: NodeJS.Timeout | undefined;

  constructor(options: JoinOptions) {
    this.#options = options;
    this.#as = inviteKey(options.invite.seed);
    this.done = new Promise<Joined>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    }).finally(() => {
      this.#stop.abort();
      this.#answered();
      for (const timer of this.#timers) clearTimeout(timer);
    });
    const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#limit = setTimeout(() => this.#reject(this.#nobody(timeoutMs)), timeoutMs);
    const everyMs = timeoutMs / TELLINGS;
    let told = 0;
    const tell = (): void => options.onWaiting?.({ seconds: (++told * everyMs) / 1000, why: this.#last });
    this.#waiting = setInterval(tell, everyMs);
    const { signal } = options;
    if (signal?.aborted) this.#reject(signal.reason);
    signal?.addEventListener('abort', () => this.#reject(signal.reason), { once: true, signal: this.#stop.signal });
  }

  consider(key: NodeKey, addresses: readonly Address[]): void {
    const known = this.#candidates.get(key);
    if (!known && this.#candidates.size >= CANDIDATES_MAX) return;
    this.#candidates.set(key, [...(known ?? []), ...addresses].slice(-8));
    if (!known) this.#queue.push(key);
    this.#next();
  }

  #next(): void {
    while (!this.#stop.signal.aborted && this.#trying.size < DIALS_MAX) {
      const key = this.#queue.shift();
      if (key === undefined) return;
      this.#trying.add(key);
      void this.#attempt(key).finally(() => {
        this.#trying.delete(key);
        this.#next();
      });
    }
  }

  async #attempt(key: NodeKey): Promise<void> {
    const { signal } = this.#stop;
    let connection: Connection | undefined;
    try {
      connection = await this.#options.network.dial(key, {
        as: this.#as,
        addresses: this.#candidates.get(key) ?? [],
        timeoutMs: DIAL_MS,
        signal,
      });
      const joined = await this.#inTurn(connection);
      if (joined) this.#resolve(joined);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof MeshError && !PASSING.has(error.code) && !(error instanceof Impostor)) {
        this.#reject(error);
        return;
      }
      this.#last = (error as Error).message;
      this.#again(key);
    } finally {
      connection?.stream.destroy();
    }
  }

  /** Somebody who may say yes or no is there: no more limit of time. */
  #answered(): void {
    clearTimeout(this.#limit);
    clearInterval(this.#waiting);
  }

  #again(key: NodeKey): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#queue.push(key);
      this.#next();
    }, RETRY_MS);
    this.#timers.add(timer);
  }

  async #inTurn(connection: Connection): Promise<Joined | undefined> {
    const before = this.#turn;
    let end = (): void => {};
    this.#turn = new Promise((resolve) => {
      end = resolve;
    });
    await before;
    try {
      if (this.#stop.signal.aborted) return undefined;
      return await ask(this.#options, connection, this.#stop.signal, () => this.#answered());
    } finally {
      end();
    }
  }

  #nobody(timeoutMs: number): MeshError {
    const { hints } = this.#options.invite;
    const at =
      hints.length === 0 ? '' : ` (last known at ${hints.map(({ host, port }) => `${host}:${port}`).join(', ')})`;
    const why = this.#last === '' ? '' : `; last: ${this.#last}`;
    return new MeshError(
      'E_TIMEOUT',
      `no server of the mesh answered within ${timeoutMs / 1000} s${at}${why}. Is one of them running, and does this machine reach the internet or their network? The invite may also have been forgotten: they are a day after their end`,
    );
  }
}

/** Not a server of the mesh that the invite names: somebody else answers for the topic. */
class Impostor extends MeshError {
  constructor(why: string) {
    super('E_PERMISSION_DENIED', `who answered is no server of this mesh: ${why}`);
  }
}

async function ask(
  options: JoinOptions,
  connection: Connection,
  signal: AbortSignal,
  onAnswer: () => void,
): Promise<Joined> {
  const { invite, identity } = options;
  const { handshakeHash } = connection;
  const channel = new JoinChannel(connection.stream, ANSWER_MAX_BYTES);
  channel.send({ Type: 'join', Version: JOIN_VERSION });
  const hello = await channel.receive(ANSWER_MS, signal);
  if (hello.Type === 'carried') return askThrough(channel.release(), options, connection, signal, onAnswer);
  if (hello.Type === 'refused') throw refusal(hello);
  if (hello.Type !== 'server') throw new Impostor('it does not speak join/1');
  const judged = verifyChain(hello.Chain, { mesh: invite.mesh, key: connection.remoteKey, nowMs: options.now() });
  if (!judged.ok) throw new Impostor(judged.error.message);
  if (judged.value.claims.Role !== 'server') throw new Impostor('it is a client');
  const signature = Buffer.from(String(hello.Signature), 'base64url');
  const proof = { by: connection.remoteKey, signature };
  if (!verify(proof, 'meshnomad/join-server/1', handshakeHash, connection.localKey)) {
    throw new Impostor('it does not hold the key of its certificate');
  }
  channel.send({
    Type: 'request',
    Key: identity.publicKey,
    Name: options.name,
    Rename: options.rename,
    Facts: options.facts,
    Replace: options.replace ?? '',
    Signature: sign(identity, 'meshnomad/join/1', handshakeHash, identity.publicKey).toString('base64url'),
  });
  for (;;) {
    const message = await channel.receive(ANSWER_MS, signal);
    switch (message.Type) {
      case 'wait':
        break;
      case 'pending':
        onAnswer();
        options.onPending?.({ name: String(message.Name), words: String(message.Words) });
        break;
      case 'refused':
        throw refusal(message);
      case 'joined':
        return readJoined(message, options, connection);
      default:
        throw new Impostor('it does not speak join/1');
    }
  }
}

/** A member that is no server passes our bytes on to one; it sees ciphertext, and whom we meet proves who it is as any server does. */
async function askThrough(
  stream: Duplex,
  options: JoinOptions,
  member: Connection,
  signal: AbortSignal,
  onAnswer: () => void,
): Promise<Joined> {
  if (member.carried) throw new Impostor('it passes on what is passed on already');
  const path = (): LinkPath => ({ Kind: 'relayed', Address: member.path().Address, Relay: member.remoteKey });
  const late = setTimeout(() => stream.destroy(), CARRIED_MS);
  try {
    const as = inviteKey(options.invite.seed);
    const connection = await options.network.secure(stream, { dialled: true, path, as });
    clearTimeout(late);
    return await ask(options, connection, signal, onAnswer);
  } catch (error) {
    if (error instanceof MeshError) throw error;
    throw new MeshError('E_TIMEOUT', `a member that passes bytes on led to no server: ${(error as Error).message}`);
  } finally {
    clearTimeout(late);
  }
}

/** Whether everything that is kept is of the kind it should be. */
function isWhole({ Mesh, Members, Places }: JoinedAnswer): boolean {
  const isText = (value: unknown): boolean => typeof value === 'string';
  return (
    [Mesh?.Root, Mesh?.Name, Mesh?.SealedRoot].every(isText) &&
    [Mesh.CreatedAt, Mesh.DiscoveryEpoch, Mesh.NextSerial].every(Number.isSafeInteger) &&
    Array.isArray(Mesh.DiscoverySecrets) &&
    Mesh.DiscoverySecrets.every(isKey) &&
    Array.isArray(Members) &&
    Members.every(
      (one) => isKey(one?.Key) && isText(one.Name) && MESH_ROLES.includes(one.Role) && isText(one.Status),
    ) &&
    Array.isArray(Places) &&
    Places.every((place) => isKey(place?.Key) && Array.isArray(place.Addresses) && place.Addresses.every(isText))
  );
}

/** The answer, held to what the invite and our own key say. */
function readJoined(answer: JoinedAnswer, options: JoinOptions, connection: Connection): Joined {
  const { Member, Mesh, Members, Places } = answer;
  const { invite, identity } = options;
  const judged = verifyChain(Member?.Chain, { mesh: invite.mesh, key: identity.publicKey, nowMs: options.now() });
  if (!judged.ok) throw new Impostor(`its answer does not hold: ${judged.error.message}`);
  if (!isWhole(answer) || Mesh.Root !== invite.mesh) throw new Impostor('its answer is not whole');
  const { Name, Role } = judged.value.claims;
  const own = { Key: identity.publicKey, Name, Role, Status: 'admitted' as const };
  const others = Members.filter(({ Key }) => Key !== identity.publicKey);
  return {
    membership: { Mesh, Chain: Member.Chain, Members: [...others, own] },
    member: Member,
    places: Places,
    via: { key: connection.remoteKey, path: connection.path() },
  };
}
