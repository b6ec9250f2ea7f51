/** Writable copies of rows that one command changes many times: read from a table once, written back once. */
export class Drafts<T> {
  readonly #load: (key: string) => T | undefined;
  readonly #copy: (row: T) => T;
  #drafts = new Map<string, T>();

  constructor(load: (key: string) => T | undefined, copy: (row: T) => T) {
    this.#load = load;
    this.#copy = copy;
  }

  /** The row as it is now, for reading. */
  peek(key: string): T | undefined {
    return this.#drafts.get(key) ?? this.#load(key);
  }

  /** The row to be changed in place; it will be written even if it is not. */
  edit(key: string): T | undefined {
    const draft = this.#drafts.get(key);
    if (draft !== undefined) return draft;
    const row = this.#load(key);
    if (row === undefined) return undefined;
    const copy = this.#copy(row);
    this.#drafts.set(key, copy);
    return copy;
  }

  /** Inserts or replaces a row. */
  set(key: string, row: T): void {
    this.#drafts.set(key, this.#copy(row));
  }

  forget(key: string): void {
    this.#drafts.delete(key);
  }

  /** Hands over all drafts, in the order in which they were begun. */
  take(): T[] {
    const drafts = [...this.#drafts.values()];
    this.#drafts = new Map();
    return drafts;
  }
}

/** More names than these V8 copies one after the other into what is no table yet, which takes four times as long. */
const FEW = 100;

/** Another record of the same parts. */
export function copyOfParts<T>(parts: Readonly<Record<string, T>>): Record<string, T> {
  const names = Object.keys(parts);
  if (names.length <= FEW) return { ...parts };
  // Without a prototype it is a table from the start.
  const copy: Record<string, T> = Object.create(null);
  for (const name of names) copy[name] = parts[name] as T;
  return Object.setPrototypeOf(copy, Object.prototype);
}

/** One part of a draft, to be changed in place. Parts are copied here and not with their row: of a thousand groups a command changes one or two. */
export function ownPart<T extends object>(parts: Record<string, T>, name: string): T | undefined {
  const part = parts[name];
  if (part === undefined) return undefined;
  const own = { ...part };
  parts[name] = own;
  return own;
}
