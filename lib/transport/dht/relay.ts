import type { SecretStream } from 'hyperdht';
import type { NodeKey } from '../../structs/mesh.js';
import type { Log } from '../../util/log.js';
import type { DhtNode } from './node.js';

// Two members whose NATs nobody can pass meet on a third that others can reach. It carries ciphertext between two UDP
// addresses and knows nothing of it. The protocol is blind-relay's; hyperdht speaks it on both ends by itself.

const STREAMS_MAX = 512;
const PROTOCOL = Buffer.from('blind-relay');
/** The protocol's name stands near the head of the first message (Protomux: 0, 1, channel, length, name). */
const HEAD_BYTES = 24;

export interface Relay {
  /** `first`: what was read of it already. */
  accept(raw: SecretStream, first: Buffer): void;
  close(): Promise<void>;
}

/** Whether the first bytes of a connection ask for the relay. */
export function looksLikeRelay(first: Buffer): boolean {
  return first[0] === 0 && first[1] === 1 && first.subarray(0, HEAD_BYTES).includes(PROTOCOL);
}

export async function createRelay(options: {
  node: DhtNode;
  admit: (key: NodeKey) => boolean;
  log: Log;
}): Promise<Relay> {
  const { node, admit, log } = options;
  const { default: blindRelay } = await import('blind-relay');
  const server = new blindRelay.Server({ createStream: (wanted) => node.createRawStream({ ...wanted, framed: true }) });
  return {
    accept(raw, first) {
      const key = raw.remotePublicKey.toString('hex');
      const why = refusal(key);
      if (why !== undefined) {
        log.debug('did not relay', { key, why });
        raw.destroy();
        return;
      }
      log.debug('relays', { key });
      raw.pause();
      raw.unshift(first);
      server.accept(raw, { id: raw.remotePublicKey }).on('error', (error: Error) => {
        log.debug('a relayed connection broke', { key, error: error.message });
      });
      raw.resume();
    },
    close: () => server.close(),
  };

  function refusal(key: NodeKey): string | undefined {
    if (node.firewalled) return 'others cannot reach this node';
    if (server.stats.streams.active >= STREAMS_MAX) return 'too many connections pass already';
    return admit(key) ? undefined : 'not a member';
  }
}
