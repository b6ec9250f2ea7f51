import { open, realpath, stat } from 'node:fs/promises';
import { CsiError } from '../../lib/plugin/sdk/csi.js';
import { CommandError, listMounts, runCommand } from '../../lib/plugin/sdk/mounts.js';

// File system images: files of a fixed size behind loop devices.

/** A large volume on a slow disk takes its time. */
const COPY_TIMEOUT_MS = 3_600_000;

/** The file systems an image can be formatted with, and the least size of each in bytes. */
export const FILE_SYSTEMS: Readonly<Record<string, { sizeMin: number; make: string[]; keepSpace: string[] }>> = {
  ext4: {
    sizeMin: 4 << 20,
    make: ['mkfs.ext4', '-q', '-F', '-m', '0'],
    // Inode tables that the kernel zeroes later become holes as well.
    keepSpace: ['-E', 'nodiscard,lazy_itable_init=0,lazy_journal_init=0'],
  },
  // mkfs.xfs refuses less than 300 MiB.
  xfs: { sizeMin: 300 << 20, make: ['mkfs.xfs', '-q', '-f'], keepSpace: ['-K'] },
};

/** Makes the file; its space is set aside unless `thin`. Throws RESOURCE_EXHAUSTED when the disk is full. */
export async function makeImage(path: string, sizeBytes: number, thin: boolean): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.truncate(sizeBytes);
  } finally {
    await file.close();
  }
  if (!thin) await reserve(path, sizeBytes);
}

/** Makes a longer file of it; what is there stays. */
export async function growImage(path: string, sizeBytes: number, thin: boolean): Promise<void> {
  if ((await stat(path)).size < sizeBytes) {
    const file = await open(path, 'r+');
    try {
      if (thin) await file.truncate(sizeBytes);
    } finally {
      await file.close();
    }
  }
  if (!thin) await reserve(path, sizeBytes);
}

/** Sets aside what has no space yet. */
export async function reserve(path: string, sizeBytes: number): Promise<void> {
  try {
    await runCommand('fallocate', ['--length', String(sizeBytes), '--', path]);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    if (/No space left/.test(error.said))
      throw new CsiError('RESOURCE_EXHAUSTED', `no room for ${sizeBytes} bytes: ${error.said}`);
    if (/not supported/.test(error.said))
      throw new CsiError('FAILED_PRECONDITION', `${error.said}: use the parameter thin = "true" on this file system`);
    throw error;
  }
}

/** The loop devices that show this file, by path. */
export async function loopsOf(image: string): Promise<string[]> {
  const out = await runCommand('losetup', ['--list', '--noheadings', '--output', 'NAME', '--associated', image]);
  return out
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** The image's loop device, attached when it was not. */
export async function attachLoop(image: string): Promise<string> {
  const path = await realpath(image);
  const [known] = await loopsOf(path);
  if (known !== undefined) return known;
  const out = await runCommand('losetup', ['--find', '--show', '--', path]);
  return out.trim();
}

/** Takes a loop device away; one that is still open somewhere goes when it is closed. */
export async function detachLoop(loop: string): Promise<void> {
  await runCommand('losetup', ['--detach', loop]);
}

/**
 * Tells the loop device that its file has grown, and what is mounted of it to use the room. Throws FAILED_PRECONDITION
 * where the kernel lets only who has CAP_SYS_RESOURCE grow a mounted ext4: it grows when it is next staged.
 */
export async function growMounted(image: string, fsType: string): Promise<void> {
  for (const loop of await loopsOf(image)) {
    await runCommand('losetup', ['--set-capacity', loop]);
    const mounted = (await listMounts()).find((entry) => entry.source === loop && entry.fsType === fsType);
    if (fsType === '' || !mounted) continue;
    if (fsType === 'xfs') await runCommand('xfs_growfs', [mounted.target]);
    else
      await runCommand('resize2fs', [loop]).catch((error: unknown) => {
        if (!(error instanceof CommandError && /Permission denied/.test(error.said))) throw error;
        const why = 'growing a mounted ext4 needs CAP_SYS_RESOURCE, which this plugin does not have';
        throw new CsiError('FAILED_PRECONDITION', `${why}; the volume grows when it is next staged`);
      });
  }
}

/** Grows the file system of a loop device that is not mounted. xfs grows only when mounted. */
export async function growUnmounted(loop: string, fsType: string): Promise<void> {
  await runCommand('losetup', ['--set-capacity', loop]);
  if (fsType !== 'ext4') return;
  // 1 = mistakes were found and put right.
  await runCommand('e2fsck', ['-f', '-p', loop]).catch((error: unknown) => {
    if (!(error instanceof CommandError && error.exitCode === 1)) throw error;
  });
  await runCommand('resize2fs', [loop]);
}

/** Writes an empty file system. The space of an image that is not thin stays set aside: mkfs would give it back to the disk. */
export async function makeFileSystem(device: string, fsType: string, { thin }: { thin: boolean }): Promise<void> {
  const { make, keepSpace } = FILE_SYSTEMS[fsType] ?? { make: [], keepSpace: [] };
  const [program = '', ...args] = make;
  await runCommand(program, [...args, ...(thin ? [] : keepSpace), device]);
}

/** Copies a directory or an image; blocks are shared where the file system can. */
export async function copyData(from: string, to: string): Promise<void> {
  await copyBy('cp', ['--archive', '--reflink=auto', '--sparse=auto', '--', from, to]);
}

async function copyBy(program: string, args: string[]): Promise<void> {
  try {
    await runCommand(program, args, { timeoutMs: COPY_TIMEOUT_MS });
  } catch (error) {
    if (error instanceof CommandError && /No space left/.test(error.said))
      throw new CsiError('RESOURCE_EXHAUSTED', `no room for the copy: ${error.said.split('\n')[0]}`);
    throw error;
  }
}

/**
 * Copies an image that may be mounted: the file system stands still meanwhile, so that the copy is whole. The shell that
 * copies lets it go on whatever becomes of the plugin.
 */
export async function copyImage(from: string, to: string): Promise<void> {
  const loops = await loopsOf(from);
  const mounted = (await listMounts()).find((entry) => loops.includes(entry.source) && FILE_SYSTEMS[entry.fsType]);
  if (!mounted) {
    await copyData(from, to);
    return;
  }
  const script = 'trap \'fsfreeze -u "$3"\' EXIT; fsfreeze -f "$3" && cp --archive --reflink=auto -- "$1" "$2"';
  await copyBy('sh', ['-c', script, 'copy', from, to, mounted.target]);
}

/** Lets file systems go on that a plugin left standing still when it was killed together with its shell. */
export async function thaw(root: string): Promise<void> {
  const out = await runCommand('losetup', ['--list', '--noheadings', '--raw', '--output', 'NAME,BACK-FILE']);
  const mine = out.split('\n').flatMap((line) => (line.includes(` ${root}/`) ? (line.split(' ')[0] ?? []) : []));
  for (const { source, target } of await listMounts()) {
    // One that does not stand still refuses, and that is well.
    if (mine.includes(source)) await runCommand('fsfreeze', ['-u', target]).catch(() => {});
  }
}
