import { createServer, type IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { systemTurns } from '../server/timers.js';
import { MeshError } from '../structs/errors.js';
import type { RpcCaller } from '../transport/rpc.js';
import type { Log } from '../util/log.js';
import type { Turns } from '../util/turns.js';
import type { AgentFacts } from './agent-facts.js';
import { ConnectionLimit } from './connection-limit.js';
import { badRequest, errorAnswer } from './errors.js';
import { queryOptions, writeOptions } from './query.js';
import { methodOf, readBody, readTarget, refuseForeignPages, tokenOf } from './request.js';
import { respond } from './respond.js';
import { type Exchange, type Method, Router } from './router.js';
import { ROUTES } from './routes/index.js';
import { upgrade } from './upgrade.js';

/** A job's source alone may be 1 MB; anything larger than this is refused before it is parsed. */
export const BODY_MAX_BYTES = 8 * 1024 * 1024;
/** Connections from one address at a time, Nomad's limits { http_max_conns_per_client }. */
export const CONNECTIONS_PER_ADDRESS_MAX = 100;
/** Why the signal of an exchange is aborted: made once, for an error with its stack costs more than most answers. */
const HUNG_UP = new Error('the caller is gone');
/** How long a request may take to arrive whole. Its answer may take for ever: a blocking query, a log that is followed. */
const REQUEST_ARRIVAL_MAX_MS = 120_000;

/** PEM texts; with `ca` and `verifyClient` only clients whose certificate it signed are answered. */
export interface HttpTls {
  cert: string;
  key: string;
  ca?: string;
  verifyClient: boolean;
}

export interface HttpOptions {
  rpc: RpcCaller;
  agent: AgentFacts;
  log: Log;
  /** 0 = no limit. */
  connectionsPerAddressMax?: number;
  /** Put on every answer, as http_api_response_headers says. */
  headers?: Record<string, string>;
  /** HTTPS instead of plain HTTP. */
  tls?: HttpTls | null;
  /** How long a request may take to arrive; default two minutes. */
  requestArrivalMaxMs?: number;
}

export interface HttpServer {
  /** Rejects with what is in the way ("port 4646 of 127.0.0.1 is in use: …") . Resolves to the port it got. */
  listen(options: { host: string; port: number }): Promise<number>;
  /** Serves a connection that came by another way than a port, in plain HTTP whatever the ports speak. */
  take(stream: Duplex): void;
  /** Hangs up on everybody. */
  close(): Promise<void>;
}

/** The HTTP API: finds the route, hands it an exchange, and writes what it gives back. */
export function createHttpServer(options: HttpOptions): HttpServer {
  const router = new Router();
  for (const routes of ROUTES) router.add(routes);
  const connections = new ConnectionLimit(options.connectionsPerAddressMax ?? CONNECTIONS_PER_ADDRESS_MAX);
  const upgraded = new Set<Duplex>();
  const arrivalMs = options.requestArrivalMaxMs ?? REQUEST_ARRIVAL_MAX_MS;

  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    for (const [name, value] of Object.entries(options.headers ?? {})) response.setHeader(name, value);
    if (connections.refuses(request.socket)) refuseConnection(response);
    else void serve(options, { router, turns: systemTurns }, request, response);
  };
  const limits = {
    keepAliveTimeout: 60_000,
    noDelay: true,
    requestTimeout: arrivalMs,
    headersTimeout: Math.min(60_000, arrivalMs),
    connectionsCheckingInterval: Math.min(30_000, arrivalMs),
  };
  const { tls } = options;
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket' || connections.refuses(request.socket)) {
      // An offer such as h2c, which may be passed over (RFC 9110, 7.8).
      answer(request, responseOn(request));
      return;
    }
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
    void upgrade(options, request, socket, head);
  };
  const server = tls ? createTlsServer({ ...limits, ...tlsOptions(tls) }, answer) : createServer(limits, answer);
  server.on('connection', (socket: Socket) => connections.add(socket));
  server.on('upgrade', onUpgrade);
  // It never listens: connections are handed to it.
  const inner = createServer(limits, answer).on('upgrade', onUpgrade);
  const taken = new Set<Duplex>();

  return {
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        const fail = (error: NodeJS.ErrnoException): void => reject(listenError(error, host, port));
        server.once('error', fail);
        server.listen(port, host, () => {
          server.off('error', fail);
          server.on('error', (error) => options.log.error('HTTP server', { error: error.message }));
          resolve((server.address() as AddressInfo).port);
        });
      }),
    take(stream) {
      taken.add(stream);
      stream.once('close', () => taken.delete(stream));
      stream.on('error', () => stream.destroy());
      inner.emit('connection', stream);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of [...upgraded, ...taken]) socket.destroy();
      }),
  };
}

