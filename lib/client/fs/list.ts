import type { Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { MeshError } from '../../structs/errors.js';
import type { FileInfo } from '../../structs/rpc.js';
import { openFound, resolveInside } from './paths.js';

/** Bytes that tell a file's content type. */
const SNIFF_BYTES = 512;

/** What a directory of an allocation holds, by name. */
export async function listFiles(allocDir: string, path: string): Promise<FileInfo[]> {
  const target = await resolveInside(allocDir, path);
  const dir = await openFound(target, path, 'directory').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOTDIR') throw new MeshError('E_BAD_REQUEST', `${path} is not a directory`);
    throw cause;
  });
  try {
    const held = `/proc/self/fd/${dir.fd}`;
    const names = await readdir(held);
    const files = await Promise.all(
      // A file that goes away meanwhile is simply not there.
      names.sort().map(async (name) => {
        const info = await lstat(join(held, name)).catch(() => null);
        return info ? [fileInfo(name, info)] : [];
      }),
    );
    return files.flat();
  } finally {
    await dir.close();
  }
}

/** What one file or directory of an allocation is. */
export async function statFile(allocDir: string, path: string): Promise<FileInfo> {
  const target = await resolveInside(allocDir, path);
  const place = await openFound(target, path, 'place');
  const found = await place.stat().finally(() => place.close());
  const info = fileInfo(basename(target), found);
  return found.isFile() ? { ...info, ContentType: await contentType(target) } : info;
}

function fileInfo(name: string, info: Stats): FileInfo {
  return {
    Name: name,
    IsDir: info.isDirectory(),
    Size: info.size,
    FileMode: modeText(info),
    ModTime: info.mtime.toISOString(),
  };
}

/** As Go prints a mode: `drwxr-xr-x`, `-rw-------`, `Lrwxrwxrwx`, `dtrwxrwxrwx`. */
function modeText(info: Stats): string {
  let kind = '';
  if (info.isDirectory()) kind = 'd';
  else if (info.isSymbolicLink()) kind = 'L';
  else if (info.isFIFO()) kind = 'p';
  else if (info.isSocket()) kind = 'S';
  else if (info.isCharacterDevice()) kind = 'Dc';
  else if (info.isBlockDevice()) kind = 'D';
  if ((info.mode & 0o4000) !== 0) kind += 'u';
  if ((info.mode & 0o2000) !== 0) kind += 'g';
  if ((info.mode & 0o1000) !== 0) kind += 't';
  const bits = [...'rwxrwxrwx'].map((letter, i) => ((info.mode & (1 << (8 - i))) !== 0 ? letter : '-'));
  return (kind === '' ? '-' : kind) + bits.join('');
}

async function contentType(path: string): Promise<string> {
  const file = await openFound(path, path, 'file').catch(() => null);
  if (!file) return 'application/octet-stream';
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(SNIFF_BYTES), 0, SNIFF_BYTES, 0);
    const head = buffer.subarray(0, bytesRead);
    return head.includes(0) ? 'application/octet-stream' : 'text/plain; charset=utf-8';
  } finally {
    await file.close();
  }
}
