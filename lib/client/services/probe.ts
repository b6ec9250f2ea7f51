import { request as httpRequest, type RequestOptions } from 'node:http';
import { connect } from 'node:net';
import type { ServiceCheck } from '../../structs/service.js';
import { type Millis, toMillis } from '../../util/clock.js';
import type { CheckAnswer } from './check-state.js';

/** How much of an answer is kept for `alloc checks`. */
const OUTPUT_MAX_BYTES = 3_072;

/** Asks once. Never throws: what went wrong is the answer. */
export async function probe(
  check: ServiceCheck,
  { address, port }: { address: string; port: number },
  signal: AbortSignal,
): Promise<CheckAnswer> {
  const timeoutMs = toMillis(check.Timeout);
  const isHttp = check.Type.toLowerCase() === 'http';
  // One of its own, taken off by hand: sockets never leave a signal that they were given, and the check's lives for weeks.
  const over = new AbortController();
  const end = (): void => over.abort();
  signal.addEventListener('abort', end);
  if (signal.aborted) end();
  try {
    return isHttp
      ? await askHttp(check, { address, port, timeoutMs, signal: over.signal })
      : await tryTcp(address, port, timeoutMs, over.signal);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, code: 0, output: `nomad: ${why}` };
  } finally {
    signal.removeEventListener('abort', end);
  }
}

function tryTcp(address: string, port: number, timeoutMs: Millis, signal: AbortSignal): Promise<CheckAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, signal, timeout: timeoutMs });
    socket.once('connect', () => {
      socket.destroy();
      resolve({ ok: true, code: 0, output: 'nomad: tcp ok' });
    });
    socket.once('timeout', () => socket.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    socket.once('error', reject);
  });
}

async function askHttp(
  check: ServiceCheck,
  where: { address: string; port: number; timeoutMs: Millis; signal: AbortSignal },
): Promise<CheckAnswer> {
  const isTls = check.Protocol.toLowerCase() === 'https';
  const request = isTls ? (await import('node:https')).request : httpRequest;
  const headers: Record<string, string | string[]> = { 'user-agent': 'meshnomad-check' };
  for (const [name, values] of Object.entries(check.Header ?? {})) headers[name.toLowerCase()] = values;
  const options: RequestOptions & { rejectUnauthorized: boolean } = {
    host: where.address,
    port: where.port,
    path: check.Path.startsWith('/') ? check.Path : `/${check.Path}`,
    method: check.Method === '' ? 'GET' : check.Method.toUpperCase(),
    headers: flatHost(headers),
    // An answer that drips must not hold the check up either.
    signal: AbortSignal.any([where.signal, AbortSignal.timeout(where.timeoutMs)]),
    rejectUnauthorized: !check.TLSSkipVerify,
    agent: false,
  };
  return new Promise((resolve, reject) => {
    const asked = request(options, (response) => {
      const code = response.statusCode ?? 0;
      const chunks: Buffer[] = [];
      let size = 0;
      const done = (): void => {
        const output = Buffer.concat(chunks).toString('utf8').slice(0, OUTPUT_MAX_BYTES);
        resolve({ ok: code >= 200 && code < 300, code, output });
      };
      response.on('data', (chunk: Buffer) => {
        if (size < OUTPUT_MAX_BYTES) chunks.push(chunk);
        size += chunk.length;
        if (size < OUTPUT_MAX_BYTES) return;
        done();
        response.destroy();
      });
      response.once('end', done);
      response.once('error', reject);
    });
    asked.once('error', (error) => {
      const late = error.name === 'TimeoutError' || error.name === 'AbortError';
      reject(late ? new Error(`no answer within ${where.timeoutMs / 1000} s`) : error);
    });
    asked.end(check.Body);
  });
}

/** There is one Host. */
function flatHost(headers: Record<string, string | string[]>): Record<string, string | string[]> {
  const { host } = headers;
  return Array.isArray(host) ? { ...headers, host: host[0] ?? '' } : headers;
}
