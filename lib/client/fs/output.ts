import type { Duplex } from 'node:stream';
import { MeshError } from '../../structs/errors.js';
import type { StreamFrame } from '../../structs/rpc.js';

/** The writing end of a stream that is being served. */
export interface FrameOutput {
  /** Writes a frame and waits until the other side keeps up. */
  write(frame: StreamFrame): Promise<void>;
  /** Aborted when the other side has gone. */
  signal: AbortSignal;
}

/** Runs `work` with the stream as its output; ends it when the work is done, destroys it with the error when it failed. */
export function serveFrames(stream: Duplex, work: (output: FrameOutput) => Promise<void>): void {
  const gone = new AbortController();
  stream.on('close', () => gone.abort());
  stream.on('error', () => gone.abort());
  // Nothing is expected from the other side, but its end must be noticed.
  stream.resume();
  const write = (frame: StreamFrame): Promise<void> => {
    if (gone.signal.aborted) return Promise.resolve();
    if (stream.write(frame)) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        stream.off('drain', done);
        gone.signal.removeEventListener('abort', done);
        resolve();
      };
      stream.once('drain', done);
      gone.signal.addEventListener('abort', done, { once: true });
    });
  };
  work({ write, signal: gone.signal }).then(
    () => {
      if (!gone.signal.aborted) stream.end();
    },
    (error: unknown) => {
      if (gone.signal.aborted) return;
      const told = error instanceof MeshError ? error : new MeshError('E_INTERNAL', String(error), { cause: error });
      stream.destroy(told);
    },
  );
}
