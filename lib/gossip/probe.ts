import type { NodeKey } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';
import { failedProbePenalty } from './awareness.js';
import { accusationOf, applySuspect } from './claims.js';
import type { GossipConfig } from './config.js';
import { isPresent } from './member.js';
import type { GossipMessage, PingRequestMessage } from './messages.js';
import type { Errand, Probe } from './probe-table.js';
import type { GossipState } from './state.js';

/** The parts of the wait that a helper has before it says that it heard nothing: the rest is for its answer's way back. */
const HELPER_SHARE = 0.6;
/** Round trips that an answer may take before the way counts as blocked. */
const RTT_FACTOR = 3;
const RTT_UNIT_MAX_MS = 65_535;

/** Members of a mesh in which each probes at the base rate. */
const MEMBERS_SMALL = 32;

/**
 * Between two probes by one member. Many members mean many probers of each, and most datagrams of a large mesh pass through
 * its few servers: so each tenfold adds as much again.
 */
export function probeIntervalMs(options: { members: number; baseMs: Millis }): Millis {
  return options.baseMs * (1 + Math.max(0, Math.log10(options.members / MEMBERS_SMALL)));
}

/**
 * How long a direct answer may take, and how long any answer: a far member gets more of both, and whoever is not well itself
 * (factor above 1) waits that much longer before it accuses.
 */
export function probeTimesMs(options: { rttMs: Millis | null; factor: number; config: GossipConfig }): {
  directMs: Millis;
  deadlineMs: Millis;
} {
  const { rttMs, factor, config } = options;
  const directMs = Math.min(config.probeTimeoutMaxMs, Math.max(config.probeTimeoutMs, RTT_FACTOR * (rttMs ?? 0)));
  // By way of a helper it takes at least one more round trip.
  const deadlineMs = Math.max(config.probeDeadlineMs, 2.5 * directMs) * factor;
  return { directMs, deadlineMs };
}

/** Asks one member whether it is there, unless it is being asked already. */
export function startProbe(state: GossipState, key: NodeKey, now: Millis): void {
  if (state.probes.of(key)) return;
  const { directMs, deadlineMs } = probeTimesMs({
    rttMs: state.rttMs(key),
    factor: state.awareness.factor,
    config: state.config,
  });
  const seq = state.probes.nextSeq();
  state.probes.add({
    seq,
    key,
    startedAt: now,
    indirectAt: now + directMs,
    deadline: now + deadlineMs,
    asked: null,
    nacked: new Set(),
  });
  sendPing(state, key, seq);
}

/** A suspect hears in the same packet what is held against it, so that it can refute at once (Lifeguard's buddy). */
function sendPing(state: GossipState, key: NodeKey, seq: number): void {
  const messages: GossipMessage[] = [{ type: 'ping', seq }];
  const known = state.members.get(key);
  const accusation = known ? accusationOf(state, known) : undefined;
  if (accusation) messages.push(accusation);
  state.send(key, messages);
}

/** All that has become due of probes and errands. */
export function tickProbes(state: GossipState, now: Millis): void {
  for (const probe of [...state.probes.probes()]) {
    if (now >= probe.deadline) failProbe(state, probe, now);
    else if (probe.asked === null && now >= probe.indirectAt) askOthers(state, probe, now);
  }
  for (const errand of [...state.probes.errands()]) {
    if (now >= errand.endsAt) state.probes.takeErrand(errand.seq);
    else if (!errand.nacked && now >= errand.nackAt) nack(state, errand);
  }
}

function askOthers(state: GossipState, probe: Probe, now: Millis): void {
  const helpers = state.members.pick(
    state.config.indirectProbes,
    (record) => record.state === 'alive' && record.key !== probe.key,
  );
  probe.asked = new Set(helpers.map(({ key }) => key));
  const waitMs = Math.min(RTT_UNIT_MAX_MS, Math.floor((probe.deadline - now) * HELPER_SHARE));
  for (const key of probe.asked) state.send(key, [{ type: 'pingRequest', seq: probe.seq, target: probe.key, waitMs }]);
  // The first datagram may just have been lost.
  sendPing(state, probe.key, probe.seq);
}

function nack(state: GossipState, errand: Errand): void {
  errand.nacked = true;
  state.send(errand.origin, [{ type: 'nack', seq: errand.originSeq }]);
}

function failProbe(state: GossipState, probe: Probe, now: Millis): void {
  state.probes.end(probe);
  state.awareness.worse(failedProbePenalty({ asked: probe.asked?.size ?? 0, answered: probe.nacked.size }));
  const known = state.members.get(probe.key);
  if (!known || !isPresent(known)) return;
  if (!state.isolation.isTelling(probe.key, { since: probe.startedAt, others: state.others })) {
    if (state.isolation.hold(probe.key, state.others)) state.emit({ type: 'isolated', isolated: true });
    return;
  }
  applySuspect(state, { type: 'suspect', key: probe.key, incarnation: known.incarnation, by: state.key }, now);
}

export function stepPing(state: GossipState, from: NodeKey, seq: number): void {
  state.send(from, [{ type: 'ack', seq }]);
}

export function stepPingRequest(state: GossipState, from: NodeKey, message: PingRequestMessage, now: Millis): void {
  const { target, waitMs, seq } = message;
  if (target === state.key || state.tombstones.has(target)) return;
  const errand: Errand = {
    seq: state.probes.nextSeq(),
    target,
    origin: from,
    originSeq: seq,
    nackAt: now + waitMs,
    nacked: false,
    endsAt: now + waitMs / HELPER_SHARE,
  };
  if (state.probes.addErrand(errand)) sendPing(state, target, errand.seq);
}

/** An answer: to an own probe, directly or by way of a helper, or to one made for another. */
export function stepAck(state: GossipState, from: NodeKey, seq: number, now: Millis): void {
  const probe = state.probes.get(seq);
  if (probe && (from === probe.key || probe.asked?.has(from))) {
    if (from === probe.key && probe.asked === null) state.noteRtt(from, now - probe.startedAt);
    endWell(state, probe);
    return;
  }
  const errand = state.probes.takeErrand(seq);
  if (errand?.target === from) state.send(errand.origin, [{ type: 'ack', seq: errand.originSeq }]);
}

export function stepNack(state: GossipState, from: NodeKey, seq: number): void {
  const probe = state.probes.get(seq);
  if (probe?.asked?.has(from)) probe.nacked.add(from);
}

/** Whatever a member sends shows that it is there. */
export function proveAlive(state: GossipState, from: NodeKey): void {
  const probe = state.probes.of(from);
  if (probe?.asked) endWell(state, probe);
}

function endWell(state: GossipState, probe: Probe): void {
  state.probes.end(probe);
  state.awareness.better();
}
