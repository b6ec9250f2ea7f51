import { err, ok, type Result } from '../../lib/util/result.js';

// As much of XML as `nvidia-smi -q -x` writes: elements, attributes, text and the five named entities. A document type is
// passed over, never fetched or expanded.

/** Sixteen GPUs with all the clocks they support write less than one of these. */
const SIZE_MAX = 8 * 1024 * 1024;
const DEPTH_MAX = 32;
const ELEMENTS_MAX = 200_000;

export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** All text directly in it, without space around it. */
  readonly text: string;
}

interface Open extends XmlElement {
  children: XmlElement[];
  text: string;
}

const NAME = /[A-Za-z_][\w.:-]*/y;
const ATTRIBUTE = /\s+([A-Za-z_][\w.:-]*)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y;
const ENTITIES: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** Reads a document; what is in elements of these names is passed over. The error says what is wrong with it, and where. */
export function parseXml(source: string, passOver: readonly string[] = []): Result<XmlElement, string> {
  if (source.length > SIZE_MAX) return err(`more than ${SIZE_MAX} characters`);
  const reader = new Reader(source, passOver);
  return reader.read();
}

class Reader {
  readonly #source: string;
  #at = 0;
  #count = 0;
  #root: XmlElement | null = null;
  readonly #open: Open[] = [];
  readonly #passOver: readonly string[];

  constructor(source: string, passOver: readonly string[]) {
    this.#source = source;
    this.#passOver = passOver;
  }

  read(): Result<XmlElement, string> {
    while (this.#at < this.#source.length) {
      const problem = this.#source[this.#at] === '<' ? this.#markup() : this.#text();
      if (problem !== null) return err(`${problem} (at character ${this.#at})`);
    }
    const inner = this.#open.at(-1);
    if (inner) return err(`<${inner.name}> does not end`);
    return this.#root ? ok(this.#root) : err('no element');
  }

  #text(): string | null {
    const end = this.#source.indexOf('<', this.#at);
    const raw = this.#source.slice(this.#at, end < 0 ? undefined : end);
    const inner = this.#open.at(-1);
    if (inner) inner.text = `${inner.text}${decode(raw)}`.trim();
    else if (raw.trim() !== '') return 'text outside of the document';
    this.#at = end < 0 ? this.#source.length : end;
    return null;
  }

  #markup(): string | null {
    if (this.#source.startsWith('<!--', this.#at)) return this.#skip('-->');
    if (this.#source.startsWith('<?', this.#at)) return this.#skip('?>');
    if (this.#source.startsWith('<!', this.#at)) return this.#skip('>');
    if (this.#source.startsWith('</', this.#at)) return this.#close();
    return this.#begin();
  }

  #skip(until: string): string | null {
    const end = this.#source.indexOf(until, this.#at);
    if (end < 0) return `"${until}" is missing`;
    this.#at = end + until.length;
    return null;
  }

  #begin(): string | null {
    const name = this.#match(NAME, this.#at + 1)?.[0];
    if (name === undefined) return 'no name behind "<"';
    this.#count++;
    if (this.#count > ELEMENTS_MAX) return `more than ${ELEMENTS_MAX} elements`;
    if (this.#open.length >= DEPTH_MAX) return `more than ${DEPTH_MAX} elements inside each other`;
    const attributes: Record<string, string> = Object.create(null);
    for (let found = this.#match(ATTRIBUTE, this.#at); found; found = this.#match(ATTRIBUTE, this.#at)) {
      attributes[found[1] as string] = decode(found[2] ?? found[3] ?? '');
    }
    const element: Open = { name, attributes, children: [], text: '' };
    const parent = this.#open.at(-1);
    if (parent) parent.children.push(element);
    else if (this.#root) return 'a second document';
    else this.#root = element;
    const end = this.#match(/\s*(\/?)>/y, this.#at);
    if (!end) return `<${name}> is not closed by ">"`;
    if (end[1] !== '') return null;
    if (this.#passOver.includes(name)) return this.#skip(`</${name}>`);
    this.#open.push(element);
    return null;
  }

  #close(): string | null {
    const name = this.#match(/<\/([A-Za-z_][\w.:-]*)\s*>/y, this.#at)?.[1];
    const inner = this.#open.pop();
    return name !== undefined && inner?.name === name ? null : `unexpected end of "${name ?? ''}"`;
  }

  #match(pattern: RegExp, at: number): RegExpExecArray | null {
    pattern.lastIndex = at;
    const found = pattern.exec(this.#source);
    if (found) this.#at = pattern.lastIndex;
    return found;
  }
}

function decode(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z]{2,4});/gi, (whole, name: string) => {
    if (!name.startsWith('#')) return ENTITIES[name] ?? whole;
    const code = name[1] === 'x' || name[1] === 'X' ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** The first element of that path below `element` ("pci/pci_bus_id"). */
export function find(element: XmlElement, path: string): XmlElement | undefined {
  let here: XmlElement | undefined = element;
  for (const name of path.split('/')) here = here?.children.find((child) => child.name === name);
  return here;
}
