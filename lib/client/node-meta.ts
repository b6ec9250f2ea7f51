import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { MeshError } from '../structs/errors.js';
import type { NodeMetadata } from '../structs/rpc-node-meta.js';
import type { RpcHandlers } from '../transport/rpc.js';
import type { Log } from '../util/log.js';

const FILE = 'node-meta.json';
/** The node goes to the servers whole each time it changes. */
const SIZE_MAX = 64 * 1024;
const KEY = /^[A-Za-z0-9_]([A-Za-z0-9_./-]{0,126}[A-Za-z0-9_])?$/;

type Dynamic = Readonly<Record<string, string | null>>;

export interface NodeMetaOptions {
  /** Null: nothing is kept. */
  stateDir: string | null;
  /** What the configuration says now. */
  fixed: () => Record<string, string>;
  onChange: () => void;
  log: Log;
}

/** Metadata that is given to the node while it runs, over that of its configuration; it is kept for the next start. */
export class NodeMeta {
  readonly #options: NodeMetaOptions;
  #dynamic: Dynamic = {};
  #writing: Promise<unknown> = Promise.resolve();

  constructor(options: NodeMetaOptions) {
    this.#options = options;
  }

  /** Takes up what was kept. A file that cannot be read is told in the log, and left as it is until the next change. */
  async open(): Promise<void> {
    const { stateDir, log } = this.#options;
    if (stateDir === null) return;
    const path = join(stateDir, FILE);
    try {
      this.#dynamic = checked(JSON.parse(await readFile(path, 'utf8')));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      log.error('the metadata given to this node is lost', { file: path, why: (error as Error).message });
    }
  }

  /** What holds. */
  get merged(): Record<string, string> {
    const merged = { ...this.#options.fixed() };
    for (const [key, value] of Object.entries(this.#dynamic)) {
      if (value === null) delete merged[key];
      else merged[key] = value;
    }
    return merged;
  }

  read(): NodeMetadata {
    return { Meta: this.merged, Dynamic: { ...this.#dynamic }, Static: { ...this.#options.fixed() } };
  }

  /** Changes some keys; it is on the disk when this settles. Throws MeshError for keys and amounts that cannot be. */
  async apply(change: unknown): Promise<NodeMetadata> {
    const turn = this.#writing.then(() => this.#apply(checked(change)));
    this.#writing = turn.catch(() => {});
    await turn;
    return this.read();
  }

  handlers(): RpcHandlers {
    return {
      'NodeMeta.Read': async () => this.read(),
      'NodeMeta.Apply': async ({ Meta }) => await this.apply(Meta),
    };
  }

  async #apply(change: Dynamic): Promise<void> {
    const fixed = this.#options.fixed();
    const next: Record<string, string | null> = { ...this.#dynamic, ...change };
    // What was taken away and is in no configuration either is nothing to remember.
    for (const [key, value] of Object.entries(next)) {
      if (value === null && !Object.hasOwn(fixed, key)) delete next[key];
    }
    const text = JSON.stringify(next);
    if (text === JSON.stringify(this.#dynamic)) return;
    if (text.length > SIZE_MAX) throw bad(`the metadata of a node may have ${SIZE_MAX} characters, not ${text.length}`);
    await this.#write(text);
    this.#dynamic = next;
    this.#options.onChange();
  }

  async #write(text: string): Promise<void> {
    const { stateDir } = this.#options;
    if (stateDir === null) return;
    const path = join(stateDir, FILE);
    try {
      await mkdir(stateDir, { recursive: true, mode: 0o700 });
      const file = await open(`${path}.tmp`, 'w', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.tmp`, path);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new MeshError('E_STORAGE', `the client cannot keep its metadata in ${path}: ${why}`, { cause });
    }
  }
}

/** Keys and values as they may be. */
function checked(value: unknown): Dynamic {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad('Meta must be an object');
  const entries = Object.entries(value);
  if (entries.length === 0) return {};
  for (const [key, one] of entries) {
    if (!KEY.test(key)) {
      throw bad(`metadata key ${JSON.stringify(key)} must be of letters, digits, "_", "-", "." and "/", 128 at most`);
    }
    if (one !== null && typeof one !== 'string') throw bad(`metadata ${key} must be a string, or null to take it away`);
  }
  return Object.fromEntries(entries);
}

function bad(message: string): MeshError {
  return new MeshError('E_BAD_REQUEST', message);
}
