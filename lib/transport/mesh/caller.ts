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
/** Behind some NATs a second link takes ten seconds: what control can carry goes over control then. */
const BULK_WAIT_MS = 1_000;
/** What a frame of a control link has room for. */
const CONTROL_CARRIES_BYTES = 400 * 1024;

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
      const bytes = JSON.stringify(args).length;
      const waitMs = timeoutMs ?? LINK_WAIT_MS;
      const live =
        bytes > LARGE_ANSWER_BYTES
          ? await roomyLink(key, options, { bytes, waitMs, ...(signal ? { signal } : {}) })
          : await options.link(key, 'control', waitMs, signal);
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
      roomyLink(key, options, { bytes: 0, waitMs: LINK_WAIT_MS }).then(
        (link) => join(far, link.link.stream(method, args)),
        (error: Error) => far.destroy(error instanceof MeshError ? error : new MeshError('E_TIMEOUT', error.message)),
      );
      return near;
    },
  };
}

/**
 * The bulk link, for a stream or for something of so many bytes; the control link when that one is up, can carry it, and the
 * other takes long.
 */
export function roomyLink(
  key: NodeKey,
  options: Pick<CallerOptions, 'clock' | 'link' | 'up' | 'streamsOver'>,
  need: { bytes: number; waitMs: number; signal?: AbortSignal },
): Promise<LiveLink> {
  const { clock, link, up, streamsOver } = options;
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimeout(BULK_WAIT_MS, () => {
      const control = up(key, 'control');
      if (control && need.bytes <= CONTROL_CARRIES_BYTES) resolve(control);
    });
    const kind = need.bytes > CONTROL_CARRIES_BYTES ? 'bulk' : streamsOver;
    link(key, kind, need.waitMs, need.signal).then(resolve, reject).finally(cancel);
  });
}

/** Makes one stream of two: ends, errors and back-pressure go through. */
export function join(a: Duplex, b: Duplex): void {
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
