import type { Duplex } from 'node:stream';
import { MeshError } from '../../structs/errors.js';
import type { NodeKey } from '../../structs/mesh.js';
import type { MeshClock } from '../clock.js';
import { localCaller, messagePair } from '../local.js';
import type { RpcCaller, RpcHandlers, RpcStreamHandlers } from '../rpc.js';
import type { LinkKind } from './hello.js';
import type { LiveLink } from './live-link.js';
import { LARGE_ANSWER_BYTES } from './parking.js';

/** How long a call that says nothing else waits for a link. */
const LINK_WAIT_MS = 10_000;

export interface CallerOptions {
  readonly own: NodeKey;
  readonly clock: MeshClock;
  readonly handlers: RpcHandlers;
  readonly streamHandlers: RpcStreamHandlers;
  /** What streams go over. */
  readonly streamsOver: LinkKind;
  /** A link to a member, opened when there is none. */
  link(key: NodeKey, kind: LinkKind, waitMs: number, signal?: AbortSignal): Promise<LiveLink>;
  /** The link that is up already. */
  up(key: NodeKey, kind: LinkKind): LiveLink | undefined;
}

/** One who asks a member over whichever link suits: small calls over control, streams (unless told) and what is large over bulk. */
export function memberCaller(key: NodeKey, options: CallerOptions): RpcCaller {
  const { own, clock } = options;
  if (key === own) return localCaller(options.handlers, options.streamHandlers);
  return {
    async call(method, args, { signal, timeoutMs } = {}) {
      const startedMs = clock.monotonicMs();
      const kind = JSON.stringify(args).length > LARGE_ANSWER_BYTES ? 'bulk' : 'control';
      const live = await options.link(key, kind, timeoutMs ?? LINK_WAIT_MS, signal);
      live.usedAtMs = clock.monotonicMs();
      const leftMs = timeoutMs === undefined ? undefined : Math.max(1, timeoutMs - (clock.monotonicMs() - startedMs));
      return live.link.call(method, args, {
        ...(signal ? { signal } : {}),
        ...(leftMs === undefined ? {} : { timeoutMs: leftMs }),
      });
    },
    stream(method, args) {
      const live = options.up(key, options.streamsOver);
      if (live) {
        live.usedAtMs = clock.monotonicMs();
        return live.link.stream(method, args);
      }
      const [near, far] = messagePair();
      far.on('error', () => {});
      options.link(key, options.streamsOver, LINK_WAIT_MS).then(
        (link) => join(far, link.link.stream(method, args)),
        (error: Error) => far.destroy(error instanceof MeshError ? error : new MeshError('E_TIMEOUT', error.message)),
      );
      return near;
    },
  };
}

/** Makes one stream of two: ends, errors and back-pressure go through. */
function join(a: Duplex, b: Duplex): void {
  if (a.destroyed) {
    b.destroy();
    return;
  }
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to);
    from.on('error', (error) => to.destroy(error));
    from.once('close', () => {
      // Ended on both sides is a good end; anything else must not look like one.
      if (!(from.readableEnded && from.writableFinished)) to.destroy();
    });
  }
}
