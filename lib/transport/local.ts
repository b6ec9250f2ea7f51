import { Duplex } from 'node:stream';
import { MeshError } from '../structs/errors.js';
import type { RpcCaller, RpcContext, RpcHandlers, RpcStreamHandlers } from './rpc.js';

const NEVER = new AbortController().signal;

type AnyHandler = (args: object, context: RpcContext) => Promise<never>;
type AnyStreamHandler = (args: object, stream: Duplex, context: RpcContext) => void;

/** A caller for handlers in this very process: no copy, no encoding. What crosses is shared and must not be changed. */
export function localCaller(handlers: RpcHandlers, streamHandlers: RpcStreamHandlers): RpcCaller {
  return {
    call(method, args, options = {}) {
      const handler = handlers[method] as AnyHandler | undefined;
      if (!handler) return Promise.reject(unknownMethod(method));
      const { signal = NEVER, linklessMs } = options;
      return handler(args, linklessMs === undefined ? { signal } : { signal, linklessMs });
    },
    stream(method, args) {
      const [near, far] = messagePair();
      // A handler refuses by destroying its end: the caller hears of it, nobody else need.
      far.on('error', () => {});
      const handler = streamHandlers[method] as AnyStreamHandler | undefined;
      if (!handler) {
        far.destroy(unknownMethod(method));
        return near;
      }
      const controller = new AbortController();
      far.once('close', () => controller.abort());
      handler(args, far, { signal: controller.signal });
      return near;
    },
  };
}

export function unknownMethod(method: string): MeshError {
  return new MeshError(
    'E_NOT_SUPPORTED',
    `nobody here answers ${method}: this agent may be of another version, or without the role`,
  );
}

/**
 * Two ends of one stream of messages, with back-pressure. Other than Node's own pair, an error or an early close of one end
 * reaches the other end.
 */
export function messagePair(): [Duplex, Duplex] {
  const near = new End();
  const far = new End();
  near.peer = far;
  far.peer = near;
  return [near, far];
}

class End extends Duplex {
  peer!: End;
  #resume: (() => void) | undefined;

  constructor() {
    super({ objectMode: true, highWaterMark: 16, allowHalfOpen: true });
  }

  override _read(): void {
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }

  override _write(message: unknown, _encoding: string, done: (error?: Error | null) => void): void {
    // The writer goes on once the reader has room again.
    if (this.peer.push(message)) done();
    else this.peer.#resume = done;
  }

  override _final(done: () => void): void {
    this.peer.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { peer } = this;
    const resume = peer.#resume;
    peer.#resume = undefined;
    resume?.();
    done(error);
    if (peer.destroyed) return;
    // Ended on both sides is a good end; anything else is a cut, which the other side must not take for the end.
    if (error || !this.writableFinished) process.nextTick(() => peer.destroy(error ?? undefined));
  }
}
