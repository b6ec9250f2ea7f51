import { setTimeout as timer } from 'node:timers/promises';
import { AUTOSCALER_LOCK } from '../structs/autoscaling.js';
import type { Variable } from '../structs/variable.js';
import type { RpcCaller } from '../transport/rpc.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';

// Who acts, where there is more than one autoscaler: a lease in a variable, renewed while its holder lives.
//
// An autoscaler of its own process holds the lease; that of the server which leads only looks, and stands back. A holder counts
// its time from before it asked, whoever looks from when a renewal was seen: no two clocks need to agree, and the holder is the
// first to believe that its time is over.

export const LEASE_TTL_MS: Millis = 60_000;
/** Renewals in the time of a lease. */
const RENEWALS = 3;
const RETRY_MS: Millis = 2_000;
const CALL_MS: Millis = 10_000;
const WATCH_MS: Millis = 60_000;
/** A lease that says more is taken for nonsense. */
export const LEASE_TTL_MAX_MS: Millis = 60 * 60_000;

export interface LeaseOptions {
  rpc: RpcCaller;
  /** Must never be set back: `performance.now`. */
  nowMs: () => Millis;
  signal: AbortSignal;
  log: Log;
  /** Ends early, without an error, when the signal is aborted. Absent = by a timer. */
  pause?: (ms: Millis, signal: AbortSignal) => Promise<void>;
}

/** What is known of the lease, by one's own clock. */
export class LeaseView {
  private index = -1;
  private name: string | null = null;
  /** Its time ends now, unless it is renewed. */
  untilMs: Millis = 0;

  /** Takes over what the variable says; null: there is none. */
  see(variable: Variable | null, nowMs: Millis): void {
    if (!variable) {
      this.name = null;
      this.index = -1;
      return;
    }
    if (variable.ModifyIndex === this.index) return;
    this.index = variable.ModifyIndex;
    this.name = variable.Items['holder'] ?? '';
    const ttlMs = Number(variable.Items['ttl_ms']);
    this.untilMs = nowMs + (ttlMs > 0 && ttlMs <= LEASE_TTL_MAX_MS ? ttlMs : LEASE_TTL_MS);
  }

  /** Who holds it; null: nobody does, or not any more. */
  holderAt(nowMs: Millis): string | null {
    return nowMs < this.untilMs ? this.name : null;
  }

  /** For a write that nobody else may get ahead of; 0: there must be none yet. */
  get casIndex(): number {
    return Math.max(0, this.index);
  }
}

/** Tells who holds the lease, first of all and whenever it changes, until the signal is aborted. */
export async function followLease(options: LeaseOptions, onHolder: (holder: string | null) => void): Promise<void> {
  const { rpc, nowMs, signal, log } = options;
  const view = new LeaseView();
  let told: string | null | undefined;
  let expiry: ReturnType<typeof setTimeout> | undefined;
  const tell = (): void => {
    clearTimeout(expiry);
    if (signal.aborted) return;
    const holder = view.holderAt(nowMs());
    if (holder !== null) expiry = setTimeout(tell, Math.max(1, view.untilMs - nowMs()));
    if (holder === told) return;
    told = holder;
    onHolder(holder);
  };
  signal.addEventListener('abort', () => clearTimeout(expiry), { once: true });
  for (let index = 0; !signal.aborted; ) {
    try {
      const reply = await rpc.call(
        'Variables.Read',
        { ...AUTOSCALER_LOCK, MinQueryIndex: index, MaxQueryTimeMs: WATCH_MS },
        { signal, timeoutMs: 2 * WATCH_MS },
      );
      index = reply.Index < index ? 0 : reply.Index;
      view.see(reply.Variable, nowMs());
      tell();
    } catch (error) {
      if (signal.aborted) return;
      log.warn('it cannot be told whether another autoscaler acts; tried again', { why: messageOf(error) });
      await rest(RETRY_MS, signal);
    }
  }
}

