import type { CertificateClaims, LinkPath, NodeKey } from '../../structs/mesh.js';
import type { Pace } from '../heartbeat.js';
import { createLink, type Link, type LinkOptions, type MeshLinkOptions } from '../link.js';
import type { Connection } from '../network.js';
import type { Greeted } from './handshake.js';
import type { Hello, LinkKind } from './hello.js';

/** Frames on control are small: what is larger goes over bulk. */
const CONTROL_FRAME_MAX_BYTES = 512 * 1024;
const BULK_FRAME_MAX_BYTES = 32 * 1024 * 1024;
/** Traffic is expected: a loss is noticed within some three seconds, or later where there are very many links. */
const BRISK: Pace = { everyMs: 1_500, deadMs: 3_300 };
/** Nothing is expected, or the heartbeats of the control link tell. */
const QUIET: Pace = { everyMs: 5_000, deadMs: 15_000 };

/** What the link manager lends to a link. */
export interface LiveLinkOptions {
  readonly kind: LinkKind;
  readonly nowMs: number;
  readonly link: Pick<LinkOptions, 'handlers' | 'streamHandlers' | 'onClose' | 'clock'>;
  readonly mesh: (live: LiveLink) => Omit<MeshLinkOptions, 'peer' | 'limitBytes' | 'pace' | 'head'>;
}

/** A link that is up, to a member that has proven itself. */
export class LiveLink {
  readonly key: NodeKey;
  readonly kind: LinkKind;
  readonly hello: Hello;
  /** By this side. */
  readonly dialled: boolean;
  /** Monotonic. */
  readonly sinceMs: number;
  readonly link: Link;
  /** How far the other clock is ahead, in milliseconds; exact to half a round trip. */
  readonly skewMs: number;
  /** Replaced when the member shows a renewed certificate. */
  claims: CertificateClaims;
  /** Of the hello: the round trip until the first heartbeat was answered. */
  readonly #tripMs: number;
  /** When somebody last had use for it. */
  usedAtMs: number;
  readonly #connection: Connection;

  constructor(greeted: Greeted, options: LiveLinkOptions & { ownNow: number }) {
    const { connection, hello, claims } = greeted;
    this.key = connection.remoteKey;
    this.kind = options.kind;
    this.hello = hello;
    this.dialled = connection.dialled;
    this.sinceMs = options.nowMs;
    this.usedAtMs = options.nowMs;
    this.claims = claims;
    this.skewMs = hello.now + greeted.tripMs / 2 - options.ownNow;
    this.#connection = connection;
    this.#tripMs = greeted.tripMs;
    this.link = createLink(connection.stream, {
      ...options.link,
      dialled: connection.dialled,
      mesh: {
        ...options.mesh(this),
        peer: () => ({ key: this.key, role: this.claims.Role, name: this.claims.Name }),
        limitBytes: options.kind === 'control' ? CONTROL_FRAME_MAX_BYTES : BULK_FRAME_MAX_BYTES,
        pace: QUIET,
        head: greeted.rest,
      },
    });
  }

  /** Whether it is the link over this connection. */
  is(connection: Connection): boolean {
    return this.#connection === connection;
  }

  /** Whether another member passes its bytes on. */
  get carried(): boolean {
    return this.#connection.carried === true;
  }

  /** Median of the latest round trips. */
  get rttMs(): number {
    return this.link.rttMs ?? this.#tripMs;
  }

  get path(): LinkPath {
    return this.#connection.path();
  }

  /** Sets how soon a loss is to be noticed; `atLeastMs` is the beat that so many links allow. */
  expect(traffic: boolean, atLeastMs: number): void {
    const everyMs = Math.max(BRISK.everyMs, atLeastMs);
    const brisk = traffic && this.kind === 'control' && everyMs < QUIET.everyMs;
    this.link.pace(brisk ? { everyMs, deadMs: (everyMs / BRISK.everyMs) * BRISK.deadMs } : QUIET);
  }
}
