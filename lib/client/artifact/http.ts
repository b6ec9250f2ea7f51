import { type FileHandle, open } from 'node:fs/promises';
import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { setTimeout } from 'node:timers/promises';
import { formatBytes } from '../../util/byte-size.js';
import type { Millis } from '../../util/clock.js';
import { ArtifactError, reasonOf, refuse, retry } from './failure.js';
import { writeWhole } from './tree.js';

/** What a download may take, and whom it tells. */
export interface Download {
  headers: Readonly<Record<string, string>>;
  /** Whether any certificate is good enough. */
  insecure: boolean;
  timeoutMs: number;
  maxBytes: number;
  signal: AbortSignal;
  /** Hears how far it is. */
  progress: (done: number, total: number | null) => void;
}

const REDIRECTS_MAX = 10;
/** Status codes that may be different the next time. */
const PASSING = new Set([408, 421, 425, 429]);
/** Not for another host than the one it was meant for. */
const PRIVATE = new Set(['authorization', 'cookie', 'x-amz-security-token', 'x-amz-date', 'x-amz-content-sha256']);

/** After so many cuts without a byte in between nothing more is expected. */
const FRUITLESS_MAX = 4;
const RESUME_DELAY_MS: Millis = 500;

/** How much of a file is here. */
interface Part {
  done: number;
  total: number | null;
  /** What tells this version of the file from others, as `If-Range` takes it; null: nothing does. */
  version: string | null;
}

/**
 * Fetches a URL into a new file. A name and password in it are sent as Basic authentication. What is cut off is gone on
 * with where it broke, when the server says which version of the file it sends.
 */
export async function download(url: string, file: string, options: Download): Promise<void> {
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const bounded = { ...options, signal: AbortSignal.any([options.signal, deadline]) };
  try {
    const first = await follow(new URL(url), bounded);
    const target = await open(file, 'wx', 0o600).catch((error: unknown) => {
      first.destroy();
      throw error;
    });
    try {
      await receive(first, target, { url, options: bounded });
    } finally {
      await target.close();
    }
  } catch (error) {
    if (deadline.aborted) throw retry(`it took longer than ${options.timeoutMs / 1000} s`);
    if (error instanceof ArtifactError) throw error;
    throw retry(reasonOf(error), error);
  }
}

type Asked = { url: string; options: Download };

async function receive(first: IncomingMessage, target: FileHandle, asked: Asked): Promise<void> {
  const part: Part = { done: 0, total: lengthOf(first), version: versionOf(first) };
  const { signal } = asked.options;
  let response = first;
  for (let fruitless = 0; ; ) {
    const before = part.done;
    try {
      await append(response, target, part, asked.options);
      return;
    } catch (error) {
      fruitless = part.done > before ? 0 : fruitless + 1;
      const isFinal = error instanceof ArtifactError && !error.recoverable;
      if (isFinal || part.version === null || fruitless > FRUITLESS_MAX || signal.aborted) throw error;
      await setTimeout(RESUME_DELAY_MS, undefined, { signal });
      response = await rest(part, asked, error);
    }
  }
}

/** The answer with what is still missing; throws `cause` when there is none. */
async function rest(part: Part, { url, options }: Asked, cause: unknown): Promise<IncomingMessage> {
  const headers = { ...options.headers, range: `bytes=${part.done}-`, 'if-range': part.version ?? '' };
  const response = await follow(new URL(url), { ...options, headers }).catch((error: unknown) => {
    // What a server refuses now it has given before: the first reason is the better one.
    if (error instanceof ArtifactError) throw cause;
    throw error;
  });
  const from = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '')?.[1];
  if (response.statusCode === 206 && from === String(part.done)) return response;
  response.destroy();
  throw cause;
}

function lengthOf({ headers }: IncomingMessage): number | null {
  const length = Number(headers['content-length'] ?? Number.NaN);
  return Number.isSafeInteger(length) ? length : null;
}

function versionOf({ headers }: IncomingMessage): string | null {
  const { etag, 'last-modified': modified } = headers;
  // A weak tag does not promise the same bytes.
  return etag !== undefined && !etag.startsWith('W/') ? etag : (modified ?? null);
}

