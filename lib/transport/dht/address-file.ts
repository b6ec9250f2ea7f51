import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeKey } from '../../structs/mesh.js';
import type { Log } from '../../util/log.js';
import type { AddressBook } from '../mesh/options.js';
import type { Address } from '../tcp.js';
import { type Book, EMPTY_BOOK, formatBook, parseBook, withAddresses } from './address-book.js';

const NAME = 'addresses.json';
/** Gossip brings addresses all the time; what is lost by a crash is heard again. */
const WRITE_AFTER_MS = 2_000;

/** An address book that writes itself to disk some seconds after a change. */
export interface KeptAddressBook extends AddressBook {
  /** Writes what is not written yet. */
  close(): void;
}

/** The book kept in `folder`; null: in memory only. A damaged file is left behind: everything in it can be heard again. */
export function openAddressBook(folder: string | null, log: Log): KeptAddressBook {
  const path = folder === null ? null : join(folder, NAME);
  let book: Book = path === null ? EMPTY_BOOK : read(path, log);
  let timer: NodeJS.Timeout | undefined;

  const write = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (path === null || folder === null) return;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      writeFileSync(`${path}.new`, formatBook(book), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    } catch (error) {
      // A full disk must not end an agent over what it can hear again.
      log.warn('the address book cannot be written', { path, error: (error as Error).message });
    }
  };
  return {
    find: (key: NodeKey): readonly Address[] => (book.get(key) ?? []).map(({ host, port }) => ({ host, port })),
    add(key, addresses) {
      const next = withAddresses(book, key, addresses, Date.now());
      if (next === book) return;
      book = next;
      timer ??= setTimeout(write, WRITE_AFTER_MS).unref();
    },
    close() {
      if (timer !== undefined) write();
    },
  };
}

function read(path: string, log: Log): Book {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn('the address book cannot be read', { path, error: (error as Error).message });
    return EMPTY_BOOK;
  }
  const found = parseBook(text);
  if (found.ok) return found.value;
  log.warn('the address book is damaged: members are looked for by other ways', { path, error: found.error });
  return EMPTY_BOOK;
}
