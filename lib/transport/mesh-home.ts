import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '../structs/errors.js';

// What a member keeps of its mesh on disk, below <data_dir>/mesh: a file each, readable by its user only, replaced at once
// or not at all.

export type HomeFile =
  /** The own certificates, the mesh, and everybody else as they were known last. */
  | 'roster'
  /** Who is out, for ever. */
  | 'tombstones'
  /** The root key, sealed with the recovery code; on every server. */
  | 'root.sealed'
  /** How far this member's incarnation may have gone in the gossip: never backwards. */
  | 'incarnation'
  /** What the founder has yet to tell the servers' state. */
  | 'founding';

export interface MeshHome {
  /** The value last written; undefined when there is none. Throws E_STORAGE when it cannot be read. */
  read(file: HomeFile): unknown;
  write(file: HomeFile, value: unknown): void;
  remove(file: HomeFile): void;
  has(file: HomeFile): boolean;
}

/** The files in `folder`; null = kept nowhere. */
export function openMeshHome(folder: string | null): MeshHome {
  if (folder === null) return memoryHome();
  const path = (file: HomeFile): string => join(folder, file);
  const failed = (what: string, file: HomeFile, error: unknown): MeshError =>
    new MeshError('E_STORAGE', `cannot ${what} ${path(file)}: ${(error as Error).message}`, { cause: error });
  return {
    read(file) {
      try {
        return existsSync(path(file)) ? JSON.parse(readFileSync(path(file), 'utf8')) : undefined;
      } catch (error) {
        throw failed('read', file, error);
      }
    },
    write(file, value) {
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        const draft = `${path(file)}.new`;
        const fd = openSync(draft, 'w', 0o600);
        try {
          writeSync(fd, `${JSON.stringify(value)}\n`);
          fsyncSync(fd);
        } finally {
          closeSync(fd);
        }
        renameSync(draft, path(file));
      } catch (error) {
        throw failed('write', file, error);
      }
    },
    remove: (file) => rmSync(path(file), { force: true }),
    has: (file) => existsSync(path(file)),
  };
}

function memoryHome(): MeshHome {
  const files = new Map<HomeFile, string>();
  return {
    read: (file) => (files.has(file) ? JSON.parse(files.get(file) as string) : undefined),
    write: (file, value) => {
      files.set(file, JSON.stringify(value));
    },
    remove: (file) => {
      files.delete(file);
    },
    has: (file) => files.has(file),
  };
}
