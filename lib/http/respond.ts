import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Turns } from '../util/turns.js';
import { bodyOf, type Pieces } from './body.js';
import type { Answer } from './router.js';

/** Below this a gzip costs more than it saves. */
const GZIP_MIN_BYTES = 1400;

/** Writes an answer: JSON (or plain text) with Nomad's headers, gzipped for those who take it. */
export async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  { pretty, turns }: { pretty: boolean; turns: Turns },
): Promise<void> {
  const headers = metaHeaders(answer);
  const status = answer.status ?? 200;
  if (answer.text !== undefined) {
    headers.push('Content-Type', 'text/plain; charset=utf-8', 'Content-Length', `${Buffer.byteLength(answer.text)}`);
    response.writeHead(status, headers).end(answer.text);
    return;
  }
  const body = bodyOf(answer.value ?? null, { shared: answer.shared === true, pretty, turns });
  let whole = await body.plain();
  headers.push('Content-Type', 'application/json', 'Vary', 'Accept-Encoding');
  if (whole.length >= GZIP_MIN_BYTES && takesGzip(request)) {
    whole = await body.packed();
    headers.push('Content-Encoding', 'gzip');
  }
  // Who left while a long list was printed gets none of it.
  if (response.destroyed) return;
  headers.push('Content-Length', `${whole.length}`);
  response.writeHead(status, headers);
  await send(response, whole, turns);
}

/** What the system takes of one piece costs as much as so many rows of a list. */
const PIECE_COSTS = 50;

/** Sends piece by piece, as fast as the caller reads. */
async function send(response: ServerResponse, { pieces }: Pieces, turns: Turns): Promise<void> {
  const last = pieces.length - 1;
  for (let i = 0; i < last; i++) {
    const piece = pieces[i] as Buffer;
    if (!response.write(piece) && !(await hasRoom(response))) return;
    const turn = turns.take(PIECE_COSTS);
    if (turn) await turn;
  }
  response.end(pieces[last]);
}

/** Resolves once more may be written; false: the caller is gone. */
function hasRoom(response: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    if (response.destroyed) {
      resolve(false);
      return;
    }
    const end = (): void => {
      response.off('drain', end);
      response.off('close', end);
      resolve(!response.destroyed);
    };
    response.once('drain', end);
    response.once('close', end);
  });
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
  if (answer.alone) headers.push('X-Meshnomad-Alone', 'true');
  // Bytes of UTF-8, as Go writes them: a job's id need not be ASCII.
  if (answer.nextToken) headers.push('X-Nomad-NextToken', Buffer.from(answer.nextToken).toString('latin1'));
  return headers;
}
