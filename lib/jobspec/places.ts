import type { SourceRange } from '../hcl/index.js';
import type { Raw } from './schema/field.js';

/** Where an object of the decoded job was written: its block, and its attributes by their JSON key. */
export interface Place {
  readonly range: SourceRange;
  readonly keys: Map<string, SourceRange>;
}

/** Kept by object, not by path: settling moves objects, but they stay the same. */
export type Places = Map<object, Place>;

/** JSON path ("TaskGroups[0].Tasks[1].Driver") → where it was written in the job file. */
export type JobRanges = ReadonlyMap<string, SourceRange>;

/** The ranges of a finished job by path. */
export function rangesOf(job: Raw, places: Places): JobRanges {
  const ranges = new Map<string, SourceRange>();
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return;
    const place = places.get(value);
    if (place) {
      if (!ranges.has(path)) ranges.set(path, place.range);
      for (const [key, range] of place.keys) ranges.set(path === '' ? key : `${path}.${key}`, range);
    }
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) walk(item, `${path}[${i}]`);
      // A list is where its first element is.
      const first = ranges.get(`${path}[0]`);
      if (first) ranges.set(path, first);
      return;
    }
    for (const [key, item] of Object.entries(value)) walk(item, path === '' ? key : `${path}.${key}`);
  };
  walk(job, '');
  return ranges;
}

/** Where a path was written: the thing itself, or the nearest one around it. */
export function findRange(ranges: JobRanges, path: string): SourceRange | undefined {
  let at = path;
  while (at !== '' && !ranges.has(at)) at = at.slice(0, Math.max(0, at.lastIndexOf('.'), at.lastIndexOf('[')));
  return ranges.get(at);
}
