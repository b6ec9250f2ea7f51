import type { RosterReply } from '../../structs/rpc-mesh.js';
import type { MemberRoster } from '../../transport/roster.js';
import type { RpcCaller } from '../../transport/rpc.js';
import { backoffMs } from '../../util/backoff.js';
import type { Log } from '../../util/log.js';
import type { Random } from '../../util/random.js';

const RETRY = { baseMs: 250, maxMs: 15_000 };
/** So long a question may stay open: an answer that got lost is noticed after it. */
const WAIT_MS = 5 * 60_000;
/** A certificate is renewed when less than a third of its time is left. */
const RENEW_SHARE = 1 / 3;
const RENEW_RETRY_MS = 60_000;

export interface FollowOptions {
  roster: MemberRoster;
  /** Whoever knows the newest: the own server, or those elsewhere. */
  ask: () => RpcCaller;
  key: string;
  now: () => number;
  random: Random;
  log: Log;
  signal: AbortSignal;
}

/** Keeps the own copy of who belongs to the mesh up to date by blocking queries, and the own certificate alive. Ends with `signal`. */
export async function followRoster(options: FollowOptions): Promise<void> {
  const { roster, ask, key, random, log, signal } = options;
  let index = 0;
  let renewedAt = 0;
  for (let failures = 0; !signal.aborted; ) {
    try {
      const args = { Key: key, MinQueryIndex: index, MaxQueryTimeMs: WAIT_MS, AllowStale: true };
      const reply: RosterReply & { Index: number } = await ask().call('Mesh.Roster', args, {
        signal,
        timeoutMs: WAIT_MS + 60_000,
      });
      // A server that was restored from a backup counts anew.
      index = reply.Index < index ? 0 : reply.Index;
      roster.update(reply);
      failures = 0;
      if (isDue(options) && options.now() - renewedAt > RENEW_RETRY_MS) {
        renewedAt = options.now();
        await renew(options);
      }
    } catch (error) {
      if (signal.aborted) return;
      log[failures === 3 ? 'info' : 'debug']('who belongs to the mesh cannot be asked', {
        why: (error as Error).message,
      });
      await pause(backoffMs({ attempt: failures++, ...RETRY, random }), signal);
    }
  }
}

function isDue({ roster, now }: FollowOptions): boolean {
  const { NotBefore, NotAfter } = roster.own().claims;
  return NotAfter - now() < (NotAfter - NotBefore) * RENEW_SHARE;
}

async function renew({ roster, ask, key, log, signal }: FollowOptions): Promise<void> {
  const { Member } = await ask().call('Mesh.Renew', { Key: key }, { signal, timeoutMs: 30_000 });
  roster.renew(Member.Chain);
  log.info('the certificate was renewed', { until: new Date(Member.NotAfter).toISOString() });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    timer.unref();
    signal.addEventListener('abort', end, { once: true });
  });
}
