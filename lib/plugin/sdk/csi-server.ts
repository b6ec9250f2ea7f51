import { chmod, mkdir, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { dirname, resolve } from 'node:path';
import type * as Grpc from '@grpc/grpc-js';
import { CsiError, type CsiMethod, type CsiMethods, type CsiStatus } from './csi.js';
import { loadCsiProto } from './csi-proto.js';

/** The methods a plugin answers; those left out answer UNIMPLEMENTED. They throw CsiError. */
export type CsiHandlers = {
  [M in CsiMethod]?: (request: CsiMethods[M][0]) => Promise<CsiMethods[M][1]>;
};

export interface CsiServer {
  /** Takes no more calls and lets those under way end. */
  close(): Promise<void>;
}

export interface CsiServerOptions {
  /** `unix:///run/csi.sock`, `unix:/…`, or a path. */
  endpoint: string;
  handlers: CsiHandlers;
  /** Hears of each failed call: its method and the error's message, never the request (it may hold secrets). */
  onFailure: (method: CsiMethod, error: Error) => void;
}

/** A UNIX socket's path has at most this many bytes. */
const SOCKET_PATH_BYTES_MAX = 107;

/** The socket's path that an endpoint names. Throws Error when it is none. */
export function socketPath(endpoint: string): string {
  const path = resolve(endpoint.replace(/^unix:(\/\/)?/, ''));
  if (endpoint === '' || /^[a-z]+:\/\//.test(endpoint.replace(/^unix:\/\//, '')) || path === '/')
    throw new Error(`endpoint "${endpoint}" is not a UNIX socket: write unix:///path/to/csi.sock`);
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX)
    throw new Error(`the socket's path ${path} has more than ${SOCKET_PATH_BYTES_MAX} bytes: choose a shorter one`);
  return path;
}

/**
 * Serves a CSI plugin on a UNIX socket that only its owner may use. A socket left over by a plugin that died is replaced;
 * one that somebody listens on is refused.
 */
export async function serveCsi(options: CsiServerOptions): Promise<CsiServer> {
  const { grpc, services } = await loadCsiProto();
  const path = socketPath(options.endpoint);
  if (await isListened(path)) throw new Error(`another plugin already listens on ${path}`);
  await rm(path, { force: true });
  await mkdir(dirname(path), { recursive: true });
  const server = new grpc.Server();
  for (const [name, definition] of Object.entries(services)) {
    const methods = implement(grpc, name, options);
    if (Object.keys(methods).length > 0) server.addService(definition, methods);
  }
  await new Promise<void>((done, fail) => {
    server.bindAsync(`unix:${path}`, grpc.ServerCredentials.createInsecure(), (error) =>
      error ? fail(error) : done(),
    );
  });
  await chmod(path, 0o600);
  return {
    close: () =>
      new Promise((done) => {
        const force = setTimeout(() => server.forceShutdown(), 5_000);
        server.tryShutdown(() => {
          clearTimeout(force);
          done();
        });
      }),
  };
}

function implement(
  grpc: typeof Grpc,
  service: string,
  { handlers, onFailure }: CsiServerOptions,
): Grpc.UntypedServiceImplementation {
  const methods: Grpc.UntypedServiceImplementation = {};
  for (const [key, handler] of Object.entries(handlers)) {
    const [owner, name = ''] = key.split('.');
    if (owner !== service || !handler) continue;
    const given = handler as (request: unknown) => Promise<unknown>;
    // A refusal may be thrown before the handler's first await.
    const answer = async (request: unknown): Promise<unknown> => given(request);
    const unary: Grpc.handleUnaryCall<unknown, unknown> = (call, reply) => {
      answer(call.request).then(
        (response) => reply(null, response),
        (error: unknown) => {
          const failure = error instanceof Error ? error : new Error(String(error));
          onFailure(key as CsiMethod, failure);
          reply({ code: grpc.status[statusOf(failure)], details: failure.message });
        },
      );
    };
    methods[name] = unary;
  }
  return methods;
}

/** A disk may be full at any step: that is no fault of the plugin, and passes when there is room. */
function statusOf(failure: Error): CsiStatus {
  if (failure instanceof CsiError) return failure.code;
  const { code } = failure as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT' ? 'RESOURCE_EXHAUSTED' : 'INTERNAL';
}

function isListened(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => done(false));
  });
}
