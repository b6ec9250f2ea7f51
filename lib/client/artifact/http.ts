import { createWriteStream } from 'node:fs';
import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { formatBytes } from './bytes.js';
import { reasonOf, refuse, retry } from './failure.js';

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

/** Fetches a URL into a new file. A name and password in it are sent as Basic authentication. */
export async function download(url: string, file: string, options: Download): Promise<void> {
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const signal = AbortSignal.any([options.signal, deadline]);
  try {
    const response = await follow(new URL(url), { ...options, signal });
    const length = Number(response.headers['content-length'] ?? Number.NaN);
    const total = Number.isSafeInteger(length) ? length : null;
    if (total !== null && total > options.maxBytes) {
      response.destroy();
      throw refuse(`it has ${formatBytes(total)}; at most ${formatBytes(options.maxBytes)} are fetched`);
    }
    await pipeline(response, counter(options, total), createWriteStream(file, { flags: 'wx', mode: 0o600 }), {
      signal,
    });
  } catch (error) {
    if (deadline.aborted) throw retry(`it took longer than ${options.timeoutMs / 1000} s`);
    if (error instanceof Error && error.name === 'ArtifactError') throw error;
    throw retry(reasonOf(error), error);
  }
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
    response.destroy();
    const isRedirect = [301, 302, 303, 307, 308].includes(status) && answer.location !== undefined;
    if (!isRedirect) throw failure(status, response.statusMessage ?? '');
    const next = new URL(answer.location as string, url);
    if (next.protocol !== 'http:' && next.protocol !== 'https:') throw refuse(`it redirects to ${next.protocol}`);
    if (next.host !== url.host)
      headers = Object.fromEntries(Object.entries(headers).filter(([name]) => !PRIVATE.has(name.toLowerCase())));
    url = next;
  }
  throw refuse(`it redirects more than ${REDIRECTS_MAX} times`);
}

function failure(status: number, message: string): Error {
  const told = `bad response code: ${status}${message === '' ? '' : ` ${message}`}`;
  // As in Nomad, what is not there may still come; what is forbidden or malformed stays so.
  return status >= 500 || status === 404 || PASSING.has(status) ? retry(told) : refuse(told);
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

function counter({ maxBytes, progress }: Download, total: number | null): Transform {
  let done = 0;
  return new Transform({
    transform(piece: Buffer, _, next) {
      done += piece.length;
      progress(done, total);
      if (done > maxBytes) next(refuse(`it has more than ${formatBytes(maxBytes)}`));
      else next(null, piece);
    },
    flush(next) {
      next(total !== null && done !== total ? retry(`it ended after ${done} of ${total} bytes`) : null);
    },
  });
}
