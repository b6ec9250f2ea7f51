import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Membership, SnapshotMeta, SnapshotStore } from '../raft/index.js';
import { MeshError } from '../structs/errors.js';
import { crc32c } from './crc32c.js';
import type { Disk, DiskFile } from './disk.js';
import { nodeDisk, storageError } from './disk.js';

/**
 * A snapshot file, numbers big-endian: "MNSNAP" version u16 │ length u32, crc32c u32, meta as JSON │ chunks, each length
 * u32, crc32c u32, bytes │ end: length 0xffffffff, crc32c u32 over the count of bytes, count u64. Without its end it is
 * no snapshot. It is written under another name and renamed when whole.
 */
const MAGIC = 'MNSNAP';
const VERSION = 1;
const END = 0xffff_ffff;
/** Small pieces are gathered to this size; one is written, or read and taken in, in a turn. */
const CHUNK_BYTES = 64 * 1024;
const CHUNK_BYTES_MAX = 1 << 30;
const META_BYTES_MAX = 1 << 20;
/** The newest, and the one before in case the newest turns out to be damaged. */
const KEPT = 2;
const NAME = /^snapshot-(\d{16})-(\d{10})\.snap$/;

interface Kept {
  readonly meta: SnapshotMeta;
  readonly path: string;
  readonly bytes: number;
}

/** Opens the snapshots of a folder. One whose head is unreadable is left alone and reported through `onDamaged`. */
export function openSnapshots(
  folder: string,
  options: { disk?: Disk; onDamaged?: (error: MeshError) => void } = {},
): SnapshotStore {
  const { disk = nodeDisk, onDamaged = () => {} } = options;
  try {
    disk.makeDir(folder);
    return new SnapshotFiles(folder, disk, listSnapshots(disk, folder, onDamaged));
  } catch (error) {
    throw storageError('open the snapshots in', folder, error);
  }
}

function listSnapshots(disk: Disk, folder: string, onDamaged: (error: MeshError) => void): Kept[] {
  const kept: Kept[] = [];
  for (const name of disk.list(folder).sort().reverse()) {
    const path = join(folder, name);
    if (name.endsWith('.tmp')) disk.remove(path);
    if (!NAME.test(name)) continue;
    const file = disk.open(path, 'read');
    try {
      kept.push({ meta: readHead(file, path).meta, path, bytes: file.size() });
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'E_STORAGE') throw error;
      onDamaged(error);
    } finally {
      file.close();
    }
  }
  return kept;
}

class SnapshotFiles implements SnapshotStore {
  readonly #folder: string;
  readonly #disk: Disk;
  /** Newest first. */
  #kept: Kept[];

  constructor(folder: string, disk: Disk, kept: Kept[]) {
    this.#folder = folder;
    this.#disk = disk;
    this.#kept = kept;
  }

  latest(): SnapshotMeta | null {
    return this.#kept[0]?.meta ?? null;
  }
  list(): readonly SnapshotMeta[] {
    return this.#kept.map(({ meta }) => meta);
  }
  bytes(meta: SnapshotMeta): number {
    return this.#find(meta)?.bytes ?? 0;
  }
  #find(meta: SnapshotMeta): Kept | undefined {
    return this.#kept.find((kept) => kept.meta.index === meta.index && kept.meta.term === meta.term);
  }

  async save(meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const name = `snapshot-${String(meta.index).padStart(16, '0')}-${String(meta.term).padStart(10, '0')}.snap`;
    const path = join(this.#folder, name);
    try {
      const file = this.#disk.open(`${path}.tmp`, 'create');
      let bytes: number;
      try {
        bytes = await writeSnapshot(file, meta, chunks);
        await file.sync();
      } finally {
        file.close();
      }
      this.#disk.rename(`${path}.tmp`, path);
      await this.#disk.syncDir(this.#folder);
      const others = this.#kept.filter((kept) => kept.path !== path);
      this.#kept = [{ meta, path, bytes }, ...others].sort((a, b) => b.meta.index - a.meta.index);
      for (const old of this.#kept.splice(KEPT)) this.#disk.remove(old.path);
    } catch (error) {
      this.#tryRemove(`${path}.tmp`);
      throw storageError('write snapshot', path, error);
    }
  }

  /** On a full disk the unfinished file is what must go first. */
  #tryRemove(path: string): void {
    try {
      this.#disk.remove(path);
    } catch {
      // Removed at the next start.
    }
  }

  async *open(meta: SnapshotMeta): AsyncIterable<Uint8Array> {
    const kept = this.#find(meta);
    if (kept === undefined) throw new MeshError('E_STORAGE', `there is no snapshot at index ${meta.index}`);
    const file = this.#disk.open(kept.path, 'read');
    try {
      let at = readHead(file, kept.path).end;
      let total = 0;
      for (;;) {
        const [length, sum] = readPair(file, at, kept.path);
        if (length === END) {
          if (sum !== checkCount(total)) throw damaged(kept.path, 'it ends too early');
          return;
        }
        if (length > CHUNK_BYTES_MAX) throw damaged(kept.path, `impossible length at byte ${at}`);
        const bytes = new Uint8Array(length);
        if (file.read(bytes, at + 8) < length) throw damaged(kept.path, 'it ends too early');
        if (crc32c(bytes) !== sum) throw damaged(kept.path, `wrong checksum at byte ${at}`);
        yield bytes;
        at += 8 + length;
        total += length;
        // Nor does reading wait for anything: whoever takes a large state over would hold everybody up.
        if (length >= CHUNK_BYTES) await setImmediate();
      }
    } finally {
      file.close();
    }
  }
}

