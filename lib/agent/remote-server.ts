import { Duplex } from 'node:stream';
import { MeshError } from '../structs/errors.js';
import type { Link, LinkOptions } from '../transport/link.js';
import type { RpcCaller } from '../transport/rpc.js';
import { type Address, dialLink } from '../transport/tcp.js';
import { backoffMs } from '../util/backoff.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';

export interface RemoteServerOptions {
  servers: readonly Address[];
  secret: string;
  /** What servers may ask of this agent over the link. */
  served: Pick<LinkOptions, 'handlers' | 'streamHandlers'>;
  log: Log;
  random: Random;
}

export interface RemoteServer extends RpcCaller {
  /** `host:port` of the server in use, '' when there is none. */
  readonly current: string;
  close(): void;
}

const RETRY = { baseMs: 250, maxMs: 15_000 };

/** A server reached by plain address: one link is kept open to the first that answers, and another is tried when it is lost. */
export function remoteServer(options: RemoteServerOptions): RemoteServer {
  const { servers, log } = options;
  let link: Link | undefined;
  let dialling: Promise<Link> | undefined;
  let turn = 0;
  let failures = 0;
  let notBefore = 0;
  let lastError: Error | undefined;
  let closed = false;

  async function dial(): Promise<Link> {
    // Callers retry on their own; this keeps a dead server from being dialled for each of them.
    if (performance.now() < notBefore && lastError) throw lastError;
    const address = servers[turn % servers.length] as Address;
    try {
      const opened = await dialLink({
        ...address,
        secret: options.secret,
        link: {
          ...options.served,
          onClose: (reason) => {
            if (!closed) log.warn('lost the link to the server', { server: `${address.host}:${address.port}`, reason });
            if (link === opened) link = undefined;
          },
        },
      });
      failures = 0;
      link = opened;
      if (closed) opened.close('shutting down');
      log.info('linked to a server', { server: `${address.host}:${address.port}` });
      return opened;
    } catch (error) {
      turn++;
      lastError = error as Error;
      if (turn % servers.length === 0)
        notBefore = performance.now() + backoffMs({ attempt: failures++, ...RETRY, random: options.random });
      throw error;
    } finally {
      dialling = undefined;
    }
  }

  const ready = (): Promise<Link> => {
    if (closed) return Promise.reject(new MeshError('E_TIMEOUT', 'this agent shuts down'));
    if (link && !link.closed) return Promise.resolve(link);
    dialling ??= dial();
    return dialling;
  };

  return {
    get current() {
      const address = servers[turn % servers.length];
      return link && !link.closed && address ? `${address.host}:${address.port}` : '';
    },
    async call(method, args, callOptions) {
      return (await ready()).call(method, args, callOptions);
    },
    stream(method, args) {
      if (link && !link.closed) return link.stream(method, args);
      const refused = new Duplex({ objectMode: true, read() {}, write: (_chunk, _encoding, done) => done() });
      process.nextTick(() =>
        refused.destroy(lastError ?? new MeshError('E_NO_LEADER', 'no server is reached at the moment')),
      );
      void ready().catch(() => {});
      return refused;
    },
    close() {
      closed = true;
      link?.close('the agent shuts down');
    },
  };
}
