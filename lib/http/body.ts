import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const compress = promisify(gzip);

/** The bytes of one answer, made when first asked for: as they are, and packed. */
export interface Body {
  plain(): Buffer;
  packed(): Promise<Buffer>;
}

// What a server answers with is shared and never changed (lib/transport/local.ts), so its text may be kept for as long as
// the object itself lives: rows of a list for as long as they are in the state, a whole list while it is the newest.
const rows = new WeakMap<object, Buffer>();
const bodies = new WeakMap<object, Body>();

/** Longer rows are made anew each time: whole allocations, kept for as long as they live, would be a second state. */
const ROW_KEPT_MAX_BYTES = 4096;

/**
 * Of single objects only those are kept that are asked for again: by everyone who waited for a job, for example. The text of one
 * that was answered once, of a variable perhaps, is not.
 */
const answeredOnce = new WeakSet<object>();
const SINGLES_KEPT_MAX = 64;
const SINGLE_KEPT_MAX_BYTES = 64 * 1024;
const singles: object[] = [];

const OPEN = Buffer.from('[');
const COMMA = Buffer.from(',');
const CLOSE = Buffer.from(']');

/** The body of an answer. `shared`: the value comes from the state as it is, and will never change. */
export function bodyOf(value: unknown, options: { shared: boolean; pretty: boolean }): Body {
  if (options.pretty) return lazyBody(() => Buffer.from(`${JSON.stringify(value, null, 4)}\n`));
  if (!options.shared || typeof value !== 'object' || value === null) {
    return lazyBody(() => Buffer.from(JSON.stringify(value)));
  }
  if (!Array.isArray(value)) return singleBody(value);
  let body = bodies.get(value);
  if (!body) {
    body = lazyBody(() => listBytes(value));
    bodies.set(value, body);
  }
  return body;
}

function singleBody(value: object): Body {
  const kept = bodies.get(value);
  if (kept) return kept;
  const body = lazyBody(() => Buffer.from(JSON.stringify(value)));
  if (!answeredOnce.has(value)) {
    answeredOnce.add(value);
    return body;
  }
  if (body.plain().length > SINGLE_KEPT_MAX_BYTES) return body;
  bodies.set(value, body);
  singles.push(value);
  const oldest = singles.length > SINGLES_KEPT_MAX ? singles.shift() : undefined;
  if (oldest) bodies.delete(oldest);
  return body;
}

// Bytes rather than strings: joining 10,000 rows is then a copy, with nothing to encode (15 ms against 49).
function listBytes(list: readonly unknown[]): Buffer {
  const parts: Buffer[] = [OPEN];
  for (const row of list) {
    if (parts.length > 1) parts.push(COMMA);
    parts.push(rowBytes(row));
  }
  parts.push(CLOSE);
  return Buffer.concat(parts);
}

function rowBytes(row: unknown): Buffer {
  if (typeof row !== 'object' || row === null) return Buffer.from(JSON.stringify(row) ?? 'null');
  let bytes = rows.get(row);
  if (!bytes) {
    bytes = Buffer.from(JSON.stringify(row));
    if (bytes.length <= ROW_KEPT_MAX_BYTES) rows.set(row, bytes);
  }
  return bytes;
}

function lazyBody(make: () => Buffer): Body {
  let plain: Buffer | undefined;
  let packed: Promise<Buffer> | undefined;
  const body: Body = {
    plain: () => {
      plain ??= make();
      return plain;
    },
    packed: () => {
      // Level 1: on a Pi the time matters more than the last tenth of the bytes.
      packed ??= compress(body.plain(), { level: 1 });
      return packed;
    },
  };
  return body;
}
