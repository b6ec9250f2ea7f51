import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { MeshError } from '../structs/errors.js';
import type { Peers } from '../transport/peers.js';
import type { RpcContext, RpcStreamHandlers } from '../transport/rpc.js';
import type { RaftTransport } from './ports.js';

/** What goes as a datagram on the control link; more goes in pieces on the bulk link, where it delays no heartbeat. */
const DATAGRAM_BYTES_MAX = 512 * 1024;
const PIECE_BYTES = 256 * 1024;
/** A message in pieces: a command may be as large as a request to the API, and an append carries at least one. */
const MESSAGE_BYTES_MAX = 128 * 1024 * 1024;

/** How servers reach each other over the links of a mesh, and what they answer there. */
export interface MeshRaftTransport extends RaftTransport {
  readonly streamHandlers: RpcStreamHandlers;
}

type Receiver = Parameters<RaftTransport['onSnapshot']>[0];

/** Messages as datagrams, or in pieces when they are large; snapshots as streams. */
export function meshRaftTransport(peers: Peers): MeshRaftTransport {
  let onMessage: (from: string, message: Uint8Array) => void = () => {};
  let receive: Receiver = () => Promise.reject(new MeshError('E_NOT_SUPPORTED', 'this agent is no server'));
  peers.onDatagram('raft', (from, data) => onMessage(from, data));
  return {
    send(to, message) {
      if (message.length <= DATAGRAM_BYTES_MAX) peers.send(to, 'raft', message);
      else sendLarge(peers.caller(to).stream('Raft.Message', {}), message);
    },
    onMessage(listener) {
      onMessage = listener;
    },
    async sendSnapshot(to, { head, chunks }, signal) {
      const Head = Buffer.from(head).toString('base64');
      await sendSnapshot(peers.caller(to).stream('Raft.Snapshot', { Head }), chunks, signal);
    },
    onSnapshot(receiver) {
      receive = receiver;
    },
    streamHandlers: {
      'Raft.Message': (_, stream, context) => {
        stream.on('error', () => {});
        collect(stream)
          .then((message) => onMessage(sender(context), message))
          .catch(() => {})
          .finally(() => stream.destroy());
      },
      'Raft.Snapshot': ({ Head }, stream, context) => {
        const head = new Uint8Array(Buffer.from(String(Head), 'base64'));
        stream.on('error', () => {});
        receiveSnapshot(stream, (chunks) => receive(sender(context), { head, chunks }));
      },
    },
  };
}

function sender(context: RpcContext): string {
  const { peer } = context;
  if (peer?.role === 'server') return peer.key;
  throw new MeshError('E_PERMISSION_DENIED', 'only another server may say this');
}

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

/** Best effort: raft sends again what was lost. */
function sendLarge(stream: Duplex, message: Uint8Array): void {
  stream.on('error', () => {});
  stream.resume();
  for (const Data of pieces(message)) stream.write({ Data });
  stream.end();
}

async function collect(stream: Duplex): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const { Data } of stream as AsyncIterable<{ Data: unknown }>) {
    if (!(Data instanceof Uint8Array)) throw new MeshError('E_BAD_REQUEST', 'a message is made of bytes');
    bytes += Data.length;
    if (bytes > MESSAGE_BYTES_MAX)
      throw new MeshError('E_TOO_LARGE', `a message of more than ${MESSAGE_BYTES_MAX} bytes`);
    parts.push(Data);
  }
  return Buffer.concat(parts);
}

async function sendSnapshot(stream: Duplex, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  // What the other side says counts at any time: it may have enough before all is sent.
  const answer = new Promise<void>((resolve, reject) => {
    stream.on('data', (message: { Stored?: true }) => message.Stored === true && resolve());
    stream.on('error', reject);
    stream.on('close', () => reject(new MeshError('E_TIMEOUT', 'the stream ended before the snapshot was stored')));
  });
  const giveUp = (): void => void stream.destroy(new MeshError('E_TIMEOUT', 'sending the snapshot was given up'));
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    await Promise.race([answer, writeSnapshot(stream, chunks, answer)]);
    await answer;
  } finally {
    signal.removeEventListener('abort', giveUp);
    stream.destroy();
  }
}

async function writeSnapshot(stream: Duplex, chunks: AsyncIterable<Uint8Array>, over: Promise<void>): Promise<void> {
  const digest = createHash('sha256');
  for await (const chunk of chunks) {
    for (const Data of pieces(chunk)) {
      if (stream.destroyed) return;
      digest.update(Data);
      if (!stream.write({ Data })) await Promise.race([once(stream, 'drain'), over]);
    }
  }
  stream.end({ Digest: digest.digest('hex') });
}

function receiveSnapshot(stream: Duplex, store: (chunks: AsyncIterable<Uint8Array>) => Promise<void>): void {
  Promise.resolve()
    .then(() => store(checked(stream)))
    .then(
      () => void stream.end({ Stored: true }),
      (error: Error) => void stream.destroy(error),
    );
}

/** The pieces of a snapshot; throws at the end unless they are what was sent. */
async function* checked(stream: Duplex): AsyncIterable<Uint8Array> {
  const digest = createHash('sha256');
  const iterator = stream.iterator({ destroyOnReturn: false });
  for await (const message of iterator as AsyncIterable<{ Data?: unknown; Digest?: unknown }>) {
    const { Data, Digest } = message;
    if (Data instanceof Uint8Array) {
      digest.update(Data);
      yield Data;
    } else {
      if (Digest === digest.digest('hex')) return;
      throw new MeshError('E_STORAGE', 'the snapshot was changed on its way');
    }
  }
  throw new MeshError('E_TIMEOUT', 'the stream ended before the snapshot was whole');
}
