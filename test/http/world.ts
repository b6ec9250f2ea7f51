import { type IncomingHttpHeaders, request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Test } from 'tap';
import type { AgentFacts } from '../../lib/http/agent-facts.js';
import { createHttpServer, type HttpOptions } from '../../lib/http/server.js';
import { messagePair } from '../../lib/transport/local.js';
import type { RpcCaller } from '../../lib/transport/rpc.js';
import { createLog, type LogRecord } from '../../lib/util/log.js';
import { ok } from '../../lib/util/result.js';

type Args = Record<string, unknown>;
/** What the fake answers: a value, or a function of the arguments and the caller's signal. */
type Script = object | ((args: Args, signal: AbortSignal) => object | Promise<object>);

export interface Sent {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

export interface Got {
  status: number;
  headers: IncomingHttpHeaders;
  bytes: Buffer;
  text: string;
  json: unknown;
}

/** An HTTP server before a scripted fake of everything behind it. */
export interface HttpWorld {
  port: number;
  /** Every call, in order. */
  calls: { method: string; args: Args }[];
  script: Record<string, Script>;
  /** Opened streams: the far end, from which the test plays the client's role. */
  streams: { method: string; args: Args; far: Duplex }[];
  /** Called with each stream as it is opened. */
  onStream: (far: Duplex, args: Args) => void;
  logs: LogRecord[];
  close(): Promise<void>;
  send(path: string, sent?: Sent): Promise<Got>;
  /** Hands it a connection that came by another way. */
  take(stream: Duplex): void;
}

export const META = { Index: 7, LastContactMs: 12.4, KnownLeader: true };

export async function createHttpWorld(
  t: Test,
  options: Omit<Partial<HttpOptions>, 'agent'> & { agent?: Partial<AgentFacts> } = {},
): Promise<HttpWorld> {
  const logs: LogRecord[] = [];
  const world = { calls: [], streams: [], script: {}, onStream: () => {}, logs } as unknown as HttpWorld;
  const rpc = {
    async call(method: string, args: Args, call?: { signal?: AbortSignal }) {
      world.calls.push({ method, args });
      const script = world.script[method] ?? {};
      const reply = typeof script === 'function' ? await script(args, call?.signal as AbortSignal) : script;
      return { ...META, ...reply };
    },
    stream(method: string, args: Args) {
      const [near, far] = messagePair();
      far.on('error', () => {});
      world.streams.push({ method, args, far });
      world.onStream(far, args);
      return near;
    },
  } as unknown as RpcCaller;
  const agent: AgentFacts = {
    version: '1.2.3',
    self: () => ({ config: { Region: 'here' }, stats: {} }),
    members: () => ({ Members: [] }),
    health: () => ({ server: { ok: true, message: 'ok' }, client: null }),
    net: () => null,
    leave: async () => ok(undefined),
    servers: () => ['127.0.0.1:4647'],
    metrics: () => [],
    followLog: () => {},
    reload: async () => ok(['log_level']),
    ...options.agent,
  };
  const server = createHttpServer({ rpc, log: createLog((record) => logs.push(record)), ...options, agent });
  world.port = await server.listen({ host: '127.0.0.1', port: 0 });
  world.close = () => server.close();
  world.take = (stream) => server.take(stream);
  world.send = (path, sent) => send(world.port, path, sent);
  t.teardown(() => server.close());
  return world;
}

/** One request on a connection of its own. */
export function send(port: number, path: string, sent: Sent = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const call = request(
      { host: '127.0.0.1', port, path, method: sent.method ?? 'GET', headers: sent.headers ?? {}, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const bytes = Buffer.concat(chunks);
          const text = bytes.toString();
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            bytes,
            text,
            get json() {
              return JSON.parse(text) as unknown;
            },
          });
        });
      },
    );
    call.on('error', reject);
    // Of the body of a DELETE Node says no length by itself.
    if (sent.method === 'DELETE' && sent.body) call.setHeader('Content-Length', Buffer.byteLength(sent.body));
    call.end(sent.body);
  });
}
