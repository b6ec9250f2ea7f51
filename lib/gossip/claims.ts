import type { NodeKey } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';
import type { MemberRecord } from './member.js';
import { isPresent } from './member.js';
import { encodeInfo } from './member-codec.js';
import { overrides } from './member-list.js';
import type { AliveMessage, DeadMessage, GossipMessage, LeftMessage, SuspectMessage } from './messages.js';
import type { GossipState } from './state.js';
import { accusersNeeded, Suspicion, suspicionBoundsMs, suspicionTimeoutMs } from './suspicion.js';

// What is said of members, and who wins. Whatever changes a belief here is passed on.

/** What is held against a member, in the words in which it must hear of it; undefined when nothing is. */
export function accusationOf(state: GossipState, record: MemberRecord): GossipMessage | undefined {
  const { key, incarnation } = record;
  switch (record.state) {
    case 'alive':
      return undefined;
    case 'suspect':
      return { type: 'suspect', key, incarnation, by: state.suspicions.get(key)?.first ?? state.key };
    case 'dead':
      return { type: 'dead', key, incarnation };
    case 'left':
      return { type: 'left', key, incarnation };
  }
}

function believe(state: GossipState, record: MemberRecord, news: GossipMessage, now: Millis): void {
  const before = state.members.get(record.key) ?? null;
  state.members.put(record);
  state.emit({ type: 'member', record, before });
  for (const accuser of state.suspicions.get(record.key)?.accusers ?? []) state.withdraw(`${record.key}/${accuser}`);
  if (record.state !== 'suspect') state.suspicions.delete(record.key);
  state.broadcast(subjectOf(news, record.key), news, now);
}

/** Accusations by different members stand side by side: that they are several is what counts. */
function subjectOf(news: GossipMessage, key: NodeKey): string {
  return news.type === 'suspect' ? `${key}/${news.by}` : key;
}

/** A member, or somebody for it, says that it is alive. */
export function applyAlive(state: GossipState, news: AliveMessage, from: NodeKey, now: Millis): void {
  const { key, incarnation, info } = news;
  if (state.tombstones.has(key)) return;
  if (key === state.key) {
    answerAliveOfSelf(state, news, now);
    return;
  }
  const known = state.members.get(key);
  if (!known && state.members.isFull) return;
  if (known && !overrides({ state: 'alive', incarnation }, known)) {
    if (from === key) answerStale(state, known, incarnation, now);
    return;
  }
  if (known && known.state !== 'alive' && known.state !== 'left') state.noteUnsteady(key, now);
  const since = known?.state === 'alive' ? known.since : now;
  state.candidates.delete(key);
  believe(state, { key, state: 'alive', incarnation, info, since }, news, now);
}

/**
 * A member says of itself what is long out of date: it lost its count, or is believed dead and does not know it. Dropped in
 * silence it would stay dead for ever; told what is known here, it goes beyond that.
 */
function answerStale(state: GossipState, known: MemberRecord, incarnation: number, now: Millis): void {
  if (known.state === 'alive' && known.incarnation === incarnation) return;
  if (!state.mayTell(known.key, now)) return;
  const { key, info } = known;
  const belief = accusationOf(state, known) ?? { type: 'alive', key, incarnation: known.incarnation, info };
  state.send(key, [belief]);
}

/** Somebody has another idea of this member than itself: from a run that forgot its count, or a copy of its disk. */
function answerAliveOfSelf(state: GossipState, news: AliveMessage, now: Millis): void {
  const { current } = state.incarnation;
  if (news.incarnation < current) return;
  if (news.incarnation === current && isSameInfo(news, state.ownAlive())) return;
  renewSelf(state, news.incarnation, now);
}

function isSameInfo(a: AliveMessage, b: AliveMessage): boolean {
  const left = encodeInfo(a.info);
  const right = encodeInfo(b.info);
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}

/** Says anew what this member is, so that it wins over whatever was said of it up to `beyond`. */
export function renewSelf(state: GossipState, beyond: number, now: Millis): void {
  if (state.incarnation.passBeyond(beyond)) {
    state.emit({ type: 'reserve', incarnation: state.incarnation.reserved });
  }
  state.members.put(state.self(now));
  state.broadcast(state.key, state.ownAlive(), now);
}

