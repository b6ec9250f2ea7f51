import { promisify } from 'node:util';
import { createGzip, gzip } from 'node:zlib';
import type { Turns } from '../util/turns.js';

const compress = promisify(gzip);

/** The bytes of an answer, in the pieces in which they were made. */
export interface Pieces {
  readonly length: number;
  readonly pieces: readonly Buffer[];
}

/** The bytes of one answer, made when first asked for: as they are, and packed. */
export interface Body {
  plain(): Promise<Pieces>;
  packed(): Promise<Pieces>;
}

// What a server answers with is shared and never changed (lib/transport/local.ts), so its text may be kept for as long as
// the object itself lives: rows of a list for as long as they are in the state, a whole list while it is the newest.
const rows = new WeakMap<object, Buffer>();
const bodies = new WeakMap<object, Body>();

/** Longer rows are made anew each time: whole allocations, kept for as long as they live, would be a second state. */
const ROW_KEPT_MAX_BYTES = 4096;
/** The text of a list of 100,000 rows is made, packed and sent in pieces of this size: a millisecond's work each. */
const PIECE_BYTES = 128 * 1024;
/** So much text is as much work as one row of a list that is looked through (lib/util/turns.ts). */
const BYTES_PER_ITEM = 256;
/** Rows of a piece: to go through many short ones is work, too. */
const PIECE_ROWS_MAX = 500;
/** The rows of longer lists are not kept: together they would be as large as the state, and to ask for one such list is rare. */
const LIST_KEPT_MAX_ROWS = 20_000;

/**
 * Of single objects only those are kept that are asked for again: by everyone who waited for a job, for example. The text of one
 * that was answered once, of a variable perhaps, is not.
 */
const answeredOnce = new WeakSet<object>();
const SINGLES_KEPT_MAX = 64;
const SINGLE_KEPT_MAX_BYTES = 64 * 1024;
const singles: object[] = [];

/** How an answer is printed. */
export interface Printing {
  /** The value comes from the state as it is, and will never change. */
  readonly shared: boolean;
  /** For a person to read. */
  readonly pretty: boolean;
  /** In whose turns a long list is printed. */
  readonly turns: Turns;
}

/** The body of an answer. */
export function bodyOf(value: unknown, { shared, pretty, turns }: Printing): Body {
  if (Array.isArray(value) && value.length > 0) {
    if (pretty) return lazyBody(turns, () => listPieces(value, turns, PRETTY));
    if (!shared || value.length > LIST_KEPT_MAX_ROWS) return lazyBody(turns, () => listPieces(value, turns, PLAIN));
    let body = bodies.get(value);
    if (!body) {
      body = lazyBody(turns, () => listPieces(value, turns, KEPT));
      bodies.set(value, body);
    }
    return body;
  }
  if (pretty) return lazyBody(turns, () => single(`${JSON.stringify(value, null, 4)}\n`));
  if (!shared || typeof value !== 'object' || value === null)
    return lazyBody(turns, () => single(JSON.stringify(value)));
  return singleBody(value, turns);
}

const single = (text: string): Pieces => {
  const bytes = Buffer.from(text);
  return { length: bytes.length, pieces: [bytes] };
};

function singleBody(value: object, turns: Turns): Body {
  const kept = bodies.get(value);
  if (kept) return kept;
  if (!answeredOnce.has(value)) {
    answeredOnce.add(value);
    return lazyBody(turns, () => single(JSON.stringify(value)));
  }
  const made = single(JSON.stringify(value));
  const body = lazyBody(turns, () => made);
  if (made.length > SINGLE_KEPT_MAX_BYTES) return body;
  bodies.set(value, body);
  singles.push(value);
  const oldest = singles.length > SINGLES_KEPT_MAX ? singles.shift() : undefined;
  if (oldest) bodies.delete(oldest);
  return body;
}

