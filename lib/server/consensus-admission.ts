import type { Life } from './raft-packet.js';

/**
 * Whose data this leader takes into the group. Data that is new, restored or copied takes part in nothing before the leader
 * has put its server out of the group and in again: a vote that its former data gave, or an entry that it had, is then
 * counted on by nobody. (Whatever majority decided on the removal overlaps every majority of before without that server.)
 */
export class Admissions {
  readonly #known = new Map<string, Life | 'anyData'>();

  /** The server was no member, and becomes one now: with whatever data it turns up first. */
  expect(id: string): void {
    if (!this.#known.has(id)) this.#known.set(id, 'anyData');
  }

  /** A server says that its data is not admitted. Returns false when it must leave the group first. */
  meet(id: string, life: Life, isMember: boolean): boolean {
    const known = this.#known.get(id);
    if (!isMember || known === 'anyData') this.#known.set(id, life);
    else return known?.instance === life.instance;
    return true;
  }

  /** It leaves the group because of this data; when it comes back, it may be with it. */
  replaced(id: string, life: Life): void {
    this.#known.set(id, life);
  }

  isAdmitted(id: string, life: Life): boolean {
    const known = this.#known.get(id);
    return known !== undefined && known !== 'anyData' && known.instance === life.instance;
  }

  /** This server leads no more: the next leader makes its own acquaintances. */
  clear(): void {
    this.#known.clear();
  }
}
