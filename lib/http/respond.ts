import type { IncomingMessage, ServerResponse } from 'node:http';
import { bodyOf } from './body.js';
import type { Answer } from './router.js';

/** Below this a gzip costs more than it saves. */
const GZIP_MIN_BYTES = 1400;

/** Writes an answer: JSON (or plain text) with Nomad's headers, gzipped for those who take it. */
export async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  pretty: boolean,
): Promise<void> {
  const headers = metaHeaders(answer);
  const status = answer.status ?? 200;
  if (answer.text !== undefined) {
    headers.push('Content-Type', 'text/plain; charset=utf-8', 'Content-Length', `${Buffer.byteLength(answer.text)}`);
    response.writeHead(status, headers).end(answer.text);
    return;
  }
  const body = bodyOf(answer.value ?? null, { shared: answer.shared === true, pretty });
  let bytes = body.plain();
  headers.push('Content-Type', 'application/json', 'Vary', 'Accept-Encoding');
  if (bytes.length >= GZIP_MIN_BYTES && takesGzip(request)) {
    bytes = await body.packed();
    headers.push('Content-Encoding', 'gzip');
  }
  headers.push('Content-Length', `${bytes.length}`);
  response.writeHead(status, headers).end(bytes);
}

function takesGzip(request: IncomingMessage): boolean {
  const accepts = request.headers['accept-encoding'];
  return typeof accepts === 'string' && /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(accepts);
}

// Go clients refuse an answer to a query whose Index or LastContact is missing or no number.
function metaHeaders(answer: Answer): string[] {
  const headers: string[] = [];
  if (answer.index !== undefined) headers.push('X-Nomad-Index', `${answer.index}`);
  if (answer.knownLeader !== undefined) {
    headers.push('X-Nomad-KnownLeader', `${answer.knownLeader}`);
    headers.push('X-Nomad-LastContact', `${Math.round(answer.lastContactMs ?? 0)}`);
  }
  // Bytes of UTF-8, as Go writes them: a job's id need not be ASCII.
  if (answer.nextToken) headers.push('X-Nomad-NextToken', Buffer.from(answer.nextToken).toString('latin1'));
  return headers;
}
