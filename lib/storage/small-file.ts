import { join } from 'node:path';
import type { Disk } from './disk.js';

const SIZE_MAX = 4096;

/** The whole text of a small file; null when it is not there. */
export function readSmallFile(disk: Disk, folder: string, name: string): string | null {
  if (!disk.list(folder).includes(name)) return null;
  const file = disk.open(join(folder, name), 'read');
  try {
    const bytes = new Uint8Array(SIZE_MAX);
    return new TextDecoder().decode(bytes.subarray(0, file.read(bytes, 0)));
  } finally {
    file.close();
  }
}

/** Replaces a small file as a whole, durably: written beside, synced, renamed, and the folder synced. */
export async function replaceSmallFile(disk: Disk, folder: string, name: string, text: string): Promise<void> {
  const path = join(folder, name);
  const file = disk.open(`${path}.tmp`, 'create');
  try {
    file.write(new TextEncoder().encode(text), 0);
    await file.sync();
  } finally {
    file.close();
  }
  disk.rename(`${path}.tmp`, path);
  await disk.syncDir(folder);
}
