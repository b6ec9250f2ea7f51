import { MeshError } from '../../../lib/structs/errors.js';

/** What a leader may answer, and a disk: anything else is a defect. */
const EXPECTED = new Set(['E_NO_LEADER', 'E_STORAGE', 'E_TIMEOUT', 'E_CONFLICT', 'E_BAD_REQUEST', 'E_TOO_MANY']);

/** Watches over what must hold at every moment; throws at the first breach, which ends the seed. */
export class Watch {
  /** How often something happened: a simulation in which nothing happens proves nothing. */
  readonly seen = {
    elections: 0,
    packets: 0,
    applied: 0,
    writes: 0,
    reads: 0,
    crashes: 0,
    changes: 0,
    transfers: 0,
    refusals: 0,
    losses: 0,
    installs: 0,
  };
  /** The first breach: some happen where nobody catches. */
  breach: Error | null = null;
  readonly #leaders = new Map<number, string>();
  readonly #votes = new Map<string, string>();
  readonly #forgetful = new Set<string>();
  readonly #hashes = new Map<number, number>();
  readonly #acknowledged: { index: number; term: number }[] = [];
  /** Everything up to here has been seen by a client: a later read sees it too. */
  floor = 0;

  #fail(what: string): never {
    this.breach ??= new Error(what);
    throw this.breach;
  }

  /** Equal state at equal index; what was committed once is never replaced. */
  applied(id: string, index: number, hash: number): void {
    this.seen.applied++;
    const known = this.#hashes.get(index);
    if (known === undefined) this.#hashes.set(index, hash);
    else if (known !== hash) this.#fail(`state machine safety: ${id} has another state at ${index}`);
  }

  /** One leader a term, and it has everything that was acknowledged before. */
  leads(id: string, term: number, applied: number): void {
    const known = this.#leaders.get(term);
    if (known !== undefined && known !== id) this.#fail(`election safety: ${known} and ${id} lead term ${term}`);
    if (known === undefined) this.seen.elections++;
    this.#leaders.set(term, id);
    const lost = this.#acknowledged.find((one) => one.term <= term && one.index > applied);
    if (lost !== undefined) this.#fail(`leader completeness: ${id} leads term ${term} without ${lost.index}`);
  }

  voted(vote: { voter: string; term: number; candidate: string; kept: { term: number; vote: string } }): void {
    const { voter, term, candidate, kept } = vote;
    const key = `${voter}/${term}`;
    const before = this.#votes.get(key) ?? candidate;
    this.#votes.set(key, candidate);
    if (before !== candidate && !this.#forgetful.has(voter))
      this.#fail(`${voter} votes for ${before} and for ${candidate} in term ${term}`);
    const isDurable = kept.term > term || (kept.term === term && kept.vote === candidate);
    if (!isDurable)
      this.#fail(`${voter} votes for ${candidate} in term ${term}, on its disk is ${JSON.stringify(kept)}`);
  }

  /** A server's data is gone or old: what it does not remember it may promise anew, once it is let in again. */
  forgot(id: string): void {
    this.seen.losses++;
    this.#forgetful.add(id);
  }

  acknowledged(write: { index: number; term: number; value: string; result: unknown }): void {
    const { index, term, value, result } = write;
    this.seen.writes++;
    if (result !== value) this.#fail(`the write of ${value} is answered with ${result}`);
    this.#acknowledged.push({ index, term });
    this.floor = Math.max(this.floor, index);
  }

  read(id: string, read: { floor: number; index: number }): void {
    this.seen.reads++;
    if (read.index < read.floor) this.#fail(`stale read: ${id} answers at ${read.index}, ${read.floor} had been seen`);
    this.floor = Math.max(this.floor, read.index);
  }

  /** A refusal is an answer; a defect is not. */
  expected(error: unknown): void {
    this.seen.refusals++;
    if (error instanceof MeshError && EXPECTED.has(error.code)) return;
    this.breach ??= error as Error;
  }

  /** A disk that fails now may be well at the next attempt; one on which something is missing will not. */
  refusedToStart(id: string, error: MeshError): void {
    if (/\(EIO\)/.test(error.message)) return;
    this.breach ??= new Error(`${id} does not start: ${error.message}`);
  }

  assertSound(): void {
    if (this.breach !== null) throw this.breach;
  }
}
