import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Range } from '../../archive/index.js';
import { bootId } from '../../plugin/sdk/boot-id.js';
import { nodeDisk } from '../../storage/disk.js';
import type { Core, Cores } from '../../storage/index.js';
import { readSmallFile, replaceSmallFile } from '../../storage/small-file.js';
import { MeshError } from '../../structs/errors.js';
import { formatBytes } from '../../util/byte-size.js';
import type { ArchiveCipher } from './archive-cipher.js';
import { BlockSource } from './block-source.js';

/** Left free on the disk of the cores: the agent's own state lies there too. */
export const FREE_BYTES = 256 * 1024 * 1024;
/** The disk is looked at, and what was written is synced, each time that so much was written. */
export const SYNC_EVERY_BYTES = 64 * 1024 * 1024;

/** What is known on this node of the core that it writes for an archive. */
interface CoreRecord {
  /** Part of the core's name: another core is begun under another one. */
  generation: string;
  key: string;
  /** Where the last snapshot ended: until there all is synced. */
  length: number;
  /** The boot of the machine in which something is being appended; null when all is synced. */
  busyBoot: string | null;
  /** Blocks were cleared only since the hashes of their neighbours are kept; before, nobody could copy these any more. */
  keepsTree?: boolean;
}

/** Where the archives of this node are kept track of. */
export interface ArchivePlace {
  readonly cores: Cores;
  /** For the records. */
  readonly folder: string;
  /** Of the cores: its disk is the one that fills. */
  readonly coresFolder: string;
}

/** The core that this node writes for an archive. */
export class ArchiveCore {
  readonly source: BlockSource;
  readonly key: string;
  readonly #place: ArchivePlace;
  readonly #archiveId: string;
  readonly #cipher: ArchiveCipher;
  readonly #core: Core;
  #record: CoreRecord;
  #unsynced = 0;
  /** Bytes appended since it was opened. */
  written = 0;

  /**
   * Goes on with the core that this node wrote last, or begins one: when there is none, when it is not the one that the servers know
   * (`known`), and when others may have copied blocks of it already that it has not: a power cut came before they were synced, or this
   * is a copy of the node's data, put back or put elsewhere. The same place must not be written twice.
   */
  static async open(
    place: ArchivePlace,
    cipher: ArchiveCipher,
    { archiveId, known }: { archiveId: string; known: { Key: string; Length: number } | null },
  ): Promise<ArchiveCore> {
    const before = await readRecord(place, archiveId);
    const isSound = before && (before.busyBoot === null || before.busyBoot === bootId());
    if (isSound && (!known || known.Key === before.key)) {
      const core = await place.cores.own(coreName(archiveId, before.generation), null);
      const isWhole = core.length >= Math.max(before.length, known?.Length ?? 0);
      const isProvable = before.keepsTree === true || !(await hasGaps(core));
      if (isWhole && isProvable && hex(core.key) === before.key)
        return new ArchiveCore(place, cipher, { archiveId, core, record: { ...before, keepsTree: true } });
      await core.close();
    }
    const generation = randomBytes(8).toString('hex');
    const core = await place.cores.own(coreName(archiveId, generation), null);
    const record = { generation, key: hex(core.key), length: 0, busyBoot: null, keepsTree: true };
    return new ArchiveCore(place, cipher, { archiveId, core, record });
  }

  /** The core with this key, if this node writes it: for who lets go of what lies below `length`. See `requireKnown`. */
  static async existing(
    place: ArchivePlace,
    cipher: ArchiveCipher,
    { archiveId, key, length }: { archiveId: string; key: string; length: number },
  ): Promise<ArchiveCore | null> {
    const record = await readRecord(place, archiveId);
    if (record?.key !== key) return null;
    requireKnown(record, length);
    const core = await place.cores.own(coreName(archiveId, record.generation), null);
    return new ArchiveCore(place, cipher, { archiveId, core, record });
  }

  private constructor(
    place: ArchivePlace,
    cipher: ArchiveCipher,
    { archiveId, core, record }: { archiveId: string; core: Core; record: CoreRecord },
  ) {
    this.#place = place;
    this.#cipher = cipher;
    this.#archiveId = archiveId;
    this.#core = core;
    this.#record = record;
    this.source = new BlockSource(core, cipher);
    this.key = record.key;
  }

  get length(): number {
    return this.#core.length;
  }

  /** Whether the block is on this node. */
  has(index: number): Promise<boolean> {
    return this.#core.has(index);
  }

