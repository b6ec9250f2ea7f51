import type { Millis } from '../util/clock.js';
import { Heap } from '../util/heap.js';
import type { Random } from '../util/random.js';

export interface HeartbeatLimits {
  /** The shortest time a node may be silent. */
  ttlMinMs: Millis;
  /** How many heartbeats a second the server wants to hear at most, of all nodes together. */
  perSecondMax: number;
  /** What a node gets on top of its time: a busy network is not a death. */
  graceMs: Millis;
  /** What every node gets when leadership begins: it must first find the new leader. */
  leaderChangeMs: Millis;
}

export const HEARTBEAT_LIMITS: HeartbeatLimits = {
  ttlMinMs: 10_000,
  perSecondMax: 50,
  graceMs: 10_000,
  leaderChangeMs: 300_000,
};

/**
 * The time until the next heartbeat a node must send: grows with the number of nodes so that their sum stays under
 * `perSecondMax`, and carries up to as much again at random so that nodes which started together drift apart.
 */
export function heartbeatTtlMs(options: {
  nodes: number;
  ttlMinMs: Millis;
  perSecondMax: number;
  random: Random;
}): Millis {
  const base = Math.max(options.ttlMinMs, (options.nodes / options.perSecondMax) * 1_000);
  return Math.round(base + base * options.random.next());
}

interface Pulse {
  nodeId: string;
  deadline: Millis;
}

/** Who was heard of, and until when that counts. */
export class Heartbeats {
  readonly #random: Random;
  readonly #limits: HeartbeatLimits;
  readonly #pulses = new Map<string, Pulse>();
  readonly #byDeadline = new Heap<Pulse>((a, b) => a.deadline < b.deadline);

  constructor(options: { random: Random; limits?: Partial<HeartbeatLimits> }) {
    this.#random = options.random;
    this.#limits = { ...HEARTBEAT_LIMITS, ...options.limits };
  }

  /** Leadership began: these nodes are believed alive for now. */
  begin(nodeIds: Iterable<string>, now: Millis): void {
    this.clear();
    for (const nodeId of nodeIds) this.#set(nodeId, now + this.#limits.leaderChangeMs);
  }

  /** This server was asleep (suspended, or its clock jumped): nobody could be heard, so everybody gets time again. */
  slept(now: Millis): void {
    const { ttlMinMs, graceMs } = this.#limits;
    for (const nodeId of [...this.#pulses.keys()]) this.#set(nodeId, now + 2 * ttlMinMs + graceMs);
  }

  /** The node was heard of. Returns the time it has until its next heartbeat. */
  beat(nodeId: string, now: Millis): Millis {
    const { ttlMinMs, perSecondMax, graceMs } = this.#limits;
    const known = this.#pulses.size + (this.#pulses.has(nodeId) ? 0 : 1);
    const ttlMs = heartbeatTtlMs({ nodes: known, ttlMinMs, perSecondMax, random: this.#random });
    this.#set(nodeId, now + ttlMs + graceMs);
    return ttlMs;
  }

  /** The node is gone for good, or known to be down. */
  forget(nodeId: string): void {
    this.#pulses.delete(nodeId);
  }

  /** Takes out the nodes that were silent too long. */
  takeMissed(now: Millis): string[] {
    const missed: string[] = [];
    for (let next = this.#next(); next && next.deadline <= now; next = this.#next()) {
      this.#byDeadline.pop();
      this.#pulses.delete(next.nodeId);
      missed.push(next.nodeId);
    }
    return missed;
  }

  /** When the next node is missed, should it stay silent. */
  dueMs(): Millis | undefined {
    return this.#next()?.deadline;
  }

  /** How many nodes are believed alive. */
  get size(): number {
    return this.#pulses.size;
  }

  clear(): void {
    this.#pulses.clear();
    this.#byDeadline.clear();
  }

  #set(nodeId: string, deadline: Millis): void {
    const pulse = { nodeId, deadline };
    this.#pulses.set(nodeId, pulse);
    this.#byDeadline.push(pulse);
  }

  /** The earliest pulse that still counts; older ones of the same node are dropped on the way. */
  #next(): Pulse | undefined {
    for (;;) {
      const next = this.#byDeadline.peek();
      if (!next || this.#pulses.get(next.nodeId) === next) return next;
      this.#byDeadline.pop();
    }
  }
}
