import type { NodeKey } from '../../structs/mesh.js';
import type { Millis } from '../../util/clock.js';
import { err, ok, type Result } from '../../util/result.js';
import type { Address } from '../tcp.js';
import { distinct, formatAddress, isUsable } from './addresses.js';

// Where members were last seen: pure; lib/transport/dht/address-file.ts keeps it on disk.

const ADDRESSES_MAX = 8;
const KEYS_MAX = 2_000;
const VERSION = 1;

/** An address, and when it was last heard of. */
interface Entry extends Address {
  readonly at: Millis;
}

/** By key; the latest address first, and the key that was heard of last at the end. Immutable. */
export type Book = ReadonlyMap<NodeKey, readonly Entry[]>;

export const EMPTY_BOOK: Book = new Map();

/** The book with these addresses in front of what it knew of the key; at most eight a key, and two thousand keys. */
export function withAddresses(book: Book, key: NodeKey, addresses: readonly Address[], now: Millis): Book {
  const heard = distinct(addresses.filter(isUsable)).map((address) => ({ ...address, at: now }));
  if (heard.length === 0) return book;
  const fresh = new Set(heard.map(formatAddress));
  const kept = (book.get(key) ?? []).filter((entry) => !fresh.has(formatAddress(entry)));
  const next = new Map(book);
  next.delete(key);
  next.set(key, [...heard, ...kept].slice(0, ADDRESSES_MAX));
  for (const oldest of next.keys()) {
    if (next.size <= KEYS_MAX) break;
    next.delete(oldest);
  }
  return next;
}

export function formatBook(book: Book): string {
  return `${JSON.stringify({ version: VERSION, members: Object.fromEntries(book) })}\n`;
}

/** Reads what formatBook wrote; whatever of it is not an address is left out. */
export function parseBook(text: string): Result<Book, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return err('not JSON');
  }
  const { version, members } = (value ?? {}) as { version?: unknown; members?: unknown };
  if (version !== VERSION || typeof members !== 'object' || members === null) return err(`not of version ${VERSION}`);
  const book = new Map<NodeKey, readonly Entry[]>();
  for (const [key, list] of Object.entries(members).slice(-KEYS_MAX)) {
    const entries = Array.isArray(list) ? list.filter(isEntry).slice(0, ADDRESSES_MAX) : [];
    if (/^[0-9a-f]{64}$/.test(key) && entries.length > 0) {
      book.set(
        key,
        entries.map(({ host, port, at }) => ({ host, port, at })),
      );
    }
  }
  return ok(book);
}

function isEntry(value: unknown): value is Entry {
  const { host, port, at } = (value ?? {}) as Partial<Entry>;
  return typeof host === 'string' && typeof port === 'number' && typeof at === 'number' && isUsable({ host, port });
}