  /** Appends a block and answers its place. Throws E_TOO_LARGE before the disk is full. */
  async append(body: Uint8Array): Promise<number> {
    if (this.#record.busyBoot === null) {
      await this.#checkDisk();
      await this.#keep({ ...this.#record, busyBoot: bootId() });
    }
    const index = this.#core.length;
    const block = this.#cipher.seal(this.key, index, body);
    await this.#core.append([block]);
    this.written += block.length;
    this.#unsynced += block.length;
    if (this.#unsynced >= SYNC_EVERY_BYTES) {
      await this.#checkDisk();
      await this.#place.cores.sync();
      this.#unsynced = 0;
    }
    return index;
  }

  /** What was appended survives a power cut from now on. */
  async sync(): Promise<void> {
    if (this.#record.busyBoot === null) return;
    await this.#place.cores.sync();
    this.#unsynced = 0;
    await this.#keep({ ...this.#record, length: this.#core.length, busyBoot: null });
  }

  /** Of the blocks below `length` only these are needed any more. The place of others is given back; answers of how many. */
  want(ranges: readonly Range[], length: number): Promise<number> {
    return clearOthers(this.#core, ranges, length);
  }

  async close(): Promise<void> {
    await this.#core.close();
  }

  async #keep(record: CoreRecord): Promise<void> {
    this.#record = record;
    await writeRecord(this.#place, this.#archiveId, record);
  }

  #checkDisk(): Promise<void> {
    return requireRoom(this.#place.coresFolder, SYNC_EVERY_BYTES, 'make room, what was backed up so far is kept');
  }
}

async function hasGaps(core: Core): Promise<boolean> {
  for (let block = 0; block < core.length; block++) if (!(await core.has(block))) return true;
  return false;
}

/** Throws E_TOO_LARGE when a disk has not so many bytes left, and some for whoever else writes there. */
export async function requireRoom(
  folder: string,
  bytes: number,
  advice: string,
  spareBytes: number = FREE_BYTES,
): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= spareBytes + bytes) return;
  throw new MeshError(
    'E_TOO_LARGE',
    `the disk of ${folder} has ${formatBytes(free)} left, and ${formatBytes(bytes + spareBytes)} are needed: ${advice}`,
  );
}

/** Gives back the place of all blocks of a core below `length` but these; answers of how many that were here. */
export async function clearOthers(core: Core, ranges: readonly Range[], length: number): Promise<number> {
  let cleared = 0;
  let at = 0;
  for (const [start, end] of [...ranges, [length, length] as const]) {
    let here = 0;
    for (let block = at; block < start; block++) if (await core.has(block)) here++;
    if (here > 0) await core.clear(at, start);
    cleared += here;
    at = end;
  }
  return cleared;
}

/** The cores are those of a copy of this node's data: the next backup of each archive begins another one. */
export async function dropAllRecords(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) if (/^archive-.*\.json$/.test(name)) await rm(join(folder, name));
}

/** The core is to be forgotten: if this node writes it, the next backup begins another one. Refuses what `requireKnown` does. */
export async function dropRecord(
  place: ArchivePlace,
  { archiveId, key, length }: { archiveId: string; key: string; length: number },
): Promise<void> {
  const record = await readRecord(place, archiveId);
  if (record?.key !== key) return;
  requireKnown(record, length);
  await rm(join(place.folder, recordName(archiveId)), { force: true });
}

/** Throws E_CONFLICT when a snapshot was made that whoever knows of the core up to `length` has not heard of. */
function requireKnown(record: CoreRecord, length: number): void {
  if (record.length <= length) return;
  throw new MeshError('E_CONFLICT', 'a backup was made meanwhile, which may need what is to be let go');
}

const coreName = (archiveId: string, generation: string): string => `archive-${archiveId}-${generation}`;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const recordName = (archiveId: string): string => `archive-${archiveId}.json`;

async function readRecord(place: ArchivePlace, archiveId: string): Promise<CoreRecord | null> {
  try {
    const record = JSON.parse(
      readSmallFile(nodeDisk, place.folder, recordName(archiveId)) ?? 'null',
    ) as CoreRecord | null;
    if (record === null) return null;
    return typeof record.generation === 'string' && typeof record.key === 'string' ? record : null;
  } catch {
    // Then a new core is begun; the old one's copies stay what they are.
    return null;
  }
}

/** Durable with its name: an older record that comes back after a power cut would say that all is synced. */
async function writeRecord(place: ArchivePlace, archiveId: string, record: CoreRecord): Promise<void> {
  await mkdir(place.folder, { recursive: true, mode: 0o700 });
  const text = JSON.stringify({ ...record });
  await replaceSmallFile(nodeDisk, place.folder, recordName(archiveId), text);
}
