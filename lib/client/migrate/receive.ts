import { constants } from 'node:fs';
import { type FileHandle, lchown, open, rm, symlink } from 'node:fs/promises';
import type { SnapshotEntry, SnapshotFrame } from '../../structs/rpc-migrate.js';
import { formatBytes } from '../../util/byte-size.js';
import { type HeldDir, holdDir, insidePath } from '../sandbox.js';
import type { SnapshotMark } from './send.js';

/** Raised when what a peer sends is not what it may send: asking again does not help. */
export class SnapshotRefused extends Error {}

/** What one may take from a peer. */
export interface ReceiveOptions {
  /** A directory of the agent alone, on the file system of the allocation. */
  staging: string;
  /** Where entries may lie: these paths, and below them. */
  allowed: readonly string[];
  /** Refuses a size that does not fit here; called once, before anything is written. */
  accept: (bytes: number) => Promise<void>;
  progress: (done: number, total: number) => void;
}

const ENTRIES_MAX = 5_000_000;

interface OpenFile {
  entry: SnapshotEntry;
  file: FileHandle;
  left: number;
}

/** Takes the data of an allocation from its node, over several streams where one breaks. To be closed at the end. */
export class SnapshotReceiver {
  /** Entries that are whole. */
  complete = 0;
  private readonly options: ReceiveOptions;
  private total: { entries: number; bytes: number } | null = null;
  private doneBytes = 0;
  private open: OpenFile | null = null;
  /** The file that the last stream broke off in. */
  private broken: OpenFile | null = null;
  /** The furthest that any stream has come. */
  private furthest = 0;

  constructor(options: ReceiveOptions) {
    this.options = options;
  }

  /** How much has come, as people read it; empty before anything was announced. */
  get part(): string {
    return this.total === null ? '' : partOf(this.doneBytes, this.total.bytes);
  }

  /** Where the next stream may go on. */
  get mark(): SnapshotMark {
    return { entries: this.complete, bytes: this.broken ? this.broken.entry.Size - this.broken.left : 0 };
  }

  /** Whether anything has come that no stream had brought before, since this was asked the last time. */
  cameOn(): boolean {
    const now = this.complete + this.doneBytes;
    const isFurther = now > this.furthest;
    this.furthest = Math.max(this.furthest, now);
    return isFurther;
  }

  async close(): Promise<void> {
    await this.dropFile();
  }

  /** Takes one stream to its end; true when the last entry has come. Throws what breaks the stream, and SnapshotRefused. */
  async take(frames: AsyncIterable<SnapshotFrame>): Promise<boolean> {
    try {
      for await (const frame of frames) {
        if ('Done' in frame) return this.complete === this.total?.entries;
        if ('Entries' in frame) await this.begin(frame);
        else if ('Entry' in frame) await this.entry(frame.Entry, frame.From ?? 0);
        else await this.data(frame.Data);
      }
      return false;
    } finally {
      this.broken ??= this.open;
      this.open = null;
    }
  }

  private async begin({ Entries, Bytes }: { Entries: number; Bytes: number }): Promise<void> {
    if (!isSize(Entries) || !isSize(Bytes) || Entries > ENTRIES_MAX) throw new SnapshotRefused('sizes that cannot be');
    const before = this.total;
    if (before && (before.entries !== Entries || before.bytes !== Bytes)) {
      throw new SnapshotRefused('the data has changed between two attempts');
    }
    if (!before) await this.options.accept(Bytes);
    this.total = { entries: Entries, bytes: Bytes };
  }

