import type { NodeKey } from '../structs/mesh.js';
import { assertNever } from '../util/assert.js';
import type { Millis } from '../util/clock.js';
import {
  accusationOf,
  applyAlive,
  applyDead,
  applyLeft,
  applySuspect,
  pruneMembers,
  renewSelf,
  suspicionsDueAt,
  tickSuspicions,
} from './claims.js';
import type { GossipConfig } from './config.js';
import { GOSSIP_CONFIG } from './config.js';
import type { GossipEffect } from './effects.js';
import type { MemberInfo, MemberRecord } from './member.js';
import { isPresent } from './member.js';
import { decodePacket } from './message-codec.js';
import type { GossipMessage } from './messages.js';
import {
  probeIntervalMs,
  proveAlive,
  startProbe,
  stepAck,
  stepNack,
  stepPing,
  stepPingRequest,
  tickProbes,
} from './probe.js';
import { buryMember, exhumeMember, startSync, stepDigest, stepState, tickSync } from './push-pull.js';
import type { GossipOptions } from './state.js';
import { GossipState } from './state.js';

/** What happens to the machine. */
export type GossipEvent =
  | { readonly type: 'datagram'; readonly from: NodeKey; readonly data: Uint8Array }
  /** These are members by the roster's word: those that are not met soon are asked for. */
  | { readonly type: 'join'; readonly keys: readonly NodeKey[] }
  /** A link to this member came up: if it is a stranger or believed gone, now is the time to compare. */
  | { readonly type: 'linked'; readonly key: NodeKey }
  /** This member says something else of itself from now on; checked by `checkInfo` before. */
  | { readonly type: 'update'; readonly info: MemberInfo }
  /** A genuine tombstone. */
  | { readonly type: 'bury'; readonly key: NodeKey; readonly bytes: Uint8Array }
  /** A tombstone that was taken for genuine is not. */
  | { readonly type: 'exhume'; readonly key: NodeKey }
  /** Good-bye: spread until `hasNews` is false, then stop. */
  | { readonly type: 'leave' };

const PRUNE_INTERVAL_MS = 60_000;
/** How many candidates are asked at once by one who knows nobody yet. */
const JOIN_FANOUT = 3;

/**
 * SWIM with Lifeguard as a pure machine: who is in the mesh, and who is there now. `step` and `tick` change it, `ready` gives
 * what the shell must do, `dueAt` when the next tick is wanted. Times are milliseconds of one steady clock. (Das, Gupta and
 * Motivala 2002; Dadgar, Phillips and Currey 2017.)
 *
 *            no answer, directly or through others      its time is over
 *   alive ──────────────────────────────────▶ suspect ─────────────────▶ dead ──▶ forgotten
 *     ▲  ◀──────────── refuted: a higher incarnation ─┘                    │
 *     └──────────────────────────────── a higher incarnation ◀─────────────┘
 */
export class Gossip {
  readonly #state: GossipState;
  #probeAt: Millis;
  #reconnectAt: Millis;
  #pruneAt: Millis;
  /** When the next tick was wanted, as the shell was told. */
  #expectedAt: Millis;

  constructor(options: GossipOptions) {
    const config: GossipConfig = { ...GOSSIP_CONFIG, ...options.config };
    const { now, random } = options;
    this.#state = new GossipState(options, config);
    // At a random moment of the first interval, so that many that start together do not act together.
    this.#probeAt = now + random.next() * config.probeIntervalMs;
    this.#reconnectAt = now + config.probeIntervalMs;
    this.#pruneAt = now + PRUNE_INTERVAL_MS;
    this.#expectedAt = now + config.probeIntervalMs;
  }

  /** All that are known, this member included. */
  members(): Iterable<MemberRecord> {
    return this.#state.members.values();
  }

  member(key: NodeKey): MemberRecord | undefined {
    return this.#state.members.get(key);
  }

  /** Those who are out for ever, as far as this machine was told. */
  buried(): Iterable<NodeKey> {
    return this.#state.tombstones.keys();
  }

