import { MeshError } from '../structs/errors.js';
import { backoffMs } from '../util/backoff.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import { renewalDueMs } from './certificate.js';
import type { MeshClock } from './clock.js';
import type { MemberRoster } from './roster.js';
import type { RpcCaller } from './rpc.js';

// How an agent that is no server keeps its roster and its own certificate new: it asks any server, and waits there for changes.

/** A question waits so long for a change; then it is looked whether the certificate is due. */
const WAIT_MS = 60_000;
/** Changes that come in a row are fetched together: whom this agent has to know at once it hears of by gossip. */
const REST_MS = 1_000;
const RETRY = { baseMs: 500, maxMs: 15_000 };
/** The least that lies between two attempts to renew: one that is refused will be refused again. */
const RENEW_RETRY_MS = 10 * 60_000;

export interface FollowRosterOptions {
  readonly roster: MemberRoster;
  /** Whatever server can be reached; rejects with E_TIMEOUT or E_NO_LEADER when none can. */
  readonly servers: RpcCaller;
  readonly clock: MeshClock;
  readonly random: Random;
  readonly log: Log;
}

/** Follows until the returned function is called. */
export function followRoster(options: FollowRosterOptions): () => void {
  const { roster, servers, clock, log } = options;
  const stop = new AbortController();
  const { signal } = stop;
  let index = 0;
  let renewAfterMs = 0;

  async function renew(): Promise<void> {
    const { claims } = roster.own();
    const now = clock.now();
    if (now < renewalDueMs(claims) || now < renewAfterMs) return;
    renewAfterMs = now + RENEW_RETRY_MS;
    const { Member } = await servers.call('Mesh.Renew', { Key: claims.Key }, { signal, timeoutMs: WAIT_MS });
    roster.renew(Member.Chain);
    log.info('the certificate was renewed', { until: new Date(Member.NotAfter).toISOString() });
  }

  async function once(): Promise<void> {
    // First: with an expired certificate nothing else is answered.
    await renew();
    const { Key } = roster.own().claims;
    const known = index > 0 ? { Since: index } : {};
    const wait = { AllowStale: true, MinQueryIndex: index, MaxQueryTimeMs: WAIT_MS, ...known };
    const reply = await servers.call('Mesh.Roster', { Key, ...wait }, { signal, timeoutMs: 2 * WAIT_MS });
    // A mesh that was restored from a backup counts from there.
    const isBack = reply.Index < index;
    index = roster.update(reply) && !isBack ? reply.Index : 0;
  }

  async function follow(): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        await once();
        failures = 0;
        await pause(REST_MS);
      } catch (error) {
        if (signal.aborted) return;
        const why = error instanceof MeshError ? error.message : String((error as Error).stack ?? error);
        log[failures === 0 ? 'info' : 'debug']('the roster is not new', { why });
        await pause(backoffMs({ attempt: failures++, ...RETRY, random: options.random }));
      }
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const cancel = clock.setTimeout(ms, end);
      signal.addEventListener('abort', end, { once: true });
    });
  }

  void follow();
  return () => stop.abort();
}
