import type { GossipConfig, GossipEffect, MemberRecord } from '../../lib/gossip/index.js';
import { Gossip } from '../../lib/gossip/index.js';
import { decodePacket, encodeMessage, joinPacket } from '../../lib/gossip/message-codec.js';
import type { GossipMessage } from '../../lib/gossip/messages.js';
import { seededRandom } from '../../lib/util/random.js';
import { infoOf } from '../simulation/gossip/world.js';

export const keyOf = (index: number): string => (index + 1).toString(16).padStart(8, '0').repeat(8);

/** What one machine said to whom. */
export interface Said {
  to: number;
  message: GossipMessage;
}

/** One machine with the number 0, its time and its ears in the hands of a test; the others are numbers. */
export class Solo {
  readonly gossip: Gossip;
  readonly effects: GossipEffect[] = [];
  now = 0;
  #said: Said[] = [];

  /** `others`: how many members it knows, alive with incarnation 1. */
  constructor(others: number, options: { incarnation?: number; config?: Partial<GossipConfig> } = {}) {
    this.gossip = new Gossip({
      key: keyOf(0),
      info: infoOf(0),
      incarnation: options.incarnation ?? 0,
      random: seededRandom(7),
      known: Array.from({ length: others }, (_, at) => aliveRecord(at + 1)),
      config: options.config ?? {},
      now: 0,
    });
    this.#collect();
  }

  /** It hears this from a member. */
  hear(from: number, ...messages: GossipMessage[]): void {
    const data = joinPacket(messages.map(encodeMessage));
    this.gossip.step({ type: 'datagram', from: keyOf(from), data }, this.now);
    this.#collect();
  }

  do(event: Parameters<Gossip['step']>[0]): void {
    this.gossip.step(event, this.now);
    this.#collect();
  }

  /** Lets time pass; `each` answers what is said meanwhile, as a network of well-behaved members would. */
  pass(ms: number, each: (said: Said) => void = () => {}): void {
    const end = this.now + ms;
    for (let due = this.gossip.dueAt(this.now); due <= end; due = this.gossip.dueAt(this.now)) {
      this.now = Math.max(this.now, due);
      this.gossip.tick(this.now);
      const before = this.#said.length;
      this.#collect();
      for (const said of this.#said.slice(before)) each(said);
    }
    this.now = end;
  }

  /** The process does not run for so long. */
  sleep(ms: number): void {
    this.gossip.dueAt(this.now);
    this.now += ms;
    this.gossip.tick(this.now);
    this.#collect();
  }

  /** What was said since the last call, in order. */
  said(): Said[] {
    const said = this.#said;
    this.#said = [];
    return said;
  }

  /** The messages of one type among them. */
  saidOf<T extends GossipMessage['type']>(type: T): { to: number; message: Extract<GossipMessage, { type: T }> }[] {
    return this.said().filter((said) => said.message.type === type) as never;
  }

  state(index: number): MemberRecord['state'] | undefined {
    return this.gossip.member(keyOf(index))?.state;
  }

  #collect(): void {
    for (const effect of this.gossip.ready()) {
      this.effects.push(effect);
      if (effect.type !== 'send') continue;
      const messages = decodePacket(effect.data);
      if (!messages.ok) throw new Error(`a packet that nobody can read: ${messages.error}`);
      const to = Number.parseInt(effect.to.slice(0, 8), 16) - 1;
      for (const message of messages.value) this.#said.push({ to, message });
    }
  }
}

export function aliveRecord(index: number, incarnation = 1): MemberRecord {
  return { key: keyOf(index), state: 'alive', incarnation, info: infoOf(index), since: 0 };
}

export const alive = (index: number, incarnation: number): GossipMessage => ({
  type: 'alive',
  key: keyOf(index),
  incarnation,
  info: infoOf(index),
});
export const suspect = (index: number, incarnation: number, by: number): GossipMessage => ({
  type: 'suspect',
  key: keyOf(index),
  incarnation,
  by: keyOf(by),
});
export const dead = (index: number, incarnation: number): GossipMessage => ({
  type: 'dead',
  key: keyOf(index),
  incarnation,
});
