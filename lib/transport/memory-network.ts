import { MeshError } from '../structs/errors.js';
import type { LinkPath, NodeKey } from '../structs/mesh.js';
import type { Random } from '../util/random.js';
import type { MeshClock } from './clock.js';
import { MemoryStream, type MemoryWay } from './memory-stream.js';
import type {
  ConnectAs,
  Connection,
  DialOptions,
  Discovery,
  ListenOptions,
  NatReport,
  Network,
  Sighting,
} from './network.js';
import type { Address } from './tcp.js';

// The network port within one process, for tests and simulations: keys instead of sockets, faults on command. Only what a
// Network promises is modelled, and what the real one does badly: half-open connections, silence, stale addresses.

export interface MemoryNetworkOptions {
  clock: MeshClock;
  random: Random;
  /** One way, per chunk. Default 0: delivered in the same turn of the event loop. */
  delayMs?: number | ((from: NodeKey, to: NodeKey) => number);
  /** Each way of each connection. Default: no limit. */
  bytesPerSecond?: number;
  /** How long a dial waits for a key that is not there, or that refuses; at most what the dial itself allows. Default 4 s. */
  unreachableMs?: number;
}

/** A network in memory, and the hand that breaks it. */
export interface MemoryNetwork {
  /** A member's own end. A key that joins again stands for a restarted machine: its former connections die. */
  join(as: ConnectAs): Network;
  /** From now on nothing goes from `from` to `to`; connections stay open and silent. */
  cutOneWay(from: NodeKey, to: NodeKey): void;
  /** Nothing goes between members of different groups; who is named in no group keeps everything. */
  partition(groups: readonly (readonly NodeKey[])[]): void;
  /** Ends cuts and partitions: what waited arrives. */
  heal(): void;
  /** Both ends of every connection between two keys break with an error. */
  breakLinks(a: NodeKey, b: NodeKey): void;
  /** The power goes: connections stay open at the other ends, and silent. */
  powerOff(key: NodeKey): void;
  /** The next connection that is dialled to `key` opens at the dialler only. */
  halfOpenNext(key: NodeKey): void;
  /** A new address: connections fall silent; found by key only after the member itself called refresh(). */
  move(key: NodeKey): void;
  /** Without internet only addresses lead to a member, not its key. */
  setInternet(up: boolean): void;
  /** These two can only meet through a relay. */
  needRelay(a: NodeKey, b: NodeKey): void;
  /** Now these two can meet without one. */
  allowDirect(a: NodeKey, b: NodeKey): void;
  setNat(key: NodeKey, nat: NatReport['nat']): void;
  /** Open connections, each counted once. */
  connections(): number;
}

interface Host {
  as: ConnectAs;
  address: Address;
  /** Where others look for it by key. */
  announced: Address;
  listening: ListenOptions | undefined;
  relaying: ((key: NodeKey) => boolean) | undefined;
  nat: NatReport['nat'];
  changeListeners: (() => void)[];
  topics: Map<string, { announce: boolean; onFound: (found: Sighting) => void }>;
  refreshes: number;
  /** False once it closed, lost its power or was started again. */
  on: boolean;
}

interface Wire {
  readonly ends: readonly [MemoryStream, MemoryStream];
  readonly keys: readonly [NodeKey, NodeKey];
  /** Silent since an address changed or a machine went off. */
  dead: boolean;
}

const UNREACHABLE_MS = 4_000;
const PORT = 49_737;

