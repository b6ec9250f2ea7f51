import type { IncomingMessage } from 'node:http';
import { ApiError } from './api.js';
import type { Sink } from './command.js';

interface WireFrame {
  Data?: string;
  FileEvent?: string;
}

export interface CopyOptions {
  to: Sink;
  /** Show only the last lines of what is there already. */
  lastLines?: number | undefined;
  follow: boolean;
}

/** Writes the data of a stream of frames as it comes; heartbeats and events are left out. */
export async function copyFrames(body: IncomingMessage, options: CopyOptions): Promise<void> {
  const tail = options.lastLines === undefined ? undefined : new LastLines(options.lastLines);
  let held = tail;
  const flush = async (): Promise<void> => {
    if (!held) return;
    const rest = held.take();
    held = undefined;
    await write(options.to, rest);
  };
  // What is there comes at once; the first pause of a followed stream is the end of it.
  for await (const frame of frames(body)) {
    const data = frame.Data === undefined ? undefined : Buffer.from(frame.Data, 'base64');
    if (!data) {
      if (options.follow) await flush();
    } else if (held) held.push(data);
    else await write(options.to, data);
  }
  await flush();
}

/** The text of the body; a connection that is lost on the way is told as what it is. */
async function* chunks(body: IncomingMessage): AsyncGenerator<string> {
  try {
    yield* body as AsyncIterable<string>;
  } catch (error) {
    throw new ApiError(0, `the agent closed the connection in the middle: ${(error as Error).message}`);
  }
}

/** Cuts the body, JSON objects without anything between them, into frames. */
async function* frames(body: IncomingMessage): AsyncGenerator<WireFrame> {
  let text = '';
  body.setEncoding('utf8');
  for await (const chunk of chunks(body)) {
    text += chunk;
    // A frame's strings are base64 and file names: a brace inside a name is the one trap, and JSON escapes quotes.
    let start = 0;
    for (let end = endOfObject(text, start); end > 0; end = endOfObject(text, start)) {
      yield JSON.parse(text.slice(start, end)) as WireFrame;
      start = end;
    }
    text = text.slice(start);
  }
}

function endOfObject(text: string, start: number): number {
  let depth = 0;
  let inString = false;
  for (let i = start; i < text.length; i++) {
    const char = text[i];
    if (inString) {
      if (char === '\\') i++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{') depth++;
    else if (char === '}' && --depth === 0) return i + 1;
  }
  return 0;
}

/** Keeps the last lines of what is pushed. */
class LastLines {
  readonly #count: number;
  #text = Buffer.alloc(0);

  constructor(count: number) {
    this.#count = count;
  }

  push(data: Buffer): void {
    this.#text = Buffer.concat([this.#text, data]);
  }

  take(): Buffer {
    let end = this.#text.length;
    if (end > 0 && this.#text[end - 1] === 10) end--;
    for (let line = 0; line < this.#count; line++) {
      if (end <= 0) return this.#text;
      end = this.#text.lastIndexOf(10, end - 1);
      if (end < 0) return this.#text;
    }
    return this.#text.subarray(end + 1);
  }
}

async function write(to: Sink, data: Uint8Array): Promise<void> {
  if (data.length === 0 || to.write(data)) return;
  await new Promise<void>((resolve) => to.once('drain', resolve));
}