/** How a list is printed. */
interface ListStyle<P extends { readonly length: number }> {
  readonly open: P;
  readonly between: P;
  readonly close: P;
  readonly row: (row: unknown) => P;
  readonly join: (parts: readonly P[]) => Buffer;
}

const print = (row: unknown): string => JSON.stringify(row) ?? 'null';
// One piece of memory for many rows: to ask for it costs more than to fill it.
const encode = (parts: readonly string[]): Buffer => Buffer.from(parts.join(''));

const PLAIN: ListStyle<string> = { open: '[', between: ',', close: ']', row: print, join: encode };
const PRETTY: ListStyle<string> = {
  open: '[\n    ',
  between: ',\n    ',
  close: '\n]\n',
  // No text of JSON holds a line break of its own.
  row: (row) => (JSON.stringify(row, null, 4) ?? 'null').replaceAll('\n', '\n    '),
  join: encode,
};
// Bytes rather than strings: joining 10,000 rows is then a copy, with nothing to encode (15 ms against 49).
const KEPT: ListStyle<Buffer> = {
  open: Buffer.from('['),
  between: Buffer.from(','),
  close: Buffer.from(']'),
  row: keptRow,
  join: (parts) => Buffer.concat(parts),
};

async function listPieces<P extends { readonly length: number }>(
  list: readonly unknown[],
  turns: Turns,
  style: ListStyle<P>,
): Promise<Pieces> {
  const pieces: Buffer[] = [];
  let parts: P[] = [style.open];
  let bytes = 0;
  let length = 0;
  const cut = (): void => {
    const piece = style.join(parts);
    pieces.push(piece);
    length += piece.length;
    parts = [];
    bytes = 0;
  };
  for (let i = 0; i < list.length; i++) {
    if (i > 0) parts.push(style.between);
    const row = style.row(list[i]);
    parts.push(row);
    bytes += row.length;
    if (bytes < PIECE_BYTES && parts.length < 2 * PIECE_ROWS_MAX) continue;
    cut();
    const turn = turns.take(PIECE_BYTES / BYTES_PER_ITEM);
    if (turn) await turn;
  }
  parts.push(style.close);
  cut();
  return { length, pieces };
}

function keptRow(row: unknown): Buffer {
  if (typeof row !== 'object' || row === null) return Buffer.from(print(row));
  let bytes = rows.get(row);
  if (!bytes) {
    bytes = Buffer.from(print(row));
    if (bytes.length <= ROW_KEPT_MAX_BYTES) rows.set(row, bytes);
  }
  return bytes;
}

function lazyBody(turns: Turns, make: () => Pieces | Promise<Pieces>): Body {
  let plain: Promise<Pieces> | undefined;
  let packed: Promise<Pieces> | undefined;
  const body: Body = {
    plain: () => {
      plain ??= Promise.resolve(make());
      return plain;
    },
    packed: () => {
      packed ??= body.plain().then((pieces) => pack(pieces, turns));
      return packed;
    },
  };
  return body;
}

// Level 1: on a Pi the time matters more than the last tenth of the bytes.
async function pack({ pieces }: Pieces, turns: Turns): Promise<Pieces> {
  if (pieces.length === 1) {
    const bytes = await compress(pieces[0] as Buffer, { level: 1 });
    return { length: bytes.length, pieces: [bytes] };
  }
  const stream = createGzip({ level: 1, chunkSize: PIECE_BYTES });
  const packed: Buffer[] = [];
  let length = 0;
  const whole = new Promise<void>((resolve, reject) => {
    stream.once('error', reject).once('end', resolve);
    stream.on('data', (bytes: Buffer) => {
      packed.push(bytes);
      length += bytes.length;
    });
  });
  for (const piece of pieces) {
    // It packs in a thread of its own: who fills it waits for that.
    await new Promise<void>((resolve) => stream.write(piece, () => resolve()));
    const turn = turns.take(1);
    if (turn) await turn;
  }
  stream.end();
  await whole;
  return { length, pieces: packed };
}
