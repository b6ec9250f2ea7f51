import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

// A process in another network namespace that asks its own loopback for us. Lines of JSON both ways.
const SCRIPT = `
require('node:readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, url, init } = JSON.parse(line);
  try {
    const response = await fetch(url, init);
    console.log(JSON.stringify({ id, status: response.status, text: await response.text() }));
  } catch (error) {
    console.log(JSON.stringify({ id, status: 0, text: String(error.cause ?? error) }));
  }
}).on('close', () => process.exit());`;

interface Reply {
  status: number;
  text: string;
}

/** The last line of one that was ended may be cut off: that is nobody's answer. */
function parse(line: string): { id: number; reply: Reply } {
  try {
    const { id, ...reply } = JSON.parse(line) as Reply & { id: number };
    return { id, reply };
  } catch {
    return { id: -1, reply: { status: 0, text: 'cut off' } };
  }
}

/** Asks URLs as seen from wherever `spawn` starts its processes. */
export class FarFetch {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #next = 0;

  constructor(spawn: (file: string, args: readonly string[]) => ChildProcess) {
    this.#child = spawn(process.execPath, ['-e', SCRIPT]);
    this.#child.stdin?.on('error', () => {});
    if (!this.#child.stdout) throw new Error('no pipe');
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const { id, reply } = parse(line);
      this.#waiting.get(id)?.(reply);
      this.#waiting.delete(id);
    });
  }

  fetch(url: string, init: { method?: string; body?: string } = {}): Promise<Reply> {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.stdin?.write(`${JSON.stringify({ id, url, init })}\n`);
    });
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}
