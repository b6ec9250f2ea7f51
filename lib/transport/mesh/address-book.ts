import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { NodeKey } from '../../structs/mesh.js';
import type { Log } from '../../util/log.js';
import type { MeshClock } from '../clock.js';
import { type Address, parseAddress } from '../tcp.js';
import { formatAddress } from './hello.js';
import type { AddressBook } from './options.js';

/** Addresses a member has had lately; older ones are forgotten. */
const PER_KEY_MAX = 8;
const KEYS_MAX = 4_096;
/** Addresses change in bursts: one write for each of them would wear a memory card. */
const WRITE_AFTER_MS = 2_000;

interface KeptBook extends AddressBook {
  /** Writes what is not on disk yet. */
  close(): void;
}

/** An address book on disk, or only in memory when `path` is null. It is a hint: what cannot be read is begun anew. */
export function createAddressBook(options: { path: string | null; clock: MeshClock; log: Log }): KeptBook {
  const { path, clock, log } = options;
  const book = path === null ? new Map<NodeKey, readonly Address[]>() : read(path);
  let cancelWrite: (() => void) | undefined;

  const write = (): void => {
    cancelWrite?.();
    cancelWrite = undefined;
    if (path === null) return;
    const lines = [...book].map(([key, addresses]) => `${key} ${addresses.map(formatAddress).join(' ')}\n`);
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      writeFileSync(`${path}.new`, lines.join(''), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    } catch (error) {
      log.warn('the address book was not written', { path, why: (error as Error).message });
    }
  };

  return {
    find: (key) => book.get(key) ?? [],
    add(key, addresses) {
      const known = book.get(key) ?? [];
      const merged = unique([...addresses, ...known]).slice(0, PER_KEY_MAX);
      if (merged.length === known.length && merged.every((address, i) => same(address, known[i]))) return;
      book.delete(key);
      book.set(key, merged);
      for (const oldest of book.keys()) {
        if (book.size <= KEYS_MAX) break;
        book.delete(oldest);
      }
      cancelWrite ??= clock.setTimeout(WRITE_AFTER_MS, write);
    },
    close() {
      if (cancelWrite) write();
    },
  };
}

function read(path: string): Map<NodeKey, readonly Address[]> {
  const book = new Map<NodeKey, readonly Address[]>();
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return book;
  }
  for (const line of text.split('\n').slice(0, KEYS_MAX)) {
    const [key = '', ...rest] = line.split(' ');
    const addresses = rest.map((item) => parseAddress(item, 0)).filter((address) => address && address.port > 0);
    if (/^[0-9a-f]{64}$/.test(key) && addresses.length > 0) {
      book.set(key, unique(addresses as Address[]).slice(0, PER_KEY_MAX));
    }
  }
  return book;
}

function unique(addresses: readonly Address[]): Address[] {
  return addresses.filter((address, i) => addresses.findIndex((other) => same(other, address)) === i);
}

function same(a: Address, b: Address | undefined): boolean {
  return a.host === b?.host && a.port === b.port;
}
