/** One record of the engine's log: a line, or a piece of a very long one. */
export interface LogRecord {
  stream: 'stdout' | 'stderr';
  /** As the engine wrote it: RFC 3339 with nanoseconds. */
  time: string;
  data: Buffer;
}

const HEADER_BYTES = 8;
const STDERR = 2;
/** What the engine itself has to say, such as that its file cannot be read. */
const ENGINE = 3;
const SPACE = 0x20;
const NEWLINE = 0x0a;

/** Cuts the engine's answer (`timestamps=1`) into records: frames with a header, or bare lines when the container has a terminal. */
export class LogRecordReader {
  /** What the engine said of itself last, without a time or a place among the records; '' = nothing. */
  problem = '';
  readonly #tty: boolean;
  #rest: Buffer = Buffer.alloc(0);

  constructor(tty: boolean) {
    this.#tty = tty;
  }

  /** The records that are complete with this chunk. */
  read(chunk: Buffer): LogRecord[] {
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const records: LogRecord[] = [];
    let at = 0;
    for (;;) {
      const found = this.#tty ? lineAt(data, at) : frameAt(data, at);
      if (!found) break;
      const content = data.subarray(found.from, found.to);
      const record = found.stream === 'engine' ? undefined : parseRecord(found.stream, content);
      if (found.stream === 'engine') this.problem = content.toString().trim();
      if (record) records.push(record);
      at = found.to;
    }
    this.#rest = data.subarray(at);
    return records;
  }

  /** At the end of all output: a last line without its end, which with a terminal may be whole. */
  end(): LogRecord[] {
    const record = this.#tty ? parseRecord('stdout', this.#rest) : undefined;
    return record ? [record] : [];
  }
}

interface Found {
  stream: LogRecord['stream'] | 'engine';
  from: number;
  to: number;
}

function frameAt(data: Buffer, at: number): Found | undefined {
  if (data.length < at + HEADER_BYTES) return undefined;
  const from = at + HEADER_BYTES;
  const to = from + data.readUInt32BE(at + 4);
  const stream = data[at] === ENGINE ? 'engine' : data[at] === STDERR ? 'stderr' : 'stdout';
  return data.length < to ? undefined : { stream, from, to };
}

function lineAt(data: Buffer, at: number): Found | undefined {
  const end = data.indexOf(NEWLINE, at);
  return end < 0 ? undefined : { stream: 'stdout', from: at, to: end + 1 };
}

function parseRecord(stream: LogRecord['stream'], data: Buffer): LogRecord | undefined {
  const space = data.indexOf(SPACE);
  if (space < 0) return undefined;
  return { stream, time: data.toString('latin1', 0, space), data: data.subarray(space + 1) };
}

/** Nanoseconds since the epoch of an RFC 3339 time, in any zone and with up to nine digits. */
export function timeNs(time: string): bigint {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$/.exec(time);
  if (!match) return 0n;
  const seconds = BigInt(Date.parse(`${match[1]}${match[3]}`)) / 1000n;
  return seconds * 1_000_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
}

/** The engine's `since`: seconds with nanoseconds behind the dot. */
export function sinceText(ns: bigint): string {
  return `${ns / 1_000_000_000n}.${String(ns % 1_000_000_000n).padStart(9, '0')}`;
}
