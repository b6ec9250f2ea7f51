import { type CertificateClaims, MESH_ROLES } from '../../structs/mesh.js';
import { err, ok, type Result } from '../../util/result.js';
import type { MeshClock } from '../clock.js';
import { commonVersion, encodeFrame, type Frame, FrameReader, KIND } from '../frame.js';
import type { Connection } from '../network.js';
import { encodeHello, HELLO_MAX_BYTES, type Hello, parseHello } from './hello.js';

/** That a connection is open proves nothing: who says no hello in this time is not there. */
export const HELLO_TIMEOUT_MS = 2_000;
/** The first dial is given less: half-open connections are common while a machine starts, and a second one costs little. */
export const FIRST_HELLO_TIMEOUT_MS = 1_000;
const REASON_MAX_CHARS = 300;

/** A connection whose other end has proven who it is. */
export interface Greeted {
  readonly connection: Connection;
  readonly hello: Hello;
  readonly claims: CertificateClaims;
  readonly version: number;
  /** Time between our hello and theirs, at most: what their clock is compared by. */
  readonly tripMs: number;
  /** Bytes that came behind the handshake. */
  readonly rest: Buffer;
}

export interface HandshakeOptions {
  readonly connection: Connection;
  readonly clock: MeshClock;
  readonly hello: Hello;
  readonly timeoutMs: number;
  /** Whether the other side belongs here: its chain, the roster. */
  check(hello: Hello): Result<CertificateClaims, string>;
}

/** The other side said nothing at all, or not enough: no word about its right to be here. */
export class NoHello extends Error {}

/**
 * Both sides say hello at once; each checks the other's and acknowledges it. Resolves when the other side is found good here
 * and this side there; rejects with the reason, and the connection is destroyed then.
 */
export function shakeHands(options: HandshakeOptions): Promise<Greeted> {
  const { connection, clock, timeoutMs } = options;
  const { stream } = connection;
  const reader = new FrameReader(HELLO_MAX_BYTES);
  const startedMs = clock.monotonicMs();
  const say = (frame: Frame): void => {
    if (!stream.destroyed) stream.write(encodeFrame(frame));
  };
  return new Promise((resolve, reject) => {
    let theirs: Omit<Greeted, 'rest'> | undefined;
    let acknowledged = false;
    const stop = (): void => {
      cancelTimer();
      stream.off('data', onData);
      stream.off('close', onClose);
    };
    const fail = (error: Error): void => {
      stop();
      stream.destroy();
      reject(error);
    };
    const refuse = (reason: string): void => {
      say({ kind: KIND.error, id: 0, body: { message: reason } });
      stop();
      // What was said goes out before the end does; a stream that does not end so is cut.
      stream.end();
      stream.resume();
      clock.setTimeout(HELLO_TIMEOUT_MS, () => stream.destroy());
      reject(new Error(reason));
    };
    const onData = (chunk: Buffer): void => {
      try {
        for (const frame of reader.push(chunk)) {
          const refusal = take(frame);
          if (refusal !== undefined) {
            refuse(refusal);
            return;
          }
          if (theirs && acknowledged) {
            stop();
            stream.pause();
            resolve({ ...theirs, rest: reader.rest() });
            return;
          }
        }
      } catch (error) {
        fail(new Error(`no hello: ${(error as Error).message}`));
      }
    };
    const take = ({ kind, body }: Frame): string | undefined => {
      if (kind === KIND.error) throw new Error(`refused there: ${String(body['message']).slice(0, REASON_MAX_CHARS)}`);
      if (kind === KIND.ack && !acknowledged) {
        acknowledged = true;
        return undefined;
      }
      if (kind !== KIND.hello || theirs) throw new Error('something else came first');
      const met = meet(options, body);
      if (!met.ok) return met.error;
      theirs = { ...met.value, connection, tripMs: clock.monotonicMs() - startedMs };
      say({ kind: KIND.ack, id: 0, body: {} });
      return undefined;
    };
    const onClose = (): void => fail(new NoHello('the connection ended during the hello'));
    const cancelTimer = clock.setTimeout(timeoutMs, () => fail(new NoHello(`no hello within ${timeoutMs / 1000} s`)));
    stream.on('data', onData);
    stream.on('close', onClose);
    say({ kind: KIND.hello, id: 0, body: encodeHello(options.hello) });
  });
}

function meet(
  { hello: own, check }: HandshakeOptions,
  body: Record<string, unknown>,
): Result<Pick<Greeted, 'hello' | 'claims' | 'version'>, string> {
  const hello = parseHello(body);
  if (!hello.ok) return hello;
  const version = commonVersion(own.versions, hello.value.versions);
  if (version === undefined) {
    const [a, b] = [own.versions, hello.value.versions];
    return err(
      `protocol versions ${a.min}-${a.max} and ${b.min}-${b.max} have none in common: update the older program`,
    );
  }
  const claims = check(hello.value);
  if (!claims.ok) return claims;
  // The verifier is another room's: what this one relies on is looked at again.
  if (!MESH_ROLES.includes(claims.value.Role)) return err('a certificate for no role');
  return ok({ hello: hello.value, claims: claims.value, version });
}