/** What a holder does. */
export interface LeaseHolder {
  /** Shown to people; must differ from that of all others. */
  name: string;
  ttlMs: Millis;
  /** It is ours; `holds` says whether it still is, even when this process has slept meanwhile. */
  onHeld(holds: () => boolean): void;
  /** It may be somebody else's any moment: whatever was begun must end now. */
  onLost(): void;
  /** The signal was aborted: everything ends before the lease is given back. */
  onEnd(): Promise<void>;
}

/** Takes the lease when it is free, keeps it, and gives it back when the signal is aborted. */
export async function holdLease(options: LeaseOptions, holder: LeaseHolder): Promise<void> {
  const { signal, log, nowMs, pause = rest } = options;
  const view = new LeaseView();
  let heldUntilMs = 0;
  let waitsFor: string | null = null;
  while (!signal.aborted) {
    const askedMs = nowMs();
    // An attempt that hangs must not outlast the lease.
    const callMs = heldUntilMs === 0 ? CALL_MS : Math.min(CALL_MS, Math.max(1, heldUntilMs - RETRY_MS - askedMs));
    const outcome = await attempt(options, holder, view, callMs).catch((error: unknown) => {
      if (!signal.aborted) log.warn('the lease of the autoscaler could not be had', { why: messageOf(error) });
      return 'unknown' as const;
    });
    if (signal.aborted) break;
    if (outcome === 'ours') {
      if (heldUntilMs === 0) holder.onHeld(() => nowMs() < heldUntilMs);
      heldUntilMs = askedMs + holder.ttlMs;
      waitsFor = null;
    } else if (heldUntilMs > 0 && (outcome === 'theirs' || nowMs() + RETRY_MS >= heldUntilMs)) {
      heldUntilMs = 0;
      log.warn('the lease of the autoscaler is lost');
      holder.onLost();
    }
    const other = view.holderAt(nowMs());
    if (outcome === 'theirs' && other !== waitsFor) {
      waitsFor = other;
      log.info('another autoscaler acts: waiting for its end', { holder: other ?? '' });
    }
    await pause(outcome === 'ours' ? holder.ttlMs / RENEWALS : RETRY_MS, signal);
  }
  await holder.onEnd();
  if (heldUntilMs > 0) await release(options, view);
}

async function attempt(
  { rpc, nowMs, signal }: LeaseOptions,
  holder: LeaseHolder,
  view: LeaseView,
  callMs: Millis,
): Promise<'ours' | 'theirs'> {
  const call = { signal: AbortSignal.any([signal, AbortSignal.timeout(callMs)]), timeoutMs: callMs };
  const { Variable } = await rpc.call('Variables.Read', { ...AUTOSCALER_LOCK }, call);
  view.see(Variable, nowMs());
  const now = view.holderAt(nowMs());
  if (now !== null && now !== holder.name) return 'theirs';
  const Items = { holder: holder.name, ttl_ms: String(holder.ttlMs) };
  const args = { ...AUTOSCALER_LOCK, Items, CAS: view.casIndex };
  const put = await rpc.call('Variables.Put', args, call);
  if (!put.Variable) return 'theirs';
  view.see({ ...put.Variable, Items }, nowMs());
  return 'ours';
}

async function release({ rpc, log }: LeaseOptions, view: LeaseView): Promise<void> {
  const call = { signal: AbortSignal.timeout(CALL_MS), timeoutMs: CALL_MS };
  const args = { ...AUTOSCALER_LOCK, CAS: view.casIndex };
  await rpc.call('Variables.Delete', args, call).catch((error: unknown) => {
    log.warn('the lease was not given back: others wait for its end', { why: messageOf(error) });
  });
}

async function rest(ms: Millis, signal: AbortSignal): Promise<void> {
  await timer(ms, undefined, { signal, ref: false }).catch(() => {});
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
