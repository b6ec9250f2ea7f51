import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../../lib/plugin/sdk/remove-tree.js';

// What is under the plugin's root: `volumes/ID/{meta.json,data/ or disk.img}` and `snapshots/ID/…` alike. An id is made of
// the name, so a repeated request finds what the first one made. Everything is built in `.new-ID` and appears by rename;
// it leaves by rename to `.old-…` before its bytes are removed.

export type VolumeKind = 'directory' | 'image';

export interface StoredVolume {
  id: string;
  name: string;
  kind: VolumeKind;
  capacityBytes: number;
  /** Space of an image is taken only when it is written. */
  thin: boolean;
  /** Rights of the volume's root directory, such as "0777"; and its owner. */
  mode: string;
  uid: number;
  gid: number;
  /** What it was made a copy of. */
  source: { snapshotId: string } | { volumeId: string } | null;
  /** The file system of an image, '' until it is formatted (or for ever, as a block device). */
  fsType: string;
  /** The capacity that the file system was last made for; less than the capacity: it is to grow. */
  fsCapacityBytes: number;
}

export interface StoredSnapshot {
  id: string;
  name: string;
  sourceVolumeId: string;
  createdMs: number;
  /** The volume as it was. */
  volume: StoredVolume;
}

interface Kinds {
  volumes: StoredVolume;
  snapshots: StoredSnapshot;
}

/** What is left half-made by a plugin that died is removed after this time. */
const STALE_MS = 3_600_000;

const ID = /^(?:vol|snap)-[0-9a-f]{24}(-[0-9a-f]{8})?$/;

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The directory of what the plugin holds. */
export class Store {
  readonly root: string;
  /** Ends the ids of what is made here; '' when the root is shared. */
  readonly #suffix: string;

  /** `machine` names this one among others with roots of their own; null when they share this root. */
  constructor(root: string, machine: string | null) {
    this.root = root;
    this.#suffix = machine === null ? '' : `-${hash(machine).slice(0, 8)}`;
  }

  /** Ids are safe as file names whatever the orchestrator's names are. */
  idOf(kind: 'vol' | 'snap', name: string): string {
    return `${kind}-${hash(name).slice(0, 24)}${this.#suffix}`;
  }

  /** Whether another machine made it: here nobody can say what has become of it. */
  isElsewhere(id: string): boolean {
    const [, suffix] = ID.exec(id) ?? [];
    return suffix !== undefined && this.#suffix !== '' && suffix !== this.#suffix;
  }

  /** Makes the directories, and removes what earlier plugins left unfinished. */
  async open(): Promise<void> {
    for (const kind of ['volumes', 'snapshots'] as const) {
      const dir = join(this.root, kind);
      await mkdir(dir, { recursive: true, mode: 0o711 });
      for (const entry of await readdir(dir)) {
        if (!entry.startsWith('.')) continue;
        const age = Date.now() - ((await stat(join(dir, entry)).catch(() => null))?.mtimeMs ?? 0);
        if (entry.startsWith('.old-') || age > STALE_MS) await removeTree(join(dir, entry));
      }
    }
  }

  dir(kind: keyof Kinds, id: string): string {
    return join(this.root, kind, id);
  }

  /** The volume's directory or image. */
  dataPath(kind: keyof Kinds, id: string, volume: StoredVolume): string {
    return join(this.dir(kind, id), volume.kind === 'image' ? 'disk.img' : 'data');
  }

  /** Undefined when there is none of that id. */
  async get<K extends keyof Kinds>(kind: K, id: string): Promise<Kinds[K] | undefined> {
    if (!ID.test(id)) return undefined;
    const text = await readFile(join(this.dir(kind, id), 'meta.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    return text === undefined ? undefined : (JSON.parse(text) as Kinds[K]);
  }

  /** All of them by id. */
  async list<K extends keyof Kinds>(kind: K): Promise<Kinds[K][]> {
    const ids = (await readdir(join(this.root, kind))).filter((entry) => !entry.startsWith('.')).sort();
    const found = await Promise.all(ids.map((id) => this.get(kind, id)));
    return found.filter((item) => item !== undefined);
  }

  /** Puts something new in place: `fill` makes its data in the directory it is given. All or nothing. */
  async create<K extends keyof Kinds>(kind: K, item: Kinds[K], fill: (dir: string) => Promise<void>): Promise<void> {
    const draft = join(this.root, kind, `.new-${item.id}`);
    await removeTree(draft);
    await mkdir(draft, { mode: 0o711 });
    try {
      await fill(draft);
      await writeSynced(join(draft, 'meta.json'), JSON.stringify(item));
      await rename(draft, this.dir(kind, item.id));
    } catch (error) {
      await removeTree(draft);
      throw error;
    }
  }

  /** Changes what is known of a volume or snapshot. */
  async update<K extends keyof Kinds>(kind: K, item: Kinds[K]): Promise<void> {
    const path = join(this.dir(kind, item.id), 'meta.json');
    await writeSynced(`${path}.new`, JSON.stringify(item));
    await rename(`${path}.new`, path);
  }

  async remove(kind: keyof Kinds, id: string): Promise<void> {
    const old = join(this.root, kind, `.old-${id}-${process.pid}-${Date.now()}`);
    await rename(this.dir(kind, id), old);
    await removeTree(old);
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
