import { bigFloatToString } from '../number.js';
import { extentOf, objectValue, stringValue, tupleValue, type Value } from '../values.js';
import { plainScalar, taggedScalar } from './scalar.js';
import { blockScalar, doubleQuoted, type Piece, plainText, singleQuoted } from './text.js';

/** Why a document is refused; the message says where. */
export class YamlError extends Error {}

const DEPTH_MAX = 100;
const SIZE_MAX = 1_000_000;

/** What stands before a value: `&anchor` and `!tag`. */
interface Properties {
  readonly anchor: string | null;
  readonly tag: string | null;
}

const NONE: Properties = { anchor: null, tag: null };

const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/;

/** Reads one YAML document, of the subset that has a value here: no documents after it, no keys but scalars. */
export class YamlParser {
  readonly #source: string;
  readonly #anchors = new Map<string, Value>();
  #at = 0;
  #line = { from: 0, upTo: -1 };
  #depth = 0;
  /** How many flow collections are open: between their brackets a tab is a blank. */
  #flows = 0;

  /** What a bare word means; null where it has no value. */
  readonly #plain: (text: string) => Value | null;
  /** Whether further documents are passed over, rather than refused. */
  readonly #firstOfMany: boolean;

  constructor(source: string, options: { plain?: (text: string) => Value | null; firstOfMany?: boolean } = {}) {
    this.#plain = options.plain ?? plainScalar;
    this.#firstOfMany = options.firstOfMany ?? false;
    this.#source = source
      .replaceAll('\r\n', '\n')
      .replaceAll('\r', '\n')
      .replace(/^\ufeff/, '');
  }

  document(): Value {
    const control = this.#source.search(CONTROL);
    if (control >= 0) throw new YamlError('control characters are not allowed');
    for (this.#skip(); this.#rest(1) === '%' && this.#column() === 0; this.#skip()) this.#toLineEnd();
    const marked = this.#atMark('---');
    if (marked) this.#at += 3;
    const ended = this.#skip();
    if (this.#at >= this.#source.length && !marked) throw this.#bad('missing start of document');
    const value = this.#node(0, marked && !ended);
    this.#skip();
    if (this.#atMark('...')) {
      this.#at += 3;
      this.#skip();
    }
    if (this.#atMark('---') && this.#firstOfMany) return value;
    if (this.#atMark('---')) throw this.#bad('unexpected extra content after value');
    if (this.#at < this.#source.length) throw this.#bad('did not find expected <document start>');
    return value;
  }

  #bad(why: string): YamlError {
    const line = this.#source.slice(0, this.#at).split('\n').length;
    return new YamlError(`on line ${line}, column ${this.#column() + 1}: ${why}`);
  }

  #rest(length: number): string {
    return this.#source.slice(this.#at, this.#at + length);
  }

  #column(): number {
    return this.#at - this.#lineStart(this.#at);
  }

  /** Where the line of a place begins. The last answer is kept: a document of one long line would be walked again and again. */
  #lineStart(at: number): number {
    const { from, upTo } = this.#line;
    if (at >= from && at <= upTo) return from;
    const start = this.#source.lastIndexOf('\n', at - 1) + 1;
    const end = this.#source.indexOf('\n', at);
    this.#line = { from: at === 0 ? 0 : start, upTo: end < 0 ? this.#source.length : end };
    return this.#line.from;
  }

  #toLineEnd(): void {
    const end = this.#source.indexOf('\n', this.#at);
    this.#at = end < 0 ? this.#source.length : end;
  }

