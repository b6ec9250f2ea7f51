import { Worker } from 'node:worker_threads';
import { ArtifactError, retry } from './failure.js';
import type { TreeLimits } from './tree.js';
import type { Archive } from './unpack.js';

/** What the thread is to do. */
export interface UnpackOrder {
  file: string;
  archive: Archive;
  root: string;
  name: string;
  limits: Pick<TreeLimits, 'filesMax' | 'bytesMax'>;
}

/** What it says: how far it is, and at last how it ended. */
export type UnpackReport =
  | { kind: 'bytes'; bytes: number }
  | { kind: 'done' }
  | { kind: 'failed'; message: string; recoverable: boolean };

const MEMORY_MAX_MB = 512;

/**
 * Unpacks in a thread of its own, which is ended when nobody wants it any more: what a stranger has compressed may compute
 * for hours, and the agent has others to answer. Throws ArtifactError.
 */
export async function unpackApart(
  order: UnpackOrder,
  { signal, progress }: { signal: AbortSignal; progress: (bytes: number) => void },
): Promise<void> {
  if (signal.aborted) throw retry('it was ended');
  const worker = new Worker(new URL('./unpack-worker.js', import.meta.url), {
    workerData: order,
    argv: [],
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_MAX_MB },
  });
  let end = (): void => {};
  try {
    await new Promise<void>((resolve, reject) => {
      end = () => reject(retry('it was ended'));
      signal.addEventListener('abort', end, { once: true });
      worker.on('message', (report: UnpackReport) => {
        if (report.kind === 'bytes') progress(report.bytes);
        else if (report.kind === 'done') resolve();
        else reject(new ArtifactError(report.message, { recoverable: report.recoverable }));
      });
      worker.once('error', (error) => reject(retry(`it cannot be unpacked: ${error.message}`, error)));
      worker.once('exit', () => reject(retry('it cannot be unpacked: its thread has ended')));
    });
  } finally {
    signal.removeEventListener('abort', end);
    // Before what it writes to is removed.
    await worker.terminate();
  }
}
