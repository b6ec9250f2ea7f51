import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { RaftTransport } from '../../server/ports.js';
import { MeshError } from '../../structs/errors.js';
import type { Peers } from '../../transport/peers.js';
import type { RpcStreamHandlers } from '../../transport/rpc.js';

/** Pieces of a snapshot: one is held in memory at a time, and a heartbeat waits for none. */
const PIECE_BYTES_MAX = 64 * 1024;

type Receive = Parameters<RaftTransport['onSnapshot']>[0];
type Message = { Data?: unknown; Digest?: unknown };

/** How servers reach each other over the mesh, and what they answer there. */
export interface MeshRaftTransport extends RaftTransport {
  readonly streamHandlers: RpcStreamHandlers;
}

/** Messages as datagrams between members, snapshots as streams on the bulk link. */
export function raftTransport(peers: Peers): MeshRaftTransport {
  let receive: Receive | undefined;
  return {
    send: (to, message) => peers.send(to, 'raft', message),
    onMessage: (listener) => peers.onDatagram('raft', listener),
    onSnapshot(listener) {
      receive = listener;
    },
    async sendSnapshot(to, { head, chunks }, signal) {
      const stream = peers.caller(to).stream('Raft.Snapshot', { Head: Buffer.from(head).toString('base64') });
      const abort = (): void => void stream.destroy(new MeshError('E_TIMEOUT', 'the snapshot is no longer wanted'));
      signal.addEventListener('abort', abort, { once: true });
      try {
        await Promise.all([write(stream, chunks), answered(stream)]);
      } finally {
        signal.removeEventListener('abort', abort);
        stream.destroy();
      }
    },
    streamHandlers: {
      'Raft.Snapshot': ({ Head }, stream, { peer }) => {
        stream.on('error', () => {});
        if (!receive || peer?.role !== 'server') {
          stream.destroy(new MeshError('E_PERMISSION_DENIED', 'snapshots are taken from servers only'));
          return;
        }
        const head = new Uint8Array(Buffer.from(String(Head), 'base64'));
        receive(peer.key, { head, chunks: checked(stream) }).then(
          () => {
            stream.write({ Stored: true });
            stream.end();
          },
          (error: Error) => stream.destroy(error),
        );
      },
    },
  };
}

async function write(stream: Duplex, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const digest = createHash('sha256');
  const send = (message: object): Promise<void> =>
    new Promise((resolve, reject) => {
      stream.write(message, (error) => (error ? reject(error) : resolve()));
    });
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES_MAX) {
      const piece = chunk.subarray(at, at + PIECE_BYTES_MAX);
      digest.update(piece);
      await send({ Data: new Uint8Array(piece) });
    }
  }
  await send({ Digest: digest.digest('hex') });
  stream.end();
}

/** Resolves when the other side says that it has stored everything. */
function answered(stream: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    let stored = false;
    stream.on('data', (message: { Stored?: unknown }) => {
      stored ||= message.Stored === true;
    });
    stream.once('error', reject);
    stream.once('close', () => {
      if (stored) resolve();
      else reject(new MeshError('E_TIMEOUT', 'the snapshot was not stored: the link was lost'));
    });
    stream.once('end', () => {
      if (stored) resolve();
    });
  });
}

/** The bytes of a snapshot that is coming in; throws when it breaks off, or is not what was sent. */
async function* checked(stream: Duplex): AsyncGenerator<Uint8Array> {
  const digest = createHash('sha256');
  let said: unknown;
  for await (const message of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Message>) {
    if (message.Data instanceof Uint8Array) {
      digest.update(message.Data);
      yield message.Data;
    } else said = message.Digest;
  }
  if (said !== digest.digest('hex'))
    throw new MeshError('E_STORAGE', 'a snapshot arrived damaged or in part: it is thrown away');
}