  #spaces(): void {
    while (/^[ \t]/.test(this.#rest(1))) this.#at++;
  }

  /** Over space, comments and ends of lines; true when a line ended. */
  #skip(): boolean {
    const start = this.#at;
    for (;;) {
      this.#spaces();
      const comment = this.#rest(1) === '#' && (this.#at === 0 || /\s/.test(this.#source.charAt(this.#at - 1)));
      if (comment) this.#toLineEnd();
      if (this.#rest(1) !== '\n') break;
      this.#at++;
    }
    const lineStart = this.#at - this.#column();
    if (this.#flows > 0) return lineStart > start;
    const indentation = this.#source.slice(lineStart, this.#at);
    if ((lineStart > start || lineStart === 0) && indentation.includes('\t') && this.#at < this.#source.length)
      throw this.#bad('found character that cannot start any token');
    return lineStart > start;
  }

  #atMark(mark: string): boolean {
    return this.#column() === 0 && this.#rest(3) === mark && /^\s?$/.test(this.#source.charAt(this.#at + 3));
  }

  #atEnd(): boolean {
    return this.#at >= this.#source.length || this.#atMark('---') || this.#atMark('...');
  }

  /** `-`, `?` or `:` with space behind it. */
  #atIndicator(indicator: string): boolean {
    return this.#rest(1) === indicator && /^\s?$/.test(this.#source.charAt(this.#at + 1));
  }

  /** A value whose lines stand at a column or behind it; `inline`: on the line of its key, where no mapping may begin. */
  #node(minimum: number, inline: boolean): Value {
    if (++this.#depth > DEPTH_MAX) throw this.#bad('exceeded max depth');
    const startLine = this.#lineStart(this.#at);
    const properties = this.#properties(false);
    const moved = this.#lineStart(this.#at) !== startLine;
    const value = this.#content(minimum, inline && !moved, properties);
    this.#depth--;
    if (properties.anchor !== null) this.#anchors.set(properties.anchor, value);
    if (extentOf(value).size > SIZE_MAX) throw this.#bad('the document is too large when its aliases are followed');
    return value;
  }

  /** `ofKey`: a key follows for certain, and they are its own. */
  #properties(ofKey: boolean): Properties {
    let anchor: string | null = null;
    let tag: string | null = null;
    for (;;) {
      const match = /^(?:&([^\s,[\]{}]+)|(![^\s,[\]{}]*))(?=\s|$)/.exec(this.#rest(200));
      if (!match) return { anchor, tag };
      // A property on the line of a key belongs to the key.
      const line = this.#source.slice(this.#at).split('\n', 1)[0] ?? '';
      if (
        !ofKey &&
        /^\S+\s+(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'#[{&!*|>][^#]*?)\s*:(?:\s|$)/.test(line) &&
        this.#isKeyLine(match[0].length)
      )
        return { anchor, tag };
      anchor = match[1] ?? anchor;
      tag = match[2] ?? tag;
      this.#at += match[0].length;
      this.#skip();
    }
  }

  /** Whether what follows so many characters is a key of a block mapping that has properties of its own. */
  #isKeyLine(length: number): boolean {
    const before = this.#source.slice(this.#at - this.#column(), this.#at);
    return length > 0 && /^[ ]*$/.test(before);
  }

