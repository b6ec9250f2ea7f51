import type { KeyPair, SecretStream, Server } from 'hyperdht';
import type { Log } from '../../util/log.js';
import type { ListenOptions } from '../network.js';
import { toConnection } from './connection.js';
import type { DhtNode } from './node.js';
import { looksLikeRelay, type Relay } from './relay.js';

/** Strangers that may be asked about at the same time: a flood of them must not fill the memory. */
const ADMISSIONS_MAX = 256;
const ADMIT_MS = 5_000;
/** Whoever dialled speaks first; one that is silent for so long is handed on all the same. */
const FIRST_BYTES_MS = 1_000;

/**
 * Takes connections to the node's own key. hyperdht's listen() resolves when the DHT knows of it, which takes six seconds
 * without internet: here it resolves when the local network is served.
 */
export async function listen(options: {
  node: DhtNode;
  keyPair: KeyPair;
  listening: ListenOptions;
  /** Undefined while this node relays nothing. */
  relay: () => Relay | undefined;
  /** Whether others get through to this node with luck only. */
  needsRelay: () => boolean;
  log: Log;
}): Promise<Server> {
  const { node, listening, log, needsRelay } = options;
  const relayThrough = (): Buffer | null => {
    const [best] = needsRelay() ? (listening.relays?.() ?? []) : [];
    return best === undefined ? null : Buffer.from(best, 'hex');
  };
  const server = node.createServer({ firewall: createFirewall(options), relayThrough }, (raw) => {
    raw.on('error', () => {});
    accept(raw, options);
  });
  const announced = server.listen(options.keyPair);
  announced.then(
    () => log.debug('announced in the DHT'),
    (error: Error) => log.debug('not announced in the DHT', { error: error.message }),
  );
  // The socket is bound; one turn later hyperdht has taken the key.
  await new Promise((resolve) => setImmediate(resolve));
  return server;
}

/** True refuses, as hyperdht has it: whatever goes wrong refuses. */
function createFirewall({
  node,
  keyPair,
  listening,
  log,
}: Pick<Parameters<typeof listen>[0], 'node' | 'keyPair' | 'listening' | 'log'>): (key: Buffer) => Promise<boolean> {
  let asking = 0;
  return async (key) => {
    if (asking >= ADMISSIONS_MAX) return true;
    // Nobody has copied its key: see DhtNode.dialsItself.
    if (key.equals(keyPair.publicKey) && node.dialsItself) return true;
    asking++;
    const name = key.toString('hex');
    try {
      const admitted = await within(ADMIT_MS, Promise.resolve(listening.admit(name)));
      if (!admitted) log.debug('a connection was refused', { key: name });
      return admitted !== true;
    } catch (error) {
      log.debug('a connection was refused', { key: name, error: (error as Error).message });
      return true;
    } finally {
      asking--;
    }
  };
}

function accept(raw: SecretStream, options: Parameters<typeof listen>[0]): void {
  const { node, listening } = options;
  const relay = options.relay();
  if (!relay) {
    listening.onConnection(toConnection(node, raw, { dialled: false }));
    return;
  }
  // Members that want to be relayed come with the same key to the same key: their first bytes tell.
  const hand = (first: Buffer | undefined): void => {
    clearTimeout(timer);
    raw.removeListener('data', hand);
    if (raw.destroyed) return;
    if (first && looksLikeRelay(first)) {
      relay.accept(raw, first);
      return;
    }
    listening.onConnection(toConnection(node, raw, { dialled: false, ...(first ? { first } : {}) }));
  };
  const timer = setTimeout(() => hand(undefined), FIRST_BYTES_MS);
  raw.once('close', () => clearTimeout(timer));
  raw.on('data', hand);
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not decided within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
