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

function shareArray(old: readonly unknown[], next: readonly unknown[]): readonly unknown[] {
  let same = old.length === next.length;
  const result = next.slice();
  for (let i = 0; i < next.length; i++) {
    if (i >= old.length) break;
    result[i] = shareEqual(old[i], next[i]);
    if (result[i] !== old[i]) same = false;
  }
  return same ? old : result;
}

function shareObject(old: Fields, next: Fields): Fields {
  const keys = Object.keys(next);
  let same = keys.length === Object.keys(old).length;
  const result = { ...next };
  for (const key of keys) {
    if (!Object.hasOwn(old, key)) {
      same = false;
      continue;
    }
    const shared = shareEqual(old[key], next[key]);
    if (shared !== old[key]) same = false;
    result[key] = shared;
  }
  return same ? old : result;
}