  private async entry(entry: SnapshotEntry, from: number): Promise<void> {
    if (!this.total || this.open || this.complete >= this.total.entries)
      throw new SnapshotRefused('an entry out of turn');
    if (from !== 0) {
      this.goOn(entry, from);
      return;
    }
    await this.dropFile();
    const { parts } = insidePath(this.options.staging, String(entry.Path));
    const path = parts.join('/');
    if (!this.options.allowed.some((own) => path === own || path.startsWith(`${own}/`))) {
      throw new SnapshotRefused(`${JSON.stringify(entry.Path)} is no data of the allocation`);
    }
    if (entry.Kind !== 'dir' && this.options.allowed.includes(path)) {
      throw new SnapshotRefused(`${JSON.stringify(entry.Path)} is no directory`);
    }
    if (!isSize(entry.Size)) throw new SnapshotRefused('a size that cannot be');
    const name = parts.at(-1) as string;
    const dir = await holdDir({ root: this.options.staging, parts: parts.slice(0, -1) }, { mode: 0o755 });
    try {
      await this.write(dir, name, entry);
    } finally {
      await dir.handle.close();
    }
  }

  private async write(dir: HeldDir, name: string, entry: SnapshotEntry): Promise<void> {
    const path = dir.at(name);
    switch (entry.Kind) {
      case 'dir': {
        const made = await holdDir(
          { root: `/proc/self/fd/${dir.handle.fd}`, parts: [name] },
          { mode: entry.Mode & 0o777 },
        );
        await made.handle.close();
        await own(path, entry);
        this.complete++;
        return;
      }
      case 'link':
        await rm(path, { force: true });
        await symlink(String(entry.Target), path);
        await own(path, entry);
        this.complete++;
        return;
      case 'file': {
        await rm(path, { force: true });
        const file = await open(
          path,
          constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
          0o600,
        );
        this.open = { entry, file, left: entry.Size };
        await own(path, entry);
        await file.chmod(entry.Mode & 0o777);
        if (entry.Size === 0) await this.closeFile();
        return;
      }
      default:
        throw new SnapshotRefused(`an entry of an unknown kind`);
    }
  }

  private async data(piece: Uint8Array): Promise<void> {
    const { open: file, total } = this;
    if (!file || !total || !(piece instanceof Uint8Array) || piece.length > file.left)
      throw new SnapshotRefused('more than was announced');
    for (let at = 0; at < piece.length; ) {
      const { bytesWritten } = await file.file.write(piece, at);
      at += bytesWritten;
      file.left -= bytesWritten;
      this.doneBytes += bytesWritten;
    }
    if (this.doneBytes > total.bytes) throw new SnapshotRefused('more than was announced');
    this.options.progress(this.doneBytes, total.bytes);
    if (file.left === 0) await this.closeFile();
  }

  /** What has come of a file is kept for as long as it is the same file. */
  private goOn({ Path, Kind, Size, Mtime }: SnapshotEntry, from: number): void {
    const { broken } = this;
    const isSame = broken?.entry.Path === Path && broken.entry.Size === Size && broken.entry.Mtime === Mtime;
    if (!broken || !isSame || Kind !== 'file' || from !== Size - broken.left)
      throw new SnapshotRefused('the data has changed between two attempts');
    this.open = broken;
    this.broken = null;
  }

  /** A file that a stream broke off in comes again as a whole, from a node that cannot go on in it. */
  private async dropFile(): Promise<void> {
    const { broken: file } = this;
    if (!file) return;
    this.broken = null;
    this.doneBytes -= file.entry.Size - file.left;
    await file.file.close();
  }

  private async closeFile(): Promise<void> {
    const { open: file } = this;
    if (!file) return;
    this.open = null;
    const seconds = file.entry.Mtime / 1000;
    if (Number.isFinite(seconds)) await file.file.utimes(seconds, seconds);
    await file.file.close();
    this.complete++;
  }
}

/** `34 % of 3 GiB`. */
export function partOf(done: number, total: number): string {
  return `${Math.floor((100 * done) / Math.max(1, total))} % of ${formatBytes(total)}`;
}

function isSize(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Only root can give files away; what an agent of another user takes is its own. */
async function own(path: string, { Uid, Gid }: SnapshotEntry): Promise<void> {
  if (process.getuid?.() === 0 && isSize(Uid) && isSize(Gid)) await lchown(path, Uid, Gid);
}