  #content(minimum: number, inline: boolean, properties: Properties): Value {
    if (this.#atEnd() || this.#column() < minimum) return this.#scalar('', 'plain', properties);
    const first = this.#rest(1);
    if (first === '|' || first === '>') return this.#text(blockScalar(this.#source, this.#at, minimum - 1), properties);
    if (this.#atIndicator('-')) {
      if (inline) throw this.#bad('block sequence entries are not allowed in this context');
      this.#expectTag('seq', 'sequence', properties);
      return this.#sequence(this.#column());
    }
    const column = this.#column();
    if (this.#isKeyNext(minimum)) {
      if (inline) {
        if (/^[^?&!]/.test(this.#rest(1))) this.#inline(minimum, NONE, false);
        this.#spaces();
        throw this.#bad('mapping values are not allowed in this context');
      }
      this.#expectTag('map', 'mapping', properties);
      return this.#mapping(column);
    }
    const value = this.#inline(minimum, properties, false);
    this.#spaces();
    if (!/^[\n#]?$/.test(this.#rest(1))) throw this.#bad('did not find expected key');
    return value;
  }

  /** Whether a key of a block mapping stands here. What stands before a key (`&a`, `!!str`) is the key's. */
  #isKeyNext(minimum: number): boolean {
    if (this.#atIndicator('?') || /^[&!]/.test(this.#rest(1))) return true;
    const start = this.#at;
    this.#inline(minimum, NONE, false);
    const oneLine = !this.#source.slice(start, this.#at).includes('\n');
    this.#spaces();
    const isKey = oneLine && this.#atIndicator(':');
    this.#at = start;
    return isKey;
  }

  #expectTag(name: 'map' | 'seq', word: string, { tag }: Properties): void {
    if (tag !== null && tag !== `!!${name}`) throw this.#bad(`cannot interpret a ${word} as ${tag}`);
  }

  /** An alias, a flow collection or a scalar. */
  #inline(minimum: number, properties: Properties, flow: boolean): Value {
    const first = this.#rest(1);
    if (first === '*') return this.#alias();
    if (first === '[' || first === '{') return this.#flow(first, properties);
    if (first === '"') return this.#text(doubleQuoted(this.#source, this.#at), properties);
    if (first === "'") return this.#text(singleQuoted(this.#source, this.#at), properties);
    if (/^[,\]}]/.test(first)) throw this.#bad('did not find expected node content');
    if (/^[@`%|>&!]/.test(first)) throw this.#bad('found character that cannot start any token');
    const piece = plainText(this.#source, this.#at, minimum, flow);
    if (piece.end === this.#at) throw this.#bad('did not find expected node content');
    return this.#text(piece, properties);
  }

  #text(piece: Piece, properties: Properties): Value {
    if (piece.problem !== null) throw this.#bad(piece.problem);
    this.#at = piece.end;
    return this.#scalar(piece.text, piece.style, properties);
  }

  #scalar(text: string, style: Piece['style'], { tag }: Properties): Value {
    if (style === 'quoted') return stringValue(text);
    if (tag === null) {
      const value = style === 'block' && text !== '' ? stringValue(text) : this.#plain(text);
      if (!value) throw this.#bad(`the number ${text} is not supported`);
      return value;
    }
    const value = taggedScalar(text, tag);
    if (!value)
      throw this.#bad(
        /^!!(?:bool|int|float|timestamp)$/.test(tag) ? `cannot parse "${text}" as ${tag}` : `unsupported tag "${tag}"`,
      );
    return value;
  }

  #alias(): Value {
    const name = /^\*([^\s,[\]{}]+)/.exec(this.#rest(200))?.[1];
    if (name === undefined) throw this.#bad('did not find expected alphabetic or numeric character');
    const value = this.#anchors.get(name);
    if (!value) throw this.#bad(`reference to undefined anchor "${name}"`);
    this.#at += name.length + 1;
    return value;
  }

  #sequence(column: number): Value {
    const items: Value[] = [];
    while (!this.#atEnd() && this.#column() === column && this.#atIndicator('-')) {
      this.#at++;
      this.#skip();
      items.push(this.#node(column + 1, false));
      this.#skip();
    }
    if (!this.#atEnd() && this.#column() > column) throw this.#bad("did not find expected '-' indicator");
    return tupleValue(items);
  }

  #mapping(column: number): Value {
    const pairs = new Pairs();
    for (;;) {
      const marked = this.#atIndicator('?');
      const key = marked ? this.#markedKey(column) : this.#key(column);
      if (marked && (this.#atEnd() || this.#column() !== column || !this.#atIndicator(':'))) {
        pairs.add(key, plainScalar('') as Value, (why) => this.#bad(why));
        if (this.#atEnd() || this.#column() < column) return pairs.value();
        if (this.#column() > column) throw this.#bad('did not find expected key');
        continue;
      }
      this.#at++;
      const ended = this.#skip();
      const sequence = ended && this.#column() === column && this.#atIndicator('-') && !this.#atEnd();
      const value = this.#node(sequence ? column : column + 1, !ended);
      pairs.add(key, value, (why) => this.#bad(why));
      this.#skip();
      if (this.#atEnd() || this.#column() < column) return pairs.value();
      if (this.#column() > column) throw this.#bad('did not find expected key');
    }
  }

  /** `? key`, which may have no value. */
  #markedKey(column: number): Value {
    this.#at++;
    this.#skip();
    const key = this.#node(column + 1, false);
    this.#skip();
    return key;
  }

  #key(column: number): Value {
    const start = this.#at;
    const properties = this.#properties(true);
    const value = this.#inline(column, properties, false);
    const oneLine = !this.#source.slice(start, this.#at).includes('\n');
    this.#spaces();
    if (!this.#atIndicator(':') || !oneLine) throw this.#bad("could not find expected ':'");
    if (properties.anchor !== null) this.#anchors.set(properties.anchor, value);
    return value;
  }

  #flowNode(): Value {
    if (++this.#depth > DEPTH_MAX) throw this.#bad('exceeded max depth');
    const properties = this.#properties(true);
    const empty = /^[,\]}:]?$/.test(this.#rest(1)) && !/^:\S/.test(this.#rest(2));
    const value = empty ? this.#scalar('', 'plain', properties) : this.#inline(0, properties, true);
    if (properties.anchor !== null) this.#anchors.set(properties.anchor, value);
    this.#depth--;
    this.#skip();
    return value;
  }

  #atColon(): boolean {
    return (
      /^:(?:[\s,[\]{}]|$)/.test(this.#rest(2)) ||
      (this.#rest(1) === ':' && /["'\]}]/.test(this.#source.charAt(this.#at - 1)))
    );
  }

  #flow(bracket: '[' | '{', properties: Properties): Value {
    this.#expectTag(bracket === '[' ? 'seq' : 'map', bracket === '[' ? 'sequence' : 'mapping', properties);
    this.#flows++;
    const value = bracket === '[' ? this.#flowSequence() : this.#flowMapping();
    this.#flows--;
    return value;
  }

  #flowSequence(): Value {
    const items: Value[] = [];
    this.#at++;
    for (this.#skip(); this.#rest(1) !== ']'; this.#skip()) {
      const item = this.#flowNode();
      if (this.#atColon()) {
        const pairs = new Pairs();
        this.#at++;
        this.#skip();
        pairs.add(item, this.#flowNode(), (why) => this.#bad(why));
        items.push(pairs.value());
      } else items.push(item);
      if (this.#rest(1) === ',') this.#at++;
      else if (this.#rest(1) !== ']') throw this.#bad("did not find expected ',' or ']'");
    }
    this.#at++;
    return tupleValue(items);
  }

  #flowMapping(): Value {
    const pairs = new Pairs();
    this.#at++;
    for (this.#skip(); this.#rest(1) !== '}'; this.#skip()) {
      const key = this.#flowNode();
      let value = plainScalar('') as Value;
      if (this.#atColon()) {
        this.#at++;
        this.#skip();
        value = this.#flowNode();
      }
      pairs.add(key, value, (why) => this.#bad(why));
      if (this.#rest(1) === ',') this.#at++;
      else if (this.#rest(1) !== '}') throw this.#bad("did not find expected ',' or '}'");
    }
    this.#at++;
    return objectValue([...pairs.entries]);
  }
}

/** The pairs of a mapping; `<<` takes over those of other mappings, behind its own. */
class Pairs {
  readonly entries = new Map<string, Value>();
  readonly #own = new Set<string>();

  add(key: Value, value: Value, bad: (why: string) => YamlError): void {
    if (key.kind === 'string' && key.value === '<<') {
      for (const source of value.kind === 'tuple' ? [...value.items].reverse() : [value]) {
        if (source.kind !== 'object') throw bad('cannot merge: a mapping is required');
        for (const [name, item] of source.entries) if (!this.#own.has(name)) this.entries.set(name, item);
      }
      return;
    }
    if (key.kind === 'null') throw bad('mapping key cannot be null');
    if (!('value' in key)) throw bad('only strings are allowed as mapping keys');
    const name = key.kind === 'number' ? bigFloatToString(key.value) : String(key.value);
    this.#own.add(name);
    this.entries.set(name, value);
  }

  value(): Value {
    return objectValue([...this.entries]);
  }
}
