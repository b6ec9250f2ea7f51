import { Duplex } from 'node:stream';
import { unknownOutcome } from '../../server/consensus-errors.js';
import { type MethodClass, methodClass } from '../../server/method-class.js';
import { MeshError } from '../../structs/errors.js';
import type { NodeKey } from '../../structs/mesh.js';
import type { Peer, Peers } from '../../transport/peers.js';
import type { CallOptions } from '../../transport/rpc.js';
import type { RemoteServer } from '../remote-server.js';

/** How long a call waits for a link to any server before it fails, unless it says otherwise. */
const LINK_WAIT_MS = 5_000;
/** A server that knew no leader is passed over for so long, where another is linked. */
const LEADERLESS_MS = 5_000;
/** How often a call that changes nothing is asked anew when the link to the server that was to answer is lost. */
const LOSSES_MAX = 3;

export interface MeshServersOptions {
  peers: Pick<Peers, 'linked' | 'onLink' | 'caller' | 'key'>;
  /** Everybody who may serve, as known now. */
  servers: () => readonly NodeKey[];
  nameOf: (key: NodeKey) => string;
  /** Whether this machine is a client of the mesh, and no more. */
  isClient: () => boolean;
  /** Milliseconds that only go forward. */
  monotonicMs: () => number;
}

/**
 * The servers of the mesh as one: asked is the one asked before while its link stands, else the best of those that are linked.
 * Links are kept by the link manager; when one is lost the next call goes to another server at once, and so does one that waits
 * for an answer and changes nothing: who follows a job or a drain does not notice that a server died.
 */
export function meshServers(options: MeshServersOptions): RemoteServer {
  const { peers, servers, nameOf, isClient, monotonicMs } = options;
  const leaderlessUntil = new Map<NodeKey, number>();
  const waiters = new Set<() => void>();
  /** How many links were lost, by the server at the other end. */
  const losses = new Map<NodeKey, number>();
  let current: NodeKey | undefined;
  let closed = false;
  /** Since when no server is linked, while none is. */
  let linklessSince = monotonicMs();

  const candidates = (): Peer[] => {
    const wanted = new Set(servers());
    return peers.linked().filter(({ key }) => wanted.has(key));
  };
  const isLeaderless = (key: NodeKey): boolean => (leaderlessUntil.get(key) ?? 0) > monotonicMs();

  /** The server to ask now; undefined when none is linked. */
  const pick = (): NodeKey | undefined => {
    const linked = candidates();
    const same = linked.find(({ key }) => key === current);
    if (same && !isLeaderless(same.key)) return same.key;
    const [best] = linked.sort((a, b) => costOf(a) - costOf(b));
    current = best?.key;
    return current;
  };
  const costOf = ({ key, report }: Peer): number =>
    (isLeaderless(key) ? 1e6 : 0) + (report.Path.Kind === 'relayed' ? 1e3 : 0) + report.RttMs;

  peers.onLink(({ key }, up) => {
    if (!up) {
      losses.set(key, (losses.get(key) ?? 0) + 1);
      if (candidates().length === 0) linklessSince = monotonicMs();
    } else for (const wake of [...waiters]) wake();
  });

  const noServer = (): MeshError => {
    const names = servers().map(nameOf);
    const here = isClient() ? '; what runs here: "meshnomad node status -self"' : '';
    return new MeshError(
      'E_NO_LEADER',
      names.length === 0
        ? 'this machine knows no server of its mesh yet'
        : `no server of the mesh is linked (tried: ${names.join(', ')}); "meshnomad net" says more${here}`,
    );
  };

  function ready({ signal, linklessMs }: CallOptions): Promise<NodeKey> {
    if (closed) return Promise.reject(new MeshError('E_TIMEOUT', 'this agent shuts down'));
    const key = pick();
    if (key !== undefined) return Promise.resolve(key);
    const waitMs = linklessMs === undefined ? LINK_WAIT_MS : Math.max(0, linklessSince + linklessMs - monotonicMs());
    return new Promise((resolve, reject) => {
      const end = (found: NodeKey | undefined): void => {
        clearTimeout(timer);
        waiters.delete(look);
        signal?.removeEventListener('abort', giveUp);
        if (found !== undefined) resolve(found);
        else reject(noServer());
      };
      const look = (): void => {
        const found = closed ? undefined : pick();
        if (found !== undefined || closed) end(found);
      };
      const giveUp = (): void => end(undefined);
      const timer = setTimeout(giveUp, waitMs);
      signal?.addEventListener('abort', giveUp, { once: true });
      waiters.add(look);
    });
  }

  return {
    get linked() {
      return candidates().length > 0;
    },
    get current() {
      const key = current;
      return key !== undefined && candidates().some((peer) => peer.key === key) ? nameOf(key) : '';
    },
    async call(method, args, callOptions = {}) {
      for (let lost = 0; ; lost++) {
        const key = await ready(callOptions);
        const before = losses.get(key);
        try {
          return await peers.caller(key).call(method, args, callOptions);
        } catch (error) {
          if (!(error instanceof MeshError)) throw error;
          if (error.code === 'E_NO_LEADER') leaderlessUntil.set(key, monotonicMs() + LEADERLESS_MS);
          if (error.code === 'E_PERMISSION_DENIED' && isClient()) throw clientsLot(error);
          const isLost = error.code === 'E_TIMEOUT' && losses.get(key) !== before;
          if (!isLost || callOptions.signal?.aborted) throw error;
          const kind = methodClass(method, args);
          if (kind === 'write') throw unknownOutcome(error.message);
          if (!MAY_REPEAT.has(kind) || lost >= LOSSES_MAX) throw error;
        }
      }
    },
    stream(method, args) {
      const key = pick();
      if (key !== undefined) return peers.caller(key).stream(method, args);
      const refused = new Duplex({ objectMode: true, read() {}, write: (_chunk, _encoding, done) => done() });
      process.nextTick(() => refused.destroy(noServer()));
      return refused;
    },
    close() {
      closed = true;
      for (const wake of [...waiters]) wake();
    },
  };
}

/** What may be asked of another server when the one asked is gone: doing it twice is as good as once. */
const MAY_REPEAT: ReadonlySet<MethodClass> = new Set(['read', 'readHere', 'again']);

/** Who types on a client is told where to type. */
function clientsLot({ message }: MeshError): MeshError {
  return new MeshError(
    'E_PERMISSION_DENIED',
    `${message}: from a machine that only runs work nobody changes who is in the mesh or leads it, nor sees others' work where the servers say mesh { client_api = false }. Ask on a server; or "meshnomad invite -role operator" there, "meshnomad operator login" here, and -address mesh`,
  );
}