async function append(response: IncomingMessage, target: FileHandle, part: Part, options: Download): Promise<void> {
  const { maxBytes, progress, signal } = options;
  const end = (): void => void response.destroy(new Error('it was ended'));
  signal.addEventListener('abort', end, { once: true });
  try {
    if (part.total !== null && part.total > maxBytes)
      throw refuse(`it has ${formatBytes(part.total)}; at most ${formatBytes(maxBytes)} are fetched`);
    for await (const piece of response as AsyncIterable<Buffer>) {
      if (part.done + piece.length > maxBytes) throw refuse(`it has more than ${formatBytes(maxBytes)}`);
      await writeWhole(target, piece);
      part.done += piece.length;
      progress(part.done, part.total);
    }
    if (part.total !== null && part.done !== part.total) throw retry(`it ended ${howFar(part)}`);
  } catch (error) {
    // Node.js only says that it was aborted.
    const isCut = (error as NodeJS.ErrnoException).code === 'ECONNRESET' && !response.complete;
    throw isCut ? retry(`the connection broke ${howFar(part)}`, error) : error;
  } finally {
    signal.removeEventListener('abort', end);
    response.destroy();
  }
}

function howFar({ done, total }: Part): string {
  return total === null ? `after ${formatBytes(done)}` : `after ${done} of ${total} bytes`;
}

/** Fetches a small text. */
export async function downloadText(url: string, options: Omit<Download, 'progress'>): Promise<string> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)]);
  const response = await follow(new URL(url), { ...options, signal }).catch((error: unknown) => {
    throw error instanceof Error && error.name === 'ArtifactError' ? error : retry(reasonOf(error), error);
  });
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > options.maxBytes) throw refuse(`${url} has more than ${formatBytes(options.maxBytes)}`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

type Ask = Pick<Download, 'headers' | 'insecure'> & { signal: AbortSignal };

async function follow(first: URL, options: Ask): Promise<IncomingMessage> {
  let url = first;
  let headers = authorised(first, options.headers);
  for (let hops = 0; hops <= REDIRECTS_MAX; hops++) {
    const response = await ask(url, { ...options, headers });
    const { statusCode: status = 0, headers: answer } = response;
    if (status >= 200 && status < 300) return response;
    const isRedirect = [301, 302, 303, 307, 308].includes(status) && answer.location !== undefined;
    if (!isRedirect) throw await failure(response);
    response.destroy();
    const next = new URL(answer.location as string, url);
    if (next.protocol !== 'http:' && next.protocol !== 'https:') throw refuse(`it redirects to ${next.protocol}`);
    if (next.host !== url.host)
      headers = Object.fromEntries(Object.entries(headers).filter(([name]) => !PRIVATE.has(name.toLowerCase())));
    url = next;
  }
  throw refuse(`it redirects more than ${REDIRECTS_MAX} times`);
}

async function failure(response: IncomingMessage): Promise<Error> {
  const { statusCode: status = 0, statusMessage: message } = response;
  const why = await complaint(response);
  const told = ['bad response code:', status, message, why && `(${why})`].filter(Boolean).join(' ');
  // As in Nomad, what is not there may still come; what is forbidden or malformed stays so.
  const recoverable = status >= 500 || status === 404 || PASSING.has(status);
  return new ArtifactError(told, { recoverable, status });
}

const COMPLAINT_BYTES_MAX = 4_096;

/** What a store of objects says in its XML: of a 403 the number alone does not tell whether it is the key, the clock or the policy. */
async function complaint(response: IncomingMessage): Promise<string> {
  let text = '';
  try {
    if (!/xml/.test(response.headers['content-type'] ?? '')) return '';
    for await (const piece of response as AsyncIterable<Buffer>) {
      text += piece.toString('utf8');
      if (text.length > COMPLAINT_BYTES_MAX) break;
    }
  } catch {
    // The number says enough.
  } finally {
    response.destroy();
  }
  const of = (name: string): string => new RegExp(`<${name}>([^<]{1,200})</${name}>`).exec(text)?.[1]?.trim() ?? '';
  return [of('Code'), of('Message')].filter(Boolean).join(': ');
}

function authorised(url: URL, headers: Readonly<Record<string, string>>): Record<string, string> {
  const { username, password } = url;
  if (username === '') return { ...headers };
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  url.username = '';
  url.password = '';
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}`, ...headers };
}

function ask(url: URL, { headers, insecure, signal }: Ask): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const all = { 'user-agent': 'meshnomad', 'accept-encoding': 'identity', ...headers };
    const sent =
      url.protocol === 'https:'
        ? tlsRequest(url, { headers: all, signal, rejectUnauthorized: !insecure, agent: false })
        : plainRequest(url, { headers: all, signal, agent: false });
    sent.once('response', resolve);
    sent.once('error', reject);
    sent.end();
  });
}
