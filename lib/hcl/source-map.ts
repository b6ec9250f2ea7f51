import type { Position, SourceRange } from './diagnostics.js';
import { graphemes } from './graphemes.js';

/** Where lines, columns and bytes lie in a source. Positions are made when asked for: most of them never are. */
export class SourceMap {
  readonly filename: string;
  readonly source: string;
  readonly #lineStarts: number[] = [0];
  /** UTF-8 offset of each line; empty while the source is ASCII only, where offsets are indexes. */
  readonly #lineBytes: number[] = [];
  /** The last line with other than ASCII characters that was looked at: its cluster starts and its first index. */
  #clusters: { line: number; starts: number[] } | undefined;

  constructor(source: string, filename: string) {
    this.source = source;
    this.filename = filename;
    for (let at = source.indexOf('\n'); at >= 0; at = source.indexOf('\n', at + 1)) this.#lineStarts.push(at + 1);
    if (!NOT_ASCII.test(source)) return;
    let bytes = 0;
    for (const [line, start] of this.#lineStarts.entries()) {
      this.#lineBytes.push(bytes);
      bytes += utf8Length(source, start, this.#lineStarts[line + 1] ?? source.length);
    }
  }

  range(start: number, end: number): SourceRange {
    return new LazyRange(this, start, end);
  }

  position(index: number): Position {
    const line = this.#lineOf(index);
    const start = this.#lineStarts[line] as number;
    if (this.#lineBytes.length === 0) return { line: line + 1, column: index - start + 1, byte: index, index };
    const byte = (this.#lineBytes[line] as number) + utf8Length(this.source, start, index);
    return { line: line + 1, column: this.#column(line, start, index), byte, index };
  }

  #lineOf(index: number): number {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lineStarts[middle] as number) <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #column(line: number, start: number, index: number): number {
    if (this.#clusters?.line !== line) {
      const end = this.#lineStarts[line + 1] ?? this.source.length;
      // A byte order mark is no part of the first line.
      const from = start === 0 && this.source.charCodeAt(0) === BYTE_ORDER_MARK ? 1 : start;
      const text = this.source.slice(from, end);
      let at = from;
      const starts = graphemes(text).map((cluster) => {
        at += cluster.length;
        return at - cluster.length;
      });
      this.#clusters = { line, starts };
    }
    const { starts } = this.#clusters as { starts: number[] };
    // The number of clusters that begin before the index; within a cluster its own column counts.
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((starts[middle] as number) < index) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  }
}

export const BYTE_ORDER_MARK = 0xfeff;
const NOT_ASCII = /[^\0-\x7f]/;

function utf8Length(text: string, start: number, end: number): number {
  let bytes = 0;
  for (let i = start; i < end; i++) {
    const unit = text.charCodeAt(i);
    // Both halves of a surrogate pair count two of its four bytes.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
  }
  return bytes;
}

class LazyRange implements SourceRange {
  readonly #map: SourceMap;
  readonly #start: number;
  readonly #end: number;

  constructor(map: SourceMap, start: number, end: number) {
    this.#map = map;
    this.#start = start;
    this.#end = end;
  }

  get filename(): string {
    return this.#map.filename;
  }

  get start(): Position {
    return this.#map.position(this.#start);
  }

  get end(): Position {
    return this.#map.position(this.#end);
  }

  /** From here to the end of another one of the same source, without working out positions. */
  to(last: SourceRange): SourceRange {
    if (last instanceof LazyRange && last.#map === this.#map) return new LazyRange(this.#map, this.#start, last.#end);
    return { filename: this.filename, start: this.start, end: last.end };
  }

  /** The index at which it ends. */
  endsAt(): SourceRange {
    return new LazyRange(this.#map, this.#end, this.#end);
  }

  startsAt(): SourceRange {
    return new LazyRange(this.#map, this.#start, this.#start);
  }
}

/** The range from the start of one to the end of another range of the same file. */
export function span(first: SourceRange, last: SourceRange): SourceRange {
  if (first instanceof LazyRange) return first.to(last);
  return { filename: first.filename, start: first.start, end: last.end };
}

/** The empty range at the end of one. */
export function endOf(range: SourceRange): SourceRange {
  return range instanceof LazyRange ? range.endsAt() : { ...range, start: range.end };
}

/** The empty range at the start of one. */
export function startOf(range: SourceRange): SourceRange {
  return range instanceof LazyRange ? range.startsAt() : { ...range, end: range.start };
}
