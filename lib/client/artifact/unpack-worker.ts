// The thread of `unpack-thread.ts`: it unpacks one archive.
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { ArtifactError, reasonOf } from './failure.js';
import { unpack } from './unpack.js';
import type { UnpackOrder, UnpackReport } from './unpack-thread.js';

const REPORT_MS = 1_000;
/** On Linux a priority is a thread's own, and 0 is the thread that asks: the agent and its tasks come first. */
const NICE = 10;

function report(what: UnpackReport): void {
  parentPort?.postMessage(what);
}

try {
  if (process.platform === 'linux') setPriority(0, NICE);
} catch {
  // Some systems have none to give: it is only slower for others.
}
const { file, archive, root, name, limits } = workerData as UnpackOrder;
let toldMs = performance.now();
const progress = (bytes: number): void => {
  if (performance.now() - toldMs < REPORT_MS) return;
  toldMs = performance.now();
  report({ kind: 'bytes', bytes });
};
try {
  await unpack(file, archive, { root, name, limits: { ...limits, progress } });
  report({ kind: 'done' });
} catch (error) {
  report({
    kind: 'failed',
    message: reasonOf(error),
    recoverable: !(error instanceof ArtifactError) || error.recoverable,
  });
}
