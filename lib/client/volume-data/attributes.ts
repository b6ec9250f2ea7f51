import { spawn } from 'node:child_process';
import type { Attribute } from '../../archive/index.js';

// Extended attributes: those of users, capabilities of programs, and ACLs, which are attributes too. Node cannot read them, so two
// programs of the package `attr` do, once for a whole tree; what they write and read is text with a byte for each character.

/** What one of them says of its own mistakes, so much of it. */
const SAID_CHARS_MAX = 300;

/** By the path in the tree, a character for each byte; '' is the tree itself. Null: this machine has no program that reads them. */
export type Attributes = ReadonlyMap<string, readonly Attribute[]>;

/** Reads the attributes of everything in a tree that has some. What vanishes meanwhile has none; no link is followed. */
export async function readAttributes(tree: string, signal: AbortSignal): Promise<Attributes | null> {
  const found = new Map<string, Attribute[]>();
  const child = spawn('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'], {
    cwd: tree,
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore'],
    signal,
  });
  const ended = new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false));
    child.once('close', () => resolve(true));
  });
  let attributes: Attribute[] = [];
  for await (const line of linesOf(child.stdout)) {
    if (line.startsWith('# file: ')) {
      attributes = [];
      found.set(pathOf(unquoted(line.slice('# file: '.length))), attributes);
      continue;
    }
    const attribute = attributeOf(line);
    if (attribute) attributes.push(attribute);
  }
  return (await ended) ? found : null;
}

async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest = '';
  try {
    for await (const piece of stream) {
      const lines = (rest + piece.toString('latin1')).split('\n');
      rest = lines.pop() as string;
      yield* lines;
    }
  } catch {
    // It was ended: whoever ended it knows.
  }
}

const pathOf = (shown: string): string => (shown === '.' ? '' : shown.replace(/^\.\//, ''));

/** `name=0xVALUE`, or a name alone for an empty value. */
function attributeOf(line: string): Attribute | undefined {
  if (line === '') return undefined;
  const at = line.indexOf('=');
  const name = unquoted(at < 0 ? line : line.slice(0, at));
  const value = at < 0 ? '' : line.slice(at + 1);
  return { name, value: new Uint8Array(Buffer.from(value.replace(/^0x/, ''), 'hex')) };
}

const unquoted = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** Bytes that would end a line or a name, or begin an escape. */
const quoted = (text: string): string =>
  text.replace(/[\x00-\x1f\\="#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);

/** Gives a tree that was written its attributes, at its end: a change of owner takes capabilities away. */
export class AttributeWriter {
  readonly #tree: string;
  #text: string[] = [];
  #path: string | null = null;

  /** `tree` is a directory that nobody else can enter. */
  constructor(tree: string) {
    this.#tree = tree;
  }

  /** Those of one path come one after the other. */
  add(path: string, { name, value }: Attribute): void {
    if (path !== this.#path) this.#text.push(`\n# file: ${path === '' ? '.' : quoted(path)}\n`);
    this.#path = path;
    this.#text.push(`${quoted(name)}=${value.length === 0 ? '""' : `0x${Buffer.from(value).toString('hex')}`}\n`);
  }

  /** Answers what could not be written; '' when all was. */
  async finish(): Promise<string> {
    if (this.#text.length === 0) return '';
    const child = spawn('setfattr', ['-h', '--restore=-'], {
      cwd: this.#tree,
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (piece: Buffer) => {
      said = (said + piece.toString('latin1')).slice(0, SAID_CHARS_MAX);
    });
    // A program that ended early says why.
    child.stdin.on('error', () => {});
    const ended = new Promise<string>((resolve) => {
      child.once('error', () => resolve('this machine has no setfattr (package attr)'));
      child.once('close', (code) => resolve(code === 0 ? '' : said.trim() || `setfattr ended with ${code}`));
    });
    child.stdin.end(Buffer.from(this.#text.join(''), 'latin1'));
    return ended;
  }
}
