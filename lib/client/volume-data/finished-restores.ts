import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

const KEPT = 50;

/** What came of a restore. */
export interface RestoreResult {
  HostPath: string;
  CapacityBytes: number;
}

/**
 * The restores that came to their end, over restarts of the agent: a server that asks again must not have tasks' newer data
 * replaced a second time.
 */
export class FinishedRestores {
  readonly #path: string;
  #done = new Map<string, RestoreResult>();

  constructor(path: string) {
    this.#path = path;
  }

  async open(): Promise<void> {
    const text = await readFile(this.#path, 'utf8').catch(() => null);
    if (text === null) return;
    try {
      this.#done = new Map(JSON.parse(text) as [string, RestoreResult][]);
    } catch {
      // It is replaced as a whole, so this was somebody else; nothing is under way in all likelihood.
      this.#done = new Map();
    }
  }

  get(id: string): RestoreResult | undefined {
    return this.#done.get(id);
  }

  async put(id: string, result: RestoreResult): Promise<void> {
    this.#done.set(id, result);
    for (const old of [...this.#done.keys()].slice(0, -KEPT)) this.#done.delete(old);
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    await writeFile(`${this.#path}.tmp`, JSON.stringify([...this.#done]), { mode: 0o600, flush: true });
    await rename(`${this.#path}.tmp`, this.#path);
  }
}
