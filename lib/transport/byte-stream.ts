import { Duplex } from 'node:stream';

/** So much in one message: with the credit of a stream less than a MiB is under way. */
const PIECE_BYTES_MAX = 16 * 1024;

/**
 * The bytes that travel as `{ Data }` messages over a stream of messages, with its back-pressure. The end of either direction
 * leaves the other open; an error or an early close goes both ways.
 */
export function byteStream(messages: Duplex): Duplex {
  const send = (bytes: Buffer, done: (error?: Error | null) => void): void => {
    if (bytes.length === 0) {
      done();
      return;
    }
    const piece = new Uint8Array(bytes.subarray(0, PIECE_BYTES_MAX));
    messages.write({ Data: piece }, (error) => {
      if (error) done(error);
      else send(bytes.subarray(PIECE_BYTES_MAX), done);
    });
  };
  const stream = new Duplex({
    allowHalfOpen: true,
    read() {
      messages.resume();
    },
    write: (bytes: Buffer, _encoding, done) => send(bytes, done),
    final(done) {
      messages.end();
      done();
    },
    destroy(error, done) {
      // Ended on both sides is a good end; a cut is passed on.
      if (!messages.destroyed && !(messages.writableFinished && messages.readableEnded))
        messages.destroy(error ?? undefined);
      done(error);
    },
  });
  messages.on('data', ({ Data }: { Data?: unknown }) => {
    if (Data instanceof Uint8Array && !stream.push(Data)) messages.pause();
  });
  messages.on('end', () => stream.push(null));
  messages.on('error', (error) => stream.destroy(error));
  messages.on('close', () => {
    if (!messages.readableEnded) stream.destroy();
  });
  return stream;
}
