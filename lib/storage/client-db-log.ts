import {
  closeSync,
  existsSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { MeshError } from '../structs/errors.js';

// A file of records: a line that names the format, then per record a length, a CRC-32 of the payload (both 4 bytes, big
// endian) and the payload. A record is whole or it is not there.

const HEAD_BYTES = 8;

/** An open record file that is appended to. */
export class RecordLog {
  /** What was cut off when the file was opened, in words for the log. */
  readonly problems: readonly string[];
  private readonly path: string;
  private readonly fd: number;
  private size: number;
  private syncing: Promise<void> | null = null;
  private closed = false;

  private constructor(path: string, size: number, problems: readonly string[]) {
    this.path = path;
    this.size = size;
    this.problems = problems;
    this.fd = openSync(path, 'r+');
  }

  /** Reads every whole record into `onRecord`, cuts off what follows them, and opens the file for appending. */
  static open(path: string, format: string, onRecord: (payload: string) => void): RecordLog {
    return refuseGently(path, () => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      rmSync(`${path}.tmp`, { force: true });
      if (!existsSync(path)) writeRecordFile(path, format, []);
      const bytes = readFileSync(path);
      const start = checkFormat(path, bytes, format);
      // A file that ends inside its first line was being created when the power went: nothing was ever in it.
      if (start > bytes.length) {
        writeRecordFile(path, format, []);
        return new RecordLog(path, start, []);
      }
      const end = readRecords(bytes, start, onRecord);
      const problems = end < bytes.length ? [keepTail(path, bytes, end)] : [];
      const log = new RecordLog(path, end, problems);
      if (problems.length > 0) {
        ftruncateSync(log.fd, end);
        fsyncSync(log.fd);
      }
      return log;
    });
  }

  get sizeBytes(): number {
    return this.size;
  }

  /** Appends one record. Throws MeshError E_STORAGE when it could not be written whole; the file is then as before. */
  append(payload: string): void {
    // The number of a closed file may be that of another one by now, which this would write into.
    if (this.closed) throw storageError(this.path, new Error('it is closed'));
    const record = encodeRecord(payload);
    try {
      let written = 0;
      while (written < record.length) {
        written += writeSync(this.fd, record, written, record.length - written, this.size + written);
      }
    } catch (cause) {
      // Whatever part was written must not stand before the next record.
      refuseGently(this.path, () => ftruncateSync(this.fd, this.size));
      throw storageError(this.path, cause);
    }
    this.size += record.length;
  }

  /** Settles when all records appended before the call are on the disk; calls that overlap share one fdatasync. */
  async sync(): Promise<void> {
    if (this.closed) return;
    // A sync under way may have begun before the caller's last append, so the caller waits for the one after it.
    while (this.syncing) await this.syncing;
    this.syncing = new Promise<void>((resolve, reject) => {
      fdatasync(this.fd, (error) => (error && !this.closed ? reject(storageError(this.path, error)) : resolve()));
    }).finally(() => {
      this.syncing = null;
    });
    await this.syncing;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    await this.sync();
    this.closed = true;
    closeSync(this.fd);
  }

  /** The log that continues in the file which now has this one's name; this one is closed. */
  replaced(): RecordLog {
    const size = readFileSync(this.path).length;
    this.closed = true;
    closeSync(this.fd);
    return new RecordLog(this.path, size, this.problems);
  }
}

/** Writes a whole record file beside `path` and puts it in its place: after a crash there is the old one or the new one. */
export function writeRecordFile(path: string, format: string, payloads: Iterable<string>): void {
  refuseGently(path, () => {
    const temporary = `${path}.tmp`;
    const fd = openSync(temporary, 'w', 0o600);
    try {
      writeSync(fd, format);
      for (const payload of payloads) writeSync(fd, encodeRecord(payload));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    syncDir(dirname(path));
  });
}

function encodeRecord(payload: string): Buffer {
  const body = Buffer.from(payload, 'utf8');
  const record = Buffer.allocUnsafe(HEAD_BYTES + body.length);
  record.writeUInt32BE(body.length, 0);
  record.writeUInt32BE(crc32(body), 4);
  body.copy(record, HEAD_BYTES);
  return record;
}

/** Feeds whole records and returns the offset behind the last of them. */
function readRecords(bytes: Buffer, start: number, onRecord: (payload: string) => void): number {
  let offset = start;
  while (offset + HEAD_BYTES <= bytes.length) {
    const end = offset + HEAD_BYTES + bytes.readUInt32BE(offset);
    if (end > bytes.length) break;
    const body = bytes.subarray(offset + HEAD_BYTES, end);
    if (body.length === 0 || crc32(body) !== bytes.readUInt32BE(offset + 4)) break;
    onRecord(body.toString('utf8'));
    offset = end;
  }
  return offset;
}

/** Returns where the records begin; past the end of the file when it holds no more than a part of the format line. */
function checkFormat(path: string, bytes: Buffer, format: string): number {
  const expected = Buffer.from(format);
  const found = bytes.subarray(0, expected.length);
  if (found.equals(expected.subarray(0, found.length))) return expected.length;
  const line = bytes.subarray(0, Math.min(60, bytes.indexOf(10) >= 0 ? bytes.indexOf(10) : 60)).toString('latin1');
  throw new MeshError(
    'E_STORAGE',
    `${path} begins with ${JSON.stringify(line)} where this version writes ${JSON.stringify(format.trim())}: the data ` +
      'directory belongs to another version; run that version, or give this one an empty data_dir',
  );
}

function keepTail(path: string, bytes: Buffer, end: number): string {
  const kept = `${path}.corrupt-${end}`;
  writeFileSync(kept, bytes.subarray(end), { mode: 0o600 });
  return (
    `${path}: ${bytes.length - end} bytes from offset ${end} on are torn or damaged and were set aside in ${kept}; ` +
    'what was recorded there (the newest task states or handles) is unknown to this client'
  );
}

function syncDir(dir: string): void {
  const fd = openSync(dir, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function storageError(path: string, cause: unknown): MeshError {
  if (cause instanceof MeshError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MeshError('E_STORAGE', `cannot write ${path}: ${why}; free some space or repair the disk`, { cause });
}

function refuseGently<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw storageError(path, cause);
  }
}
