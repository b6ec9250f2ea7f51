import { join } from 'node:path';
import { MeshError } from '../structs/errors.js';
import { crc32c } from './crc32c.js';
import type { Disk } from './disk.js';
import { nodeDisk, storageError } from './disk.js';
import { readSmallFile, replaceSmallFile } from './small-file.js';

const NAME = 'instance.json';
const VERSION = 1;
/** On the wire it is eight bytes: another spelling of the same would be another instance here only. */
const INSTANCE = /^[0-9a-f]{16}$/;
/** Of a group that was never recovered. */
export const FIRST_EPOCH = 1;

/** Whose data a folder holds, and which copy of it this is. */
export interface Instance {
  /** The server that the data belongs to. */
  readonly id: string;
  /** 16 hexadecimal digits, made when the data began, and anew when it turned out to be a copy. */
  readonly instance: string;
  /** How often it was opened: a copy of older data has a smaller number than others have seen. */
  readonly starts: number;
  /** Whether the group has taken this very data in: without that it promises nothing to anybody. */
  readonly admitted: boolean;
  /** Counts up with every recovery of the group: data of an earlier epoch belongs to a group that is no more. */
  readonly epoch: number;
  /** The group was recovered without this data: it is put aside at the next start. */
  readonly abandoned: boolean;
}

export interface InstanceStore {
  /** Null: nothing is kept here yet, or by a version that kept no instance. */
  load(): Instance | null;
  /** The folder was copied, moved or restored since the instance was saved. */
  readonly moved: boolean;
  /** Durable when resolved; rejects with E_STORAGE. */
  save(instance: Instance): Promise<void>;
}

/** Throws MeshError when the file is damaged or of another version. */
export function openInstance(folder: string, options: { disk?: Disk } = {}): InstanceStore {
  const { disk = nodeDisk } = options;
  const path = join(folder, NAME);
  let kept: { instance: Instance; place: string } | null;
  try {
    disk.makeDir(folder);
    kept = parse(readSmallFile(disk, folder, NAME), path);
  } catch (error) {
    throw storageError('read', path, error);
  }
  const place = disk.place?.(folder) ?? '';
  return {
    load: () => kept?.instance ?? null,
    moved: kept !== null && kept.place !== '' && place !== '' && kept.place !== place,
    async save(instance) {
      try {
        const kept = { format: VERSION, ...instance, place };
        await replaceSmallFile(disk, folder, NAME, `${JSON.stringify({ ...kept, crc32c: sumOf(kept) })}\n`);
      } catch (error) {
        throw storageError('write', path, error);
      }
      kept = { instance, place };
    },
  };
}

/** The instance of an agent that keeps no state: another one each time. */
export function memoryInstance(): InstanceStore {
  let kept: Instance | null = null;
  return {
    load: () => kept,
    moved: false,
    async save(instance) {
      kept = instance;
    },
  };
}

/** A bit that flipped makes other words or numbers of it, which read as well. */
const sumOf = (kept: object): number => crc32c(new TextEncoder().encode(JSON.stringify(kept)));

function parse(text: string | null, path: string): { instance: Instance; place: string } | null {
  if (text === null) return null;
  let read: Record<string, unknown>;
  try {
    read = JSON.parse(text);
  } catch {
    read = {};
  }
  const { crc32c: sum, ...summed } = read;
  const { format, id, instance, starts, admitted, place, epoch = FIRST_EPOCH, abandoned = false } = summed;
  if (typeof format === 'number' && format !== VERSION) {
    throw new MeshError(
      'E_NOT_SUPPORTED',
      `${path} has format version ${format}, this program reads version ${VERSION}: start the version of meshnomad that wrote it`,
    );
  }
  if (
    typeof id !== 'string' ||
    typeof instance !== 'string' ||
    !INSTANCE.test(instance) ||
    typeof starts !== 'number' ||
    typeof admitted !== 'boolean' ||
    typeof place !== 'string' ||
    typeof epoch !== 'number' ||
    typeof abandoned !== 'boolean' ||
    // Former versions wrote none.
    (sum !== undefined && sum !== sumOf(summed))
  ) {
    throw new MeshError(
      'E_STORAGE',
      `${path} is damaged: without it nobody knows whose data this is; restore it from a backup or let this server join anew`,
    );
  }
  return { instance: { id, instance, starts, admitted, epoch, abandoned }, place };
}