  /** How many are alive or suspect, this member included while it has not left. */
  get present(): number {
    return this.#state.members.present;
  }

  /** Nobody answers: nothing that is believed of others is to be trusted. */
  get isolated(): boolean {
    return this.#state.isolation.isolated;
  }

  /** How this member thinks of its own state: 0 = well, up to 7. */
  get awareness(): number {
    return this.#state.awareness.score;
  }

  /** Whether something is still to be spread. */
  get hasNews(): boolean {
    return this.#state.hasNews;
  }

  /** Smoothed time of probes to this member and back; null before the first answer. */
  rttMs(key: NodeKey): Millis | null {
    return this.#state.rttMs(key);
  }

  /** What must be done since the last call, in this order. */
  ready(): GossipEffect[] {
    return this.#state.takeEffects();
  }

  step(event: GossipEvent, now: Millis): void {
    const state = this.#state;
    switch (event.type) {
      case 'datagram':
        this.#stepDatagram(event.from, event.data, now);
        break;
      case 'join':
        for (const key of event.keys) if (!state.members.get(key)) state.candidates.add(key);
        // Not at once: a link that comes up meanwhile is a better way than one that has to be made for this.
        this.#reconnectAt = Math.min(this.#reconnectAt, now + state.config.probeIntervalMs);
        break;
      case 'linked':
        if (state.members.get(event.key)?.state !== 'alive' && state.mayTell(event.key, now))
          startSync(state, event.key);
        break;
      case 'update':
        state.info = event.info;
        renewSelf(state, state.incarnation.current, now);
        break;
      case 'bury':
        buryMember(state, { type: 'tombstone', key: event.key, bytes: event.bytes }, now);
        break;
      case 'exhume':
        exhumeMember(state, event.key);
        break;
      case 'leave':
        this.#leave(now);
        break;
      default:
        assertNever(event);
    }
    this.#probeOutOfTurn(now);
  }

  /** Does what has become due; call it no earlier than `dueAt`. */
  tick(now: Millis): void {
    const state = this.#state;
    this.#allowForSleep(now);
    tickProbes(state, now);
    tickSuspicions(state, now);
    if (now >= this.#probeAt) this.#probe(now);
    tickSync(state, now);
    if (now >= this.#reconnectAt) this.#reconnect(now);
    if (now >= this.#pruneAt) {
      this.#pruneAt = now + PRUNE_INTERVAL_MS;
      pruneMembers(state, now);
    }
    if (now >= state.gossipAt) state.spread(now);
    this.#probeOutOfTurn(now);
  }

  /** When the next tick is wanted; to be asked after every step and tick: how late a tick is tells whether this process slept. */
  dueAt(now: Millis): Millis {
    const state = this.#state;
    const due = Math.min(
      this.#probeAt,
      state.syncAt,
      this.#reconnectAt,
      this.#pruneAt,
      state.gossipAt,
      state.probes.dueAt(),
      suspicionsDueAt(state, now),
    );
    this.#expectedAt = Math.max(now, due);
    return due;
  }

  #stepDatagram(from: NodeKey, data: Uint8Array, now: Millis): void {
    const state = this.#state;
    // A link may outlive the revocation for a moment; its words do not.
    if (from === state.key || state.tombstones.has(from)) return;
    const messages = decodePacket(data);
    if (!messages.ok) return;
    this.#heard(from, now);
    for (const message of messages.value) this.#stepMessage(from, message, now);
    this.#answerStranger(from, now);
  }

  #stepMessage(from: NodeKey, message: GossipMessage, now: Millis): void {
    const state = this.#state;
    switch (message.type) {
      case 'ping':
        stepPing(state, from, message.seq);
        return;
      case 'pingRequest':
        stepPingRequest(state, from, message, now);
        return;
      case 'ack':
        stepAck(state, from, message.seq, now);
        return;
      case 'nack':
        stepNack(state, from, message.seq);
        return;
      case 'alive':
        applyAlive(state, message, from, now);
        return;
      case 'suspect':
        applySuspect(state, message, now, from);
        return;
      case 'dead':
        applyDead(state, message, now, from);
        return;
      case 'left':
        applyLeft(state, message, now, from);
        return;
      case 'tombstone':
        if (!state.tombstones.has(message.key)) state.emit({ ...message, from });
        return;
      case 'digest':
        stepDigest(state, from, message, now);
        return;
      case 'state':
        stepState(state, from, message, now);
        return;
      default:
        assertNever(message);
    }
  }