/** Somebody holds something against this member: it refutes, and wonders about itself. */
function refute(state: GossipState, accusation: { incarnation: number }, from: NodeKey, now: Millis): void {
  if (state.leaving) return;
  if (accusation.incarnation < state.incarnation.current) {
    // Refuted already, but this one did not hear of it.
    if (state.members.get(from) && state.mayTell(from, now)) state.send(from, [state.ownAlive()]);
    return;
  }
  state.awareness.worse();
  renewSelf(state, accusation.incarnation, now);
}

/** `from` is this member itself when it found the silence. */
export function applySuspect(state: GossipState, news: SuspectMessage, now: Millis, from = state.key): void {
  const { key, incarnation, by } = news;
  if (key === state.key) {
    refute(state, news, from, now);
    return;
  }
  const known = state.members.get(key);
  if (!known) return;
  const suspicion = state.suspicions.get(key);
  if (known.state === 'suspect' && suspicion?.incarnation === incarnation) {
    if (suspicion.confirm(by)) state.broadcast(subjectOf(news, key), news, now);
    return;
  }
  if (!overrides({ state: 'suspect', incarnation }, known)) return;
  believe(state, { ...known, state: 'suspect', incarnation, since: now }, news, now);
  state.suspicions.set(key, new Suspicion({ incarnation, by, now }));
  if (by !== state.key) verify(state, key);
}

/** Some of those who hear a suspicion look for themselves: the suspect hears of it, or the accuser is confirmed. */
function verify(state: GossipState, key: NodeKey): void {
  const share = state.config.verifiers / Math.max(1, state.others - 1);
  if (state.random.next() < share) state.outOfTurn.add(key);
}

export function applyDead(state: GossipState, news: DeadMessage, now: Millis, from = state.key): void {
  const { key, incarnation } = news;
  if (key === state.key) {
    refute(state, news, from, now);
    return;
  }
  const known = state.members.get(key);
  if (!known || !overrides({ state: 'dead', incarnation }, known)) return;
  believe(state, { ...known, state: 'dead', incarnation, since: now }, news, now);
}

/** It said good-bye, or its predecessor of an earlier run did. */
export function applyLeft(state: GossipState, news: LeftMessage, now: Millis, from = state.key): void {
  const { key, incarnation } = news;
  if (key === state.key) {
    refute(state, news, from, now);
    return;
  }
  const known = state.members.get(key);
  if (!known || !overrides({ state: 'left', incarnation }, known)) return;
  believe(state, { ...known, state: 'left', incarnation, since: now }, news, now);
}

/** When the time of a suspicion is over, as things stand. */
function endOf(state: GossipState, key: NodeKey, suspicion: Suspicion, now: Millis): Millis {
  const { suspicionMinMs, suspicionMaxFactor } = state.config;
  const { minMs, maxMs } = suspicionBoundsMs({
    members: state.members.present,
    unsteady: state.unsteadiness(key, now),
    baseMs: suspicionMinMs,
    maxFactor: suspicionMaxFactor,
  });
  const needed = accusersNeeded(state.members.present - 1);
  return suspicion.since + suspicionTimeoutMs({ accusers: suspicion.accusers.size, needed, minMs, maxMs });
}

/** Whether a suspicion may end in death: not on the word of one who hears nobody. */
function mayEnd(state: GossipState, key: NodeKey, suspicion: Suspicion): boolean {
  return state.isolation.isTelling(key, { since: suspicion.since, others: state.others });
}

/** Suspects who had their time. */
export function tickSuspicions(state: GossipState, now: Millis): void {
  for (const [key, suspicion] of state.suspicions) {
    if (now < endOf(state, key, suspicion, now) || !mayEnd(state, key, suspicion)) continue;
    applyDead(state, { type: 'dead', key, incarnation: suspicion.incarnation }, now);
  }
}

/** When the next suspicion ends; one that must wait for others to be heard is not waited for. */
export function suspicionsDueAt(state: GossipState, now: Millis): Millis {
  let due = Number.POSITIVE_INFINITY;
  for (const [key, suspicion] of state.suspicions) {
    if (mayEnd(state, key, suspicion)) due = Math.min(due, endOf(state, key, suspicion, now));
  }
  return due;
}

/** Drops what is known of those who have been dead or gone for long. */
export function pruneMembers(state: GossipState, now: Millis): void {
  for (const record of [...state.members.values()]) {
    if (isPresent(record) || record.key === state.key || now - record.since < state.config.forgetMs) continue;
    state.forget(record.key);
    state.emit({ type: 'forgotten', record });
  }
}
