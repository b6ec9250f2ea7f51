import { FIRST_EPOCH, type Instance, type InstanceStore } from '../storage/index.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import { newInstance } from './consensus-stores.js';

/** Whether the group may count on this server's data:
 *
 *     stranger ──the leader admits it──▶ admitted ──others know newer data of this server──▶ stranger
 */
export class OwnLife {
  readonly #store: InstanceStore;
  readonly #random: Random;
  readonly #log: Log;
  #now: Instance;
  #admitting = false;

  constructor(parts: { store: InstanceStore; life: Instance; random: Random; log: Log }) {
    this.#store = parts.store;
    this.#random = parts.random;
    this.#log = parts.log;
    this.#now = parts.life;
  }

  get now(): Instance {
    return this.#now;
  }

  /** Where the numbers of this life's questions to a leader begin: others than those of its former lives, with a billion for each. */
  get questionsFrom(): number {
    const { instance, starts } = this.#now;
    return (Number.parseInt(instance.slice(0, 3), 16) * 1024 + (starts % 1024)) * 2 ** 30;
  }

  /** The group began anew with this data, or this data in a group that had begun anew, and it was not opened again since. */
  get isOfRecovery(): boolean {
    return this.#now.epoch > FIRST_EPOCH && this.#now.starts === 1;
  }

  /**
   * The leader admits the data as it is. Takes effect, and calls `begin`, once that is durable and nothing is under way here
   * any more: nothing may be promised before.
   */
  async admit(epoch: number, idle: () => Promise<void>, begin: () => void): Promise<void> {
    if (this.#admitting || this.#now.admitted) return;
    this.#admitting = true;
    const life = { ...this.#now, admitted: true, epoch };
    try {
      await this.#store.save(life);
      await idle();
      this.#now = life;
      begin();
      this.#log.info('the leader has admitted this server');
    } catch (error) {
      // The leader goes on saying so.
      this.#log.warn('the admission could not be noted', { error: (error as Error).message });
    } finally {
      this.#admitting = false;
    }
  }

  /** What is here is a copy of older data: what the newer has promised is not known. Takes effect at once. */
  async forsake(): Promise<void> {
    this.#log.warn('others know newer data of this server: it takes part again once the leader has admitted it anew');
    this.#now = { ...this.#now, instance: newInstance(this.#random), starts: 1, admitted: false };
    try {
      await this.#store.save(this.#now);
    } catch (error) {
      this.#log.warn('the new instance could not be noted', { error: (error as Error).message });
    }
  }

  /** The group was recovered without this data. Takes effect at once; it is put aside at the next start. */
  async abandon(epoch: number): Promise<void> {
    this.#now = { ...this.#now, admitted: false, abandoned: true };
    this.#log.error(
      'the other servers were recovered without this one: what it holds is put aside when it is started again, and it begins anew',
      { epoch, own_epoch: this.#now.epoch },
    );
    try {
      await this.#store.save(this.#now);
    } catch (error) {
      this.#log.warn('that could not be noted', { error: (error as Error).message });
    }
  }

  /** This data alone is the group from now on: whatever others hold is of an epoch that is over. */
  async recover(): Promise<void> {
    const life = {
      ...this.#now,
      instance: newInstance(this.#random),
      starts: 1,
      admitted: true,
      abandoned: false,
      epoch: this.#now.epoch + 1,
    };
    await this.#store.save(life);
    this.#now = life;
  }
}
