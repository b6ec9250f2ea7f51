import { Duplex } from 'node:stream';
import { MeshError } from '../structs/errors.js';
import type { Link, LinkOptions } from '../transport/link.js';
import type { CallOptions, RpcCaller } from '../transport/rpc.js';
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
  /** Whether one can be asked right now. */
  readonly linked: boolean;
  close(): void;
}

/** A server that comes back must find its clients within seconds, and one that is gone costs next to nothing. */
const RETRY = { baseMs: 100, maxMs: 2_000 };
/** How long a call waits for a link before it fails, unless it says otherwise. */
const LINK_WAIT_MS = 5_000;

interface Waiter {
  resolve: (link: Link) => void;
  reject: (error: Error) => void;
}

/**
 * Servers reached by plain address: a link is kept open to one of them at all times, the next one is tried when it is lost.
 * The link serves both ways: over it the server asks for logs and the like.
 */
export function remoteServer(options: RemoteServerOptions): RemoteServer {
  const { servers, log, random } = options;
  let link: Link | undefined;
  let turn = 0;
  let lastError: Error = new MeshError('E_NO_LEADER', 'no server is reached yet');
  let closed = false;
  let keeping = false;
  /** Since when there is no link, while there is none. */
  let linklessSince = performance.now();
  let waiters: Waiter[] = [];
  let wake = (): void => {};

  const name = ({ host, port }: Address): string => `${host}:${port}`;
  const current = (): Address => servers[turn % servers.length] as Address;

  async function keepLinked(): Promise<void> {
    for (let failures = 0; !closed; ) {
      try {
        let lose = (_reason: string): void => {};
        const lost = new Promise<string>((resolve) => {
          lose = resolve;
        });
        link = await dialLink({
          ...current(),
          secret: options.secret,
          link: { ...options.served, onClose: (reason) => lose(reason) },
        });
        log.info('linked to a server', { server: name(current()) });
        failures = 0;
        for (const waiter of waiters.splice(0)) waiter.resolve(link);
        const reason = await lost;
        link = undefined;
        linklessSince = performance.now();
        if (!closed) log.warn('lost the link to the server', { server: name(current()), reason });
      } catch (error) {
        lastError = error as Error;
        turn++;
        log[failures++ === 0 ? 'warn' : 'debug']('server not reached, will be tried again', { why: lastError.message });
        await pause(backoffMs({ attempt: failures, ...RETRY, random }));
      }
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  function ready({ linklessMs }: CallOptions = {}): Promise<Link> {
    if (closed) return Promise.reject(new MeshError('E_TIMEOUT', 'this agent shuts down'));
    if (link && !link.closed) return Promise.resolve(link);
    // The first call opens the link: what the other side may ask exists by then.
    if (!keeping) {
      keeping = true;
      void keepLinked();
    }
    const waitMs =
      linklessMs === undefined ? LINK_WAIT_MS : Math.max(0, linklessSince + linklessMs - performance.now());
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        resolve: (found) => settle(() => resolve(found)),
        reject: (error) => settle(() => reject(error)),
      };
      const timer = setTimeout(() => waiter.reject(lastError), waitMs);
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        waiters = waiters.filter((other) => other !== waiter);
        act();
      };
      waiters.push(waiter);
    });
  }

  return {
    get linked() {
      return link !== undefined && !link.closed;
    },
    get current() {
      return link && !link.closed ? name(current()) : '';
    },
    async call(method, args, callOptions) {
      return (await ready(callOptions)).call(method, args, callOptions);
    },
    stream(method, args) {
      if (link && !link.closed) return link.stream(method, args);
      const refused = new Duplex({ objectMode: true, read() {}, write: (_chunk, _encoding, done) => done() });
      process.nextTick(() => refused.destroy(lastError));
      return refused;
    },
    close() {
      closed = true;
      wake();
      link?.close('the agent shuts down');
      for (const waiter of waiters.splice(0)) waiter.reject(new MeshError('E_TIMEOUT', 'this agent shuts down'));
    },
  };
}
