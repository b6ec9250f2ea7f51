import { assert } from '../util/assert.js';
import type { Result } from '../util/result.js';
import { err, ok } from '../util/result.js';

/** Who takes part. A voter counts towards quorum; a learner receives the log and nothing more. Ids are node keys, never addresses. */
export interface Membership {
  readonly voters: readonly string[];
  readonly learners: readonly string[];
}

export const NO_MEMBERS: Membership = { voters: [], learners: [] };

/** One step. Any two majorities before and after one step overlap, so no joint phase is needed (thesis §4.1). */
export type MembershipChange =
  | { readonly type: 'addVoter'; readonly id: string }
  | { readonly type: 'addLearner'; readonly id: string }
  | { readonly type: 'remove'; readonly id: string };

/** The membership after a change, or why it makes no sense. Adding a learner as voter promotes it; the reverse demotes. */
export function changeMembership(now: Membership, change: MembershipChange): Result<Membership, string> {
  const { id } = change;
  const votes = now.voters.includes(id);
  const learns = now.learners.includes(id);
  if (change.type === 'addVoter' && votes) return err(`${id} is a voter already`);
  if (change.type === 'addLearner' && learns) return err(`${id} is a learner already`);
  if (change.type === 'remove' && !votes && !learns) return err(`${id} is no member`);
  const voters = now.voters.filter((voter) => voter !== id);
  const learners = now.learners.filter((learner) => learner !== id);
  if (change.type === 'addVoter') voters.push(id);
  if (change.type === 'addLearner') learners.push(id);
  if (voters.length === 0) return err(`${id} is the only voter: without it nothing could ever be decided`);
  return ok({ voters, learners });
}

/** Payload of a config entry: the whole membership, so that one entry alone tells who takes part. */
export function encodeMembership(membership: Membership): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ v: 1, voters: membership.voters, learners: membership.learners }));
}

/** Reads the payload of a config entry that another server sent. */
export function parseMembership(data: Uint8Array): Result<Membership, string> {
  try {
    const { v, voters, learners } = JSON.parse(new TextDecoder().decode(data)) ?? {};
    if (v !== 1) return err(`membership of unknown version ${v}`);
    if (isIds(voters) && isIds(learners)) return ok({ voters, learners });
  } catch {
    // Said below.
  }
  return err('a membership that cannot be read');
}

function isIds(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((id) => typeof id === 'string');
}

/** Reads a config entry of this server's own log or of its leader: a damaged one is a bug, for the log is checksummed. */
export function decodeMembership(data: Uint8Array): Membership {
  const parsed = parseMembership(data);
  assert(parsed.ok, 'membership: what is in the log can be read');
  return parsed.value;
}

/** The memberships that the log holds. The newest counts as soon as it is in the log, committed or not (thesis §4.1). */
export class MembershipHistory {
  #steps: { index: number; membership: Membership }[];

  /** Starts from the membership of the newest snapshot (index 0 and nobody on an empty log). */
  constructor(base: { index: number; membership: Membership }) {
    this.#steps = [base];
  }

  get latest(): Membership {
    return this.#newest.membership;
  }

  /** Index of the entry that the latest membership comes from. */
  get latestIndex(): number {
    return this.#newest.index;
  }

  get #newest(): { index: number; membership: Membership } {
    const newest = this.#steps.at(-1);
    assert(newest !== undefined, 'membership: a base always remains');
    return newest;
  }

  append(index: number, membership: Membership): void {
    assert(index > this.latestIndex, 'membership: entries come in order');
    this.#steps.push({ index, membership });
  }

  /** The log lost its entries from `index` on: an earlier membership is in force again. */
  truncateFrom(index: number): void {
    while (this.#steps.length > 1 && this.latestIndex >= index) this.#steps.pop();
  }

  /** A snapshot replaced the log. */
  reset(base: { index: number; membership: Membership }): void {
    this.#steps = [base];
  }

  /** Membership in force at an index: what a snapshot taken there must carry. */
  at(index: number): Membership {
    for (let i = this.#steps.length - 1; i > 0; i--) {
      const step = this.#steps[i];
      if (step !== undefined && step.index <= index) return step.membership;
    }
    return this.#steps[0]?.membership ?? NO_MEMBERS;
  }

  /** Everything up to `index` is in a snapshot: what stood before it is not asked for again. */
  compact(index: number): void {
    const keep = this.#steps.findLastIndex((step) => step.index <= index);
    if (keep > 0) this.#steps = this.#steps.slice(keep);
  }
}
