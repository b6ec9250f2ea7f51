import { spawn } from 'node:child_process';
import type { Attribute, Entry } from '../../archive/index.js';

// Extended attributes: those of users, capabilities of programs, and ACLs, which are attributes too. Node cannot read them, so two
// programs of the package `attr` do, once for a whole tree; what they write and read is text with a byte for each character.

/** What one of them says of its own mistakes, so much of it. */
const SAID_CHARS_MAX = 300;

/** By the path in the tree, a character for each byte; '' is the tree itself. */
export type Attributes = ReadonlyMap<string, readonly Attribute[]>;

/** Files mostly have the same attributes as others, a label say: so many different ones are kept once. */
const SHARED_MAX = 4096;

/**
 * Reads the attributes of everything in a tree that has some. What vanishes meanwhile has none; no link is followed. `problem` says
 * what could not be read first, '' when all could. Null: this machine has no program that reads them.
 */
export async function readAttributes(
  tree: string,
  signal: AbortSignal,
): Promise<{ found: Attributes; problem: string } | null> {
  const found = new Map<string, readonly Attribute[]>();
  const shared = new Map<string, readonly Attribute[]>();
  const child = spawn('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'], {
    cwd: tree,
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  const problem = firstProblem(child.stderr);
  const ended = new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false));
    child.once('close', () => resolve(true));
  });
  let path: string | null = null;
  let lines: string[] = [];
  const take = (): void => {
    if (path === null || lines.length === 0) return;
    const text = lines.join('\n');
    const attributes = shared.get(text) ?? lines.map(attributeOf);
    if (shared.size < SHARED_MAX) shared.set(text, attributes);
    found.set(path, attributes);
  };
  for await (const line of linesOf(child.stdout)) {
    if (line.startsWith('# file: ')) {
      take();
      path = pathOf(unquoted(line.slice('# file: '.length)));
      lines = [];
    } else if (line !== '') lines.push(line);
  }
  take();
  return (await ended) ? { found, problem: await problem } : null;
}

/** The first line that tells of more than of a name that has gone. */
async function firstProblem(stream: AsyncIterable<Buffer>): Promise<string> {
  let first = '';
  for await (const line of linesOf(stream)) {
    if (first === '' && line !== '' && !line.endsWith('No such file or directory')) first = line;
  }
  return first;
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
function attributeOf(line: string): Attribute {
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

/** Text that is given to the program at once. */
const BATCH_CHARS = 256 * 1024;

/**
 * Gives a tree that was written its attributes: files those of some thousand at once, when they are as they will be, for a change of
 * owner takes capabilities away; directories theirs at the end, for what is made in one would inherit its ACL.
 */
export class AttributeWriter {
  readonly #tree: string;
  #files: string[] = [];
  #chars = 0;
  readonly #dirs: string[] = [];
  #path: string | null = null;
  #problem = '';

  /** `tree` is a directory that nobody else can enter. */
  constructor(tree: string) {
    this.#tree = tree;
  }

  /** Those of one path come one after the other. */
  add({ path, kind }: Entry, { name, value }: Attribute): void {
    const text = `${quoted(name)}=${value.length === 0 ? '""' : `0x${Buffer.from(value).toString('hex')}`}\n`;
    const head = path === this.#path ? '' : `\n# file: ${path === '' ? '.' : quoted(path)}\n`;
    this.#path = path;
    if (kind === 'dir') this.#dirs.push(head + text);
    else {
      this.#files.push(head + text);
      this.#chars += head.length + text.length;
    }
  }

  /** All files that were said so far are written. */
  async written(): Promise<void> {
    if (this.#chars >= BATCH_CHARS) await this.#flush();
  }

  /** Answers what could not be written first; '' when all was. */
  async finish(): Promise<string> {
    await this.#flush();
    await this.#set(this.#dirs.splice(0));
    return this.#problem;
  }

  async #flush(): Promise<void> {
    const files = this.#files;
    this.#files = [];
    this.#chars = 0;
    this.#path = null;
    await this.#set(files);
  }

  async #set(texts: readonly string[]): Promise<void> {
    if (texts.length === 0) return;
    const why = await restoreAttributes(this.#tree, texts.join(''));
    if (this.#problem === '') this.#problem = why;
  }
}

/** Answers what went wrong, or ''. */
async function restoreAttributes(tree: string, text: string): Promise<string> {
  const child = spawn('setfattr', ['-h', '--restore=-'], {
    cwd: tree,
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
  child.stdin.end(Buffer.from(text, 'latin1'));
  return ended;
}