function pair(first: number, second: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, first);
  new DataView(bytes.buffer).setUint32(4, second);
  return bytes;
}

function checkCount(total: number): number {
  return crc32c(new TextEncoder().encode(String(total)));
}

async function writeSnapshot(file: DiskFile, meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let at = 0;
  const put = (bytes: Uint8Array): void => {
    file.write(bytes, at);
    at += bytes.length;
  };
  put(new Uint8Array([...new TextEncoder().encode(MAGIC), VERSION >> 8, VERSION & 0xff]));
  const head = new TextEncoder().encode(JSON.stringify(meta));
  put(pair(head.length, crc32c(head)));
  put(head);
  let total = 0;
  let gathered: Uint8Array[] = [];
  let size = 0;
  const flush = (): void => {
    if (size === 0) return;
    const bytes = gathered.length === 1 ? (gathered[0] as Uint8Array) : Buffer.concat(gathered);
    put(pair(bytes.length, crc32c(bytes)));
    put(bytes);
    total += size;
    gathered = [];
    size = 0;
  };
  for await (const chunk of chunks) {
    gathered.push(chunk);
    size += chunk.length;
    if (size < CHUNK_BYTES) continue;
    flush();
    // A large state in memory never waits for anything: give others their turn.
    await setImmediate();
  }
  flush();
  put(pair(END, checkCount(total)));
  return at;
}

function readPair(file: DiskFile, at: number, path: string): [number, number] {
  const bytes = new Uint8Array(8);
  if (file.read(bytes, at) < 8) throw damaged(path, 'it ends too early');
  const data = new DataView(bytes.buffer);
  return [data.getUint32(0), data.getUint32(4)];
}

function readHead(file: DiskFile, path: string): { meta: SnapshotMeta; end: number } {
  const magic = new Uint8Array(8);
  file.read(magic, 0);
  if (new TextDecoder().decode(magic.subarray(0, 6)) !== MAGIC) throw damaged(path, 'it does not begin like one');
  const version = ((magic[6] as number) << 8) | (magic[7] as number);
  if (version !== VERSION) {
    throw new MeshError(
      'E_NOT_SUPPORTED',
      `${path} has format version ${version}, this program reads version ${VERSION}: start the version of meshnomad that wrote it`,
    );
  }
  const [length, sum] = readPair(file, 8, path);
  if (length > META_BYTES_MAX) throw damaged(path, 'its head is damaged');
  const head = new Uint8Array(length);
  if (file.read(head, 16) < length || crc32c(head) !== sum) throw damaged(path, 'its head is damaged');
  const { index, term, membership, digest } = JSON.parse(new TextDecoder().decode(head)) as SnapshotMeta;
  const meta = { index, term, membership: membership as Membership, ...(digest !== undefined && { digest }) };
  return { meta, end: 16 + length };
}

function damaged(path: string, why: string): MeshError {
  return new MeshError('E_STORAGE', `snapshot ${path} is damaged: ${why}`);
}

/** Snapshots of an agent that keeps no state: the newest, in memory. */
export function memorySnapshots(): SnapshotStore {
  let kept: { meta: SnapshotMeta; chunks: Uint8Array[] } | null = null;
  return {
    latest: () => kept?.meta ?? null,
    list: () => (kept === null ? [] : [kept.meta]),
    bytes: (meta) => (kept?.meta.index === meta.index ? kept.chunks.reduce((sum, { length }) => sum + length, 0) : 0),
    async save(meta, chunks) {
      const all: Uint8Array[] = [];
      for await (const chunk of chunks) all.push(chunk);
      kept = { meta, chunks: all };
    },
    async *open(meta) {
      if (kept?.meta.index !== meta.index) {
        throw new MeshError('E_STORAGE', `there is no snapshot at index ${meta.index}`);
      }
      yield* kept.chunks;
    },
  };
}