  #heard(from: NodeKey, now: Millis): void {
    const state = this.#state;
    proveAlive(state, from);
    const { again, ended } = state.isolation.heard(from, now);
    if (again.length === 0 && !ended) return;
    // Nobody was heard for a while: what was held against others since then does not count.
    for (const suspicion of state.suspicions.values()) suspicion.restart(now);
    for (const key of again) state.outOfTurn.add(key);
    if (!ended) return;
    state.emit({ type: 'isolated', isolated: false });
    startSync(state, from);
  }

  /**
   * Somebody speaks who is not believed to be there. It is told so, or it would never know what to refute; one that was never
   * heard of is asked what it knows.
   */
  #answerStranger(from: NodeKey, now: Millis): void {
    const state = this.#state;
    const known = state.members.get(from);
    if (known?.state === 'alive' || state.tombstones.has(from) || !state.mayTell(from, now)) return;
    const accusation = known && accusationOf(state, known);
    if (accusation) state.send(from, [accusation]);
    else startSync(state, from);
  }

  #probe(now: Millis): void {
    const state = this.#state;
    const { config, awareness, members } = state;
    const intervalMs = probeIntervalMs({ members: members.present, baseMs: config.probeIntervalMs });
    this.#probeAt = now + intervalMs * awareness.factor;
    const next = members.nextToProbe();
    // With nobody to ask there is no sign of being sick either.
    if (next) startProbe(state, next.key, now);
    else awareness.better();
  }

  #probeOutOfTurn(now: Millis): void {
    const state = this.#state;
    for (const key of state.outOfTurn) {
      state.outOfTurn.delete(key);
      const known = state.members.get(key);
      if (known && isPresent(known)) startProbe(state, key, now);
    }
  }

  /** Tries one of the dead and some of those never met: halves of a mesh that lost each other find together again. */
  #reconnect(now: Millis): void {
    const state = this.#state;
    const { reconnectIntervalMs, probeIntervalMs } = state.config;
    const isAlone = state.others === 0 && state.candidates.size > 0;
    this.#reconnectAt = now + state.jitter(isAlone ? 2 * probeIntervalMs : reconnectIntervalMs);
    for (const record of state.members.pick(1, ({ state }) => state === 'dead')) {
      const accusation = accusationOf(state, record);
      if (accusation) state.send(record.key, [accusation]);
    }
    this.#askCandidates();
  }

  #askCandidates(): void {
    const state = this.#state;
    const keys = [...state.candidates].filter((key) => key !== state.key && !state.tombstones.has(key));
    // Among others, who is not met is most likely off: each question may cost a search in the DHT.
    const fanout = state.others === 0 ? JOIN_FANOUT : 1;
    for (let count = 0; count < fanout && keys.length > 0; count++) {
      const at = Math.floor(state.random.next() * keys.length);
      startSync(state, keys.splice(at, 1)[0] as NodeKey);
    }
  }

  #leave(now: Millis): void {
    const state = this.#state;
    state.leaving = true;
    const { current } = state.incarnation;
    state.members.put(state.self(now));
    state.broadcast(state.key, { type: 'left', key: state.key, incarnation: current }, now);
  }

  /**
   * A tick that comes late means that this process did not run: answers may lie unread, and whoever was given time to refute
   * could not be heard. All such times are moved on by as much as it slept.
   */
  #allowForSleep(now: Millis): void {
    const state = this.#state;
    const sleptMs = now - this.#expectedAt;
    if (sleptMs < state.config.lateMs) return;
    state.awareness.worse();
    state.probes.postpone(sleptMs);
    for (const suspicion of state.suspicions.values()) suspicion.postpone(sleptMs);
  }
}
