import { execFile } from 'node:child_process';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Row } from './run.js';
import type { Held } from './turns/stage.js';

const RUN = fileURLToPath(new URL('./turns/run.js', import.meta.url));
const OUTPUT_MAX_BYTES = 16 * 1024 * 1024;

/** How long a server's thread is held by works on 100,000 allocations; in a process of its own, with Node's own settings. */
export async function benchTurns(): Promise<Row[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [RUN, '--json'], { maxBuffer: OUTPUT_MAX_BYTES });
  const held = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Held);
  const [load = 0] = loadavg();
  const rows = held.map((one) => ({
    what: `turns: ${one.what}`,
    value: `${one.longestMs.toFixed(1)} ms; GC ${one.longestWithGcMs.toFixed(0)}; beat ${one.beatMs.toFixed(0)}, read ${one.readMs.toFixed(0)}`,
    target: `10 ms: ${one.ours === 0 ? 'met' : `missed by ${one.ours}`}`,
  }));
  return [...rows, { what: 'turns: load of the machine', value: load.toFixed(1), target: '' }];
}
