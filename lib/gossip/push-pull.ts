import type { NodeKey } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';
import { applyAlive, applyDead, applyLeft, applySuspect } from './claims.js';
import { bucketAmong } from './member-list.js';
import { BUCKETS_MAX, encodeEntry, encodeMessage, joinPacket } from './message-codec.js';
import type { DigestMessage, StateEntry, StateMessage, TombstoneMessage } from './messages.js';
import type { GossipState } from './state.js';

// Two members compare all they know, so that whatever gossip lost is found: the one sends a hash of each bucket of keys, the
// other answers with its view of the buckets that differ and asks for the first one's view of the same. When nothing differs,
// which is nearly always, it costs one packet; memberlist sends everything each time.

/** About so many members share a bucket. */
const BUCKET_MEMBERS = 4;
/** What `state` says of itself before its entries, at most. */
const STATE_HEAD_BYTES = 8 + BUCKETS_MAX;

/** A power of two that leaves a handful of members in each bucket. */
export function bucketCount(members: number): number {
  const wanted = Math.ceil(members / BUCKET_MEMBERS);
  return Math.min(BUCKETS_MAX, 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(1, wanted)))));
}

/** Compares with a random member when it is time to, less and less often as long as nothing differs. */
export function tickSync(state: GossipState, now: Millis): void {
  if (now < state.syncAt) return;
  state.syncAt = now + state.jitter(state.syncIntervalMs);
  state.syncIntervalMs = Math.min(state.config.syncIntervalMs, 2 * state.syncIntervalMs);
  for (const { key } of state.members.pick(1, (record) => record.state === 'alive')) startSync(state, key);
}

/** This one knew what had not been heard here: there may be more of it, and others who have not heard it either. */
function syncSoon(state: GossipState, now: Millis): void {
  state.syncIntervalMs = state.config.syncIntervalMinMs;
  state.syncAt = Math.min(state.syncAt, now + state.jitter(state.syncIntervalMs));
}

/** Begins an exchange. One that may not know of this member hears of it at once, and can pass it on meanwhile. */
export function startSync(state: GossipState, to: NodeKey): void {
  const digest: DigestMessage = { type: 'digest', hashes: state.members.digest(bucketCount(state.members.present)) };
  state.send(to, state.members.get(to) || state.leaving ? [digest] : [digest, state.ownAlive()]);
}

export function stepDigest(state: GossipState, from: NodeKey, { hashes }: DigestMessage, now: Millis): void {
  const own = state.members.digest(hashes.length);
  const differing = hashes.flatMap((hash, bucket) => (hash === own[bucket] ? [] : [bucket]));
  if (differing.length === 0) return;
  sendView(state, from, { buckets: hashes.length, wanted: differing }, { asks: true, now });
}

export function stepState(state: GossipState, from: NodeKey, message: StateMessage, now: Millis): void {
  const { learned } = state;
  for (const entry of message.entries) merge(state, entry, from, now);
  if (state.learned > learned) syncSoon(state, now);
  if (message.ask !== null) sendView(state, from, message.ask, { asks: false, now });
}

/** Everything known of some buckets, in parts of bounded size; the first one asks for the other's view. */
function sendView(
  state: GossipState,
  to: NodeKey,
  view: { buckets: number; wanted: readonly number[] },
  { asks, now }: { asks: boolean; now: Millis },
): void {
  const wanted = new Set(view.wanted);
  const isWanted = (key: NodeKey): boolean => wanted.has(bucketAmong(key, view.buckets));
  const room = state.config.syncBytesMax - STATE_HEAD_BYTES;
  let part: StateEntry[] = [];
  let bytes = 0;
  let ask: StateMessage['ask'] = asks ? view : null;
  const flush = (): void => {
    if (part.length === 0 && ask === null) return;
    state.emit({ type: 'send', to, data: joinPacket([encodeMessage({ type: 'state', entries: part, ask })]) });
    part = [];
    bytes = 0;
    ask = null;
  };
  for (const { key, state: belief, incarnation, since, info } of state.members.values()) {
    if (!isWanted(key)) continue;
    const entry: StateEntry = { key, state: belief, incarnation, ageMs: Math.max(0, Math.floor(now - since)), info };
    const size = encodeEntry(entry).length;
    if (bytes + size > room) flush();
    part.push(entry);
    bytes += size;
  }
  flush();
  for (const [key, proof] of state.tombstones) {
    if (!isWanted(key)) continue;
    const message = encodeMessage({ type: 'tombstone', key, bytes: proof });
    state.emit({ type: 'send', to, data: joinPacket([message]) });
  }
}

function merge(state: GossipState, entry: StateEntry, from: NodeKey, now: Millis): void {
  const { key, incarnation, info } = entry;
  const isUnknown = key !== state.key && !state.members.get(key);
  if (isUnknown && (entry.state === 'dead' || entry.state === 'left')) {
    remember(state, entry, now);
    return;
  }
  switch (entry.state) {
    case 'alive':
      applyAlive(state, { type: 'alive', key, incarnation, info }, from, now);
      return;
    case 'suspect':
      applyAlive(state, { type: 'alive', key, incarnation, info }, from, now);
      accuse(state, entry, from, now);
      return;
    case 'dead':
      // It may have refuted what the other side has not heard: it gets the time to do so here. Only of itself death is
      // believed, to be refuted.
      if (key === state.key) applyDead(state, { type: 'dead', key, incarnation }, now, from);
      else accuse(state, entry, from, now);
      return;
    case 'left':
      applyLeft(state, { type: 'left', key, incarnation }, now, from);
      return;
  }
}

/** What the other side heard from somebody is no accusation of its own: it begins a suspicion here, and confirms none. */
function accuse(state: GossipState, { key, incarnation }: StateEntry, from: NodeKey, now: Millis): void {
  if (state.members.get(key)?.state === 'suspect') return;
  applySuspect(state, { type: 'suspect', key, incarnation, by: from }, now, from);
}

/** One that died or left before this member came, or was forgotten here: shown in lists until it is forgotten everywhere. */
function remember(state: GossipState, entry: StateEntry, now: Millis): void {
  const { key, incarnation, info, ageMs } = entry;
  if (ageMs >= state.config.forgetMs || state.tombstones.has(key) || state.members.isFull) return;
  const record = { key, state: entry.state, incarnation, info, since: now - ageMs };
  state.members.put(record);
  state.emit({ type: 'member', record, before: null });
}

/** A tombstone that the shell found genuine: the member is out, and everybody shall know. False when it was known. */
export function buryMember(state: GossipState, { key, bytes }: TombstoneMessage, now: Millis): boolean {
  if (state.tombstones.has(key)) return false;
  const record = state.members.get(key);
  state.tombstones.set(key, bytes);
  state.members.mark(key, 1);
  if (key !== state.key) {
    state.forget(key);
    if (record) state.emit({ type: 'forgotten', record });
  }
  state.broadcast(`tombstone/${key}`, { type: 'tombstone', key, bytes }, now);
  return true;
}

/** The tombstone does not count after all: whoever signed it had no right to. */
export function exhumeMember(state: GossipState, key: NodeKey): void {
  if (!state.tombstones.delete(key)) return;
  state.members.mark(key, -1);
  state.withdraw(`tombstone/${key}`);
}