export function createMemoryNetwork(options: MemoryNetworkOptions): MemoryNetwork {
  const { clock, random } = options;
  const hosts = new Map<NodeKey, Host>();
  const wires = new Map<NodeKey, Set<Wire>>();
  const cuts = new Set<string>();
  const relayOnly = new Set<string>();
  const halfOpen = new Set<NodeKey>();
  let groups: Map<NodeKey, number> = new Map();
  let internet = true;
  let nextHost = 1;
  const secure = memorySecure(random);

  const newAddress = (): Address => {
    const n = nextHost++;
    return { host: `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`, port: PORT };
  };
  const isCut = (from: NodeKey, to: NodeKey): boolean => {
    if (cuts.has(`${from}>${to}`)) return true;
    const a = groups.get(from);
    const b = groups.get(to);
    return a !== undefined && b !== undefined && a !== b;
  };
  const delayMs = (from: NodeKey, to: NodeKey): number =>
    typeof options.delayMs === 'function' ? options.delayMs(from, to) : (options.delayMs ?? 0);
  const wiresOf = (key: NodeKey): Set<Wire> => {
    const known = wires.get(key);
    if (known) return known;
    const made = new Set<Wire>();
    wires.set(key, made);
    return made;
  };
  const later = (ms: number): Promise<void> =>
    ms <= 0 ? Promise.resolve() : new Promise((resolve) => void clock.setTimeout(ms, resolve));
  const silence = (key: NodeKey): void => {
    for (const wire of wiresOf(key)) wire.dead = true;
  };

  function reachable(from: Host, to: Host | undefined, dial: DialOptions): to is Host {
    if (!to?.on || !to.listening || !from.on) return false;
    if (isCut(from.as.publicKey, to.as.publicKey) || isCut(to.as.publicKey, from.as.publicKey)) return false;
    const same = (address: Address): boolean => address.host === to.address.host && address.port === to.address.port;
    return (internet && same(to.announced)) || (dial.addresses ?? []).some(same);
  }

  function relayFor(from: Host, to: Host, dial: DialOptions): Host | undefined {
    return (dial.relays ?? [])
      .map((key) => hosts.get(key))
      .find(
        (relay) =>
          relay?.on === true &&
          relay.relaying?.(from.as.publicKey) === true &&
          relay.relaying(to.as.publicKey) &&
          !isCut(from.as.publicKey, relay.as.publicKey) &&
          !isCut(relay.as.publicKey, to.as.publicKey),
      );
  }

  function wire(from: Host, to: Host, as: ConnectAs, relay: Host | undefined): [Connection, Connection] {
    const keys: readonly [NodeKey, NodeKey] = [from.as.publicKey, to.as.publicKey];
    let made: Wire;
    const way = (a: NodeKey, b: NodeKey): MemoryWay => ({
      delayMs: () => delayMs(a, b),
      cut: () => made.dead || isCut(a, b),
      rate: () => options.bytesPerSecond ?? Number.POSITIVE_INFINITY,
    });
    const near = new MemoryStream(clock, way(keys[0], keys[1]));
    const far = new MemoryStream(clock, way(keys[1], keys[0]));
    near.peer = far;
    far.peer = near;
    made = { ends: [near, far], keys, dead: false };
    for (const key of keys) wiresOf(key).add(made);
    let open = 2;
    const closed = (): void => {
      if (--open === 0) for (const key of keys) wiresOf(key).delete(made);
    };
    near.once('close', closed);
    far.once('close', closed);
    const handshakeHash = Uint8Array.from({ length: 64 }, () => Math.floor(random.next() * 256));
    const path = (other: Host): (() => LinkPath) => {
      const address = `${(relay ?? other).address.host}:${PORT}`;
      return () =>
        relay ? { Kind: 'relayed', Address: address, Relay: relay.as.publicKey } : { Kind: 'memory', Address: address };
    };
    return [
      { stream: near, remoteKey: keys[1], localKey: as.publicKey, handshakeHash, dialled: true, path: path(to) },
      { stream: far, remoteKey: as.publicKey, localKey: keys[1], handshakeHash, dialled: false, path: path(from) },
    ];
  }

  async function dial(from: Host, key: NodeKey, dialOptions: DialOptions): Promise<Connection> {
    const as = dialOptions.as ?? from.as;
    const limitMs = Math.min(
      dialOptions.timeoutMs ?? Number.POSITIVE_INFINITY,
      options.unreachableMs ?? UNREACHABLE_MS,
    );
    const fail = async (why: string): Promise<never> => {
      await aborted(clock, limitMs, dialOptions.signal);
      throw new MeshError('E_TIMEOUT', `${key.slice(0, 8)} cannot be reached: ${why}`);
    };
    // One way there, one back: as long as the shortest handshake.
    await later(delayMs(from.as.publicKey, key));
    const to = hosts.get(key);
    if (!reachable(from, to, dialOptions)) return fail('no answer');
    const relayed = relayOnly.has(pair(from.as.publicKey, key));
    const relay = relayed ? relayFor(from, to, dialOptions) : undefined;
    if (relayed && !relay) return fail('both are behind NATs that cannot be passed, and no relay is known');
    const listening = to.listening as ListenOptions;
    let admitted = false;
    try {
      admitted = await listening.admit(as.publicKey);
    } catch {
      // What throws refuses.
    }
    // A refused key learns nothing: not even that somebody is there.
    if (!admitted) return fail('no answer');
    if (!to.on || !from.on) return fail('no answer');
    dialOptions.signal?.throwIfAborted();
    const [near, far] = wire(from, to, as, relay);
    if (halfOpen.delete(key)) for (const made of wiresOf(key)) made.dead ||= made.ends[0] === near.stream;
    else listening.onConnection(far);
    await later(delayMs(key, from.as.publicKey));
    return near;
  }

  function discover(
    host: Host,
    topics: readonly Uint8Array[],
    wish: { announce: boolean; onFound: (found: Sighting) => void },
  ): Discovery {
    const names = topics.map((topic) => Buffer.from(topic).toString('hex'));
    const meet = (): void => {
      for (const name of names) {
        for (const other of hosts.values()) {
          const theirs = other.topics.get(name);
          if (other === host || !other.on || !theirs || isCut(host.as.publicKey, other.as.publicKey)) continue;
          const tell = (to: typeof wish, about: Host): void =>
            void clock.setTimeout(delayMs(host.as.publicKey, other.as.publicKey), () =>
              to.onFound({ key: about.as.publicKey, addresses: [about.address], source: 'topic' }),
            );
          if (theirs.announce) tell(wish, other);
          if (wish.announce) tell(theirs, host);
        }
      }
    };
    for (const name of names) host.topics.set(name, wish);
    meet();
    return {
      async refresh() {
        if (host.on) meet();
      },
      async close() {
        for (const name of names) host.topics.delete(name);
      },
    };
  }

  function shutDown(host: Host): void {
    host.on = false;
    for (const made of wiresOf(host.as.publicKey)) for (const end of made.ends) end.destroy();
  }

  return {
    join(as) {
      const former = hosts.get(as.publicKey);
      if (former) {
        former.on = false;
        silence(as.publicKey);
      }
      const address = former?.address ?? newAddress();
      const host: Host = {
        as,
        address,
        announced: address,
        listening: undefined,
        relaying: undefined,
        nat: 'consistent',
        changeListeners: [],
        topics: new Map(),
        refreshes: 0,
        on: true,
      };
      hosts.set(as.publicKey, host);
      return {
        key: as.publicKey,
        async listen(listening) {
          host.listening = listening;
        },
        dial: (key, dialOptions = {}) => dial(host, key, dialOptions),
        discover: (topics, wish) => discover(host, topics, wish),
        report: () => ({
          nat: host.nat,
          publicAddress: host.nat === 'blocked' ? null : host.announced,
          localAddresses: [host.address],
          dht: internet ? 'answers' : 'silent',
          hasIpv4: true,
        }),
        async refresh() {
          host.refreshes++;
          host.announced = host.address;
        },
        onChange(listener) {
          host.changeListeners.push(listener);
        },
        secure: (stream, how) => secure(how.as ?? as, stream, how),
        async serveRelay(admit) {
          host.relaying = admit;
        },
        async close() {
          shutDown(host);
        },
      };
    },
    cutOneWay: (from, to) => void cuts.add(`${from}>${to}`),
    partition(parts) {
      groups = new Map(parts.flatMap((keys, index) => keys.map((key) => [key, index] as const)));
    },
    heal() {
      cuts.clear();
      groups = new Map();
      for (const made of new Set([...wires.values()].flatMap((set) => [...set])))
        for (const end of made.ends) end.heal();
    },
    breakLinks(a, b) {
      for (const made of wiresOf(a))
        if (made.keys.includes(b)) for (const end of made.ends) end.destroy(new Error('the connection broke'));
    },
    powerOff(key) {
      const host = hosts.get(key);
      if (host) host.on = false;
      silence(key);
    },
    halfOpenNext: (key) => void halfOpen.add(key),
    move(key) {
      const host = hosts.get(key);
      if (!host) return;
      host.address = newAddress();
      silence(key);
      for (const listener of host.changeListeners) listener();
    },
    setInternet(up) {
      internet = up;
    },
    needRelay: (a, b) => void relayOnly.add(pair(a, b)),
    allowDirect: (a, b) => void relayOnly.delete(pair(a, b)),
    setNat(key, nat) {
      const host = hosts.get(key);
      if (host) host.nat = nat;
    },
    connections: () => new Set([...wires.values()].flatMap((set) => [...set])).size,
  };
}

