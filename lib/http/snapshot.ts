import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Exchange } from './router.js';
import { Spool } from './spool.js';

/** `GET /v1/operator/snapshot`: the archive as it is made. A break in the middle cuts the answer, so that nobody takes it for whole. */
export async function saveSnapshot(exchange: Exchange): Promise<undefined> {
  const { response, rpc } = exchange;
  const stream = hangUpWith(exchange, rpc.stream('Operator.SnapshotSave', exchange.reading()));
  // Its digest goes before it, as Nomad's callers demand.
  const digest = createHash('sha256');
  const spool = new Spool();
  try {
    for await (const { Data } of stream as AsyncIterable<{ Data: Uint8Array }>) {
      digest.update(Data);
      await spool.add(Data);
    }
    response.writeHead(200, {
      'Content-Type': 'application/x-gzip',
      'Content-Length': spool.bytes,
      Digest: `sha-256=${digest.digest('base64')}`,
    });
    for await (const chunk of spool.read()) {
      if (response.destroyed) return undefined;
      if (!response.write(chunk)) await Promise.race([once(response, 'drain'), closed(response)]);
    }
  } finally {
    await spool.close();
  }
  response.end();
  return undefined;
}

/** `PUT /v1/operator/snapshot`: the body is the archive. Answers when every write that follows is one upon the restored state. */
export async function restoreSnapshot(exchange: Exchange) {
  const { request, rpc } = exchange;
  const stream = hangUpWith(exchange, rpc.stream('Operator.SnapshotRestore', exchange.writing()));
  const answered = firstMessage<{ Index: number; Metadata: object }>(stream);
  // A refusal comes before the whole body has: it is told by the answer, not by a broken pipe.
  answered.catch(() => {});
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    if (stream.destroyed || !stream.writable) continue;
    if (!stream.write({ Data: chunk })) await Promise.race([once(stream, 'drain'), closed(stream)]);
  }
  if (stream.writable) stream.end();
  const { Index, Metadata } = await answered;
  return { value: { Index, Metadata }, index: Index };
}

function hangUpWith({ signal }: Exchange, stream: Duplex): Duplex {
  const hangUp = (): void => void stream.destroy();
  signal.addEventListener('abort', hangUp, { once: true });
  stream.once('close', () => signal.removeEventListener('abort', hangUp));
  if (signal.aborted) hangUp();
  return stream;
}

function closed(stream: { once(event: 'close', listener: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => stream.once('close', resolve));
}

/** The first message of a stream; rejects with what destroyed it, or when it ends without one. */
function firstMessage<T>(stream: Duplex): Promise<T> {
  return new Promise((resolve, reject) => {
    stream.once('data', (message: T) => resolve(message));
    stream.once('error', reject);
    stream.once('close', () => reject(new Error('the connection to the server was lost')));
  });
}
