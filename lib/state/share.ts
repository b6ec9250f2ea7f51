/**
 * `next`, with every part that equals the corresponding part of `old` replaced by it: equal values are kept once, and
 * a result that is `old` itself says that nothing differs. Neither argument is changed. For JSON-like values.
 */
export function shareEqual<T>(old: unknown, next: T): T {
  // Two equal strings can be two copies: the old one is kept, the new one becomes garbage.
  if (old === next) return old as T;
  if (typeof old !== 'object' || typeof next !== 'object' || old === null || next === null) return next;
  if (Array.isArray(next)) return Array.isArray(old) ? (shareArray(old, next) as T) : next;
  return Array.isArray(old) ? next : (shareObject(old as Fields, next as Fields) as T);
}

type Fields = Record<string, unknown>;

/** Shorter strings are kept once by whoever parses JSON anyway: not worth a copy of what holds them. */
const LONG = 11;

function isLong(value: unknown): boolean {
  return typeof value === 'string' && value.length >= LONG;
}

/** Whether `shared` is to take the place of `own`. === cannot tell two copies of a string from one: long ones are replaced. */
function isBetter(shared: unknown, own: unknown): boolean {
  return shared !== own || isLong(shared);
}

function shareArray(old: readonly unknown[], next: readonly unknown[]): readonly unknown[] {
  let same = old.length === next.length;
  let result: unknown[] | null = null;
  for (let i = 0; i < next.length && i < old.length; i++) {
    const shared = shareEqual(old[i], next[i]);
    if (shared !== old[i]) same = false;
    if (isBetter(shared, next[i])) {
      result ??= next.slice();
      result[i] = shared;
    }
  }
  return same ? old : (result ?? next);
}

// Copied only when there is something to share: for most of what is compared, either nothing differs or all does.
function shareObject(old: Fields, next: Fields): Fields {
  let same = true;
  let result: Fields | null = null;
  let keys = 0;
  for (const key in next) {
    keys++;
    const own = next[key];
    // Most of what is compared is the same number, null or short word.
    if (own === old[key] && own !== undefined && !isLong(own)) continue;
    if (!Object.hasOwn(old, key)) {
      same = false;
      continue;
    }
    const shared = shareEqual(old[key], own);
    if (shared !== old[key]) same = false;
    if (isBetter(shared, own)) {
      result ??= { ...next };
      result[key] = shared;
    }
  }
  if (same && keys === Object.keys(old).length) return old;
  return result ?? next;
}