function tlsOptions({ cert, key, ca, verifyClient }: HttpTls): object {
  const client = verifyClient ? { requestCert: true, rejectUnauthorized: true } : {};
  return { cert, key, minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }), ...client };
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new Error(
      `port ${port} of ${host} is in use: another agent may be running; stop it, or choose another port with ports { http = … } or -http-port`,
      { cause: error },
    );
  }
  if (error.code === 'EADDRNOTAVAIL') {
    return new Error(`${host} is no address of this machine: check bind_addr and addresses { http = … }`, {
      cause: error,
    });
  }
  if (error.code === 'EACCES')
    return new Error(`port ${port} needs more rights than this user has: choose one above 1023`, { cause: error });
  return error;
}

/** A response to a request whose connection Node has given up because of its Upgrade header. */
function responseOn(request: IncomingMessage): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(request.socket);
  response.once('finish', () => request.socket.end());
  return response;
}

function refuseConnection(response: ServerResponse): void {
  response.writeHead(429, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' });
  response.end('Your IP is issuing too many concurrent connections, please rate limit your calls\n');
}

async function serve(
  options: HttpOptions,
  parts: { router: Router; turns: Turns },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    refuseForeignPages(request);
    const { path, query } = readTarget(request);
    const match = findRoute(parts.router, path);
    if (!match) throw new MeshError('E_NOT_FOUND', `no such path: ${path}`);
    const method = methodOf(request);
    const handler = method && match.handlers[method];
    if (!method || !handler) throw new MeshError('E_METHOD_NOT_ALLOWED', 'Invalid method');
    const exchange = createExchange(options, request, response, { query, method, params: match.params });
    const answer = await handler(exchange);
    if (answer && !response.destroyed) {
      await respond(request, response, answer, { pretty: query.has('pretty'), turns: parts.turns });
    }
  } catch (error) {
    fail(options.log, request, response, error);
  }
}

function fail(log: Log, request: IncomingMessage, response: ServerResponse, error: unknown): void {
  // Who hung up gets no answer, and what then failed is no defect.
  if (response.destroyed) return;
  const answer = errorAnswer(error);
  if (!(error instanceof MeshError)) {
    log.error('request failed', {
      method: request.method,
      path: request.url,
      error: error instanceof Error ? error.stack : String(error),
    });
  }
  if (response.headersSent) {
    // A stream broke in the middle: an honest cut is better than an end that looks whole.
    response.destroy();
    return;
  }
  response.statusCode = answer.status;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end(answer.text);
}

function findRoute(router: Router, path: string): ReturnType<Router['find']> {
  try {
    return router.find(path);
  } catch {
    throw badRequest(`malformed escape in the path ${path}`);
  }
}

function createExchange(
  options: HttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
  parts: { query: URLSearchParams; method: Method; params: Record<string, string> },
): Exchange {
  const controller = new AbortController();
  response.once('close', () => controller.abort(HUNG_UP));
  const { query } = parts;
  return {
    rpc: options.rpc,
    agent: options.agent,
    method: parts.method,
    params: parts.params,
    query,
    request,
    response,
    signal: controller.signal,
    reading: () => queryOptions(query, tokenOf(request)),
    writing: () => writeOptions(query, tokenOf(request)),
    body: (limitBytes = BODY_MAX_BYTES) => readBody(request, limitBytes),
  };
}