/** The handshake of a real network, without its secrets: each end says its key and a random number. */
function memorySecure(random: Random): (as: ConnectAs, ...args: Parameters<Network['secure']>) => Promise<Connection> {
  const SAID_BYTES = 64;
  return (as, stream, { dialled, path }) => {
    const own = Buffer.concat([
      Buffer.from(as.publicKey, 'hex'),
      Uint8Array.from({ length: 32 }, () => Math.floor(random.next() * 256)),
    ]);
    stream.write(own);
    return new Promise((resolve, reject) => {
      const onReadable = (): void => {
        const theirs = stream.read(SAID_BYTES) as Buffer | null;
        if (theirs === null) return;
        stream.off('readable', onReadable);
        const both = dialled ? [own, theirs] : [theirs, own];
        resolve({
          stream,
          remoteKey: theirs.subarray(0, 32).toString('hex'),
          localKey: as.publicKey,
          handshakeHash: Buffer.concat(both.map((said) => said.subarray(32))),
          dialled,
          carried: true,
          path,
        });
      };
      stream.on('readable', onReadable);
      stream.once('close', () => reject(new Error('no handshake over a carried connection: the bytes ended')));
    });
  };
}

function pair(a: NodeKey, b: NodeKey): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

/** Resolves after `ms`, or rejects as soon as the signal says so. */
function aborted(clock: MeshClock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.setTimeout(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
}
