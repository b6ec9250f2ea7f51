import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { MeshError } from '../structs/errors.js';
import { badRequest } from './errors.js';
import type { Method } from './router.js';

/** A path, still with its percent-escapes, and the query behind it. */
export interface Target {
  path: string;
  query: URLSearchParams;
}

/** What a request asks for. The path stays as it was sent: an escaped slash or a `..` may be part of a job's id. */
export function readTarget(request: IncomingMessage): Target {
  let url = request.url ?? '/';
  // A proxy sends the whole address (RFC 9112, 3.2.2): the host is of no interest.
  if (!url.startsWith('/')) url = url.replace(/^https?:\/\/[^/?]*/i, '');
  if (!url.startsWith('/')) throw badRequest(`not a path: ${JSON.stringify(request.url)}`);
  const mark = url.indexOf('?');
  return mark < 0
    ? { path: url, query: new URLSearchParams() }
    : { path: url.slice(0, mark), query: new URLSearchParams(url.slice(mark + 1)) };
}

/** Undefined: a method that no path knows. */
export function methodOf(request: IncomingMessage): Method | undefined {
  if (request.method === 'GET' || request.method === 'HEAD') return 'GET';
  if (request.method === 'PUT' || request.method === 'POST') return 'PUT';
  return request.method === 'DELETE' ? 'DELETE' : undefined;
}

/** The token of a request: X-Nomad-Token, or Authorization: Bearer; '' when there is none. */
export function tokenOf(request: IncomingMessage): string {
  const token = request.headers['x-nomad-token'];
  if (typeof token === 'string') return token.trim();
  const bearer = /^Bearer\s+(.+)$/i.exec(request.headers.authorization ?? '');
  return bearer?.[1]?.trim() ?? '';
}

/** Ends of names that nobody can register: no foreign name server answers for them (RFC 6762, RFC 8375, ICANN's reserved). */
const LOCAL_DOMAINS = ['localhost', 'local', 'localdomain', 'lan', 'home', 'home.arpa', 'internal'];

/**
 * A web page the user happens to look at must not drive the API of their machine: neither by a request to another origin
 * nor by a name that suddenly resolves to 127.0.0.1. The latter carries no mark when the page came by plain HTTP, so what
 * looks like a browser must name this machine by an address or by a name that stays in its network. Programs pass.
 */
export function refuseForeignPages(request: IncomingMessage): void {
  const { origin, host = '' } = request.headers;
  const site = request.headers['sec-fetch-site'];
  if (!looksLikeBrowser(request)) return;
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  if (!staysHere(name)) {
    throw new MeshError(
      'E_PERMISSION_DENIED',
      `Permission denied: browsers reach this API by an IP address or a local name only, not as ${JSON.stringify(name)}`,
    );
  }
  const sameOrigin = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
  // "same-site" is a page at another port of this host, such as that of a task; "none" is an address typed by the user.
  const sameSite = site === undefined || site === 'same-origin' || site === 'none';
  if (sameOrigin && sameSite) return;
  throw new MeshError('E_PERMISSION_DENIED', 'Permission denied: a web page of another origin may not use this API');
}

/** Scripts of a page may change some of these, but cannot send a request with none of them. */
function looksLikeBrowser({ headers }: IncomingMessage): boolean {
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) return true;
  return headers['accept-language'] !== undefined || headers['user-agent']?.startsWith('Mozilla/') === true;
}

function staysHere(name: string): boolean {
  if (isIP(name) !== 0 || !name.includes('.')) return true;
  const plain = name.toLowerCase().replace(/\.$/, '');
  return LOCAL_DOMAINS.some((domain) => plain.endsWith(`.${domain}`));
}

/** The JSON object that a request carries; E_TOO_LARGE above `limitBytes`, E_BAD_REQUEST when it is none. */
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Record<string, unknown>> {
  const bytes = await readBytes(request, limitBytes);
  if (bytes.length === 0) throw badRequest('EOF: the request has no body; send a JSON object');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw badRequest(`invalid JSON in the body: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badRequest('the body must be a JSON object');
  }
  return value as Record<string, unknown>;
}

async function readBytes(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const tooLarge = (): MeshError =>
    new MeshError('E_TOO_LARGE', `the body is larger than ${limitBytes} bytes, the limit for this request`);
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw tooLarge();
  // By events: an async iterator costs more than all else that is done with a small body.
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= limitBytes) {
        chunks.push(chunk);
        return;
      }
      // A destroyed request would take the answer with it: what is left of the body is read and dropped instead.
      request.off('data', take);
      request.resume();
      reject(tooLarge());
    };
    request.on('data', take);
    request.once('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    request.once('error', reject);
    const gone = (): void => {
      if (!request.readableEnded) reject(badRequest('the request ended before its body was whole'));
    };
    if (request.destroyed) gone();
    else request.once('close', gone);
  });
}
