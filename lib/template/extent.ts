import { kindOf, Struct, sizeOf, TextStruct, type Value } from './values.js';

/** Parts of a value, those within its parts too: nobody reads more. */
const PARTS_MAX = 1_000_000;
/** A text that a function makes. */
const TEXT_CHARS_MAX = 16 * 1024 * 1024;
/** Items of a list that a function makes. */
const LIST_ITEMS_MAX = 1_000_000;
/** What an item of a list and an entry of a map take, in characters of a text. */
const ITEM_COST = 8;
const ENTRY_COST = 32;

/**
 * Throws for a value that has too many parts to be gone through, because it holds itself, or the same thing over and over.
 * Whatever walks into values asks this first.
 */
export function checkExtent(value: Value): void {
  let count = 0;
  const open: Value[] = [value];
  while (open.length > 0) {
    const inner = partsOf(open.pop());
    count += inner.length;
    if (count > PARTS_MAX) throw new Error(`the value has more than ${PARTS_MAX} parts`);
    for (const part of inner) if (typeof part === 'object' && part !== null) open.push(part);
  }
}

function partsOf(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value;
  if (value instanceof Struct) return Object.values(value.fields);
  if (value instanceof Map) return [...value.values()];
  return kindOf(value) === 'map' ? Object.values(value as object) : [];
}

/** What values and all within them come to, in characters of a text; no more is looked at once it is over `max`. */
export function extentOf(values: readonly Value[], max: number): number {
  let extent = 0;
  const open: Value[] = [values];
  while (open.length > 0 && extent <= max) {
    const value = open.pop();
    if (typeof value === 'string') extent += value.length;
    else if (value instanceof TextStruct) extent += value.text.length;
    else {
      const inner = partsOf(value);
      extent += ITEM_COST * (inner.length + 1);
      if (extent <= max) for (const part of inner) open.push(part);
    }
  }
  return extent;
}

/** What a value takes that a function has made, in characters; throws for one that is too large. */
export function costOf(value: Value): number {
  if (typeof value === 'string') {
    if (value.length > TEXT_CHARS_MAX) throw new Error(`the text has more than ${TEXT_CHARS_MAX} characters`);
    return value.length;
  }
  if (Array.isArray(value)) {
    if (value.length > LIST_ITEMS_MAX) throw new Error(`the list has more than ${LIST_ITEMS_MAX} items`);
    return value.length * ITEM_COST;
  }
  return kindOf(value) === 'map' ? sizeOf(value as object) * ENTRY_COST : 0;
}
