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
  /**
   * How much longer nodes are believed alive while many are silent at once: then this server's network is suspected
   * rather than theirs, and declaring them down would stop work that has nowhere else to run.
   */
  massLossMs: Millis;
  /**
   * What every node gets when a person has made this server the only one: the others are lost for good, and who is there finds this one
   * as it would any other. That this server is the one that is cut off has been ruled out.
   */
  recoveredMs: Millis;
  /** What is left to a node that gossip found dead: less than its time, more than a restart of its agent takes, or a gap in its Wi-Fi. */
  hastenedMs: Millis;
}

/** More silent nodes than this share of all, and at least two, are a mass loss. */
const MASS_SHARE = 1 / 3;

export const HEARTBEAT_LIMITS: HeartbeatLimits = {
  ttlMinMs: 10_000,
  perSecondMax: 50,
  graceMs: 10_000,
  leaderChangeMs: 300_000,
  massLossMs: 60_000,
  recoveredMs: 60_000,
  hastenedMs: 10_000,
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
  /** What the deadline was before gossip found it dead; the deadline itself when it did not. */
  granted: Millis;
  /** When it was missed first, but spared because many were; 0 = it was not. */
  sparedMs: Millis;
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
  begin(nodeIds: Iterable<string>, now: Millis, after: 'election' | 'recovery' = 'election'): void {
    this.clear();
    const { leaderChangeMs, recoveredMs, massLossMs } = this.#limits;
    if (after === 'election') for (const nodeId of nodeIds) this.#set(nodeId, now + leaderChangeMs);
    // As those who were spared already.
    else for (const nodeId of nodeIds) this.#set(nodeId, now + Math.min(recoveredMs, leaderChangeMs), now - massLossMs);
  }

  /** This server was asleep (suspended, or its clock jumped): nobody could be heard, so everybody gets time again. */
  slept(now: Millis): void {
    for (const nodeId of [...this.#pulses.keys()]) this.doubt(nodeId, now);
  }

  /** It gets the time in which a node that is there is heard, and no more. */
  doubt(nodeId: string, now: Millis): void {
    const { ttlMinMs, graceMs } = this.#limits;
    if (this.#pulses.has(nodeId)) this.#set(nodeId, now + 2 * ttlMinMs + graceMs);
  }

  /** The node was heard of. Returns the time it has until its next heartbeat, `ttlMaxMs` at most. */
  beat(nodeId: string, now: Millis, ttlMaxMs = Number.POSITIVE_INFINITY): Millis {
    const { ttlMinMs, perSecondMax, graceMs } = this.#limits;
    const known = this.#pulses.size + (this.#pulses.has(nodeId) ? 0 : 1);
    const fair = heartbeatTtlMs({ nodes: known, ttlMinMs, perSecondMax, random: this.#random });
    const ttlMs = Math.min(fair, Math.max(ttlMaxMs, ttlMinMs));
    this.#set(nodeId, now + ttlMs + graceMs);
    return ttlMs;
  }

  /** Gossip found it dead: it has to be heard of soon. */
  hasten(nodeId: string, now: Millis): void {
    const pulse = this.#pulses.get(nodeId);
    const soon = now + this.#limits.hastenedMs;
    if (!pulse || pulse.sparedMs > 0 || pulse.deadline <= soon) return;
    this.#set(nodeId, soon, 0, pulse.granted);
  }

  /** Gossip was wrong, or it is back: it has the time it had. */
  relent(nodeId: string): void {
    const pulse = this.#pulses.get(nodeId);
    if (pulse && pulse.granted > pulse.deadline) this.#set(nodeId, pulse.granted);
  }

  /** The node is gone for good, or known to be down. */
  forget(nodeId: string): void {
    this.#pulses.delete(nodeId);
  }

  /**
   * Takes out the nodes that were silent too long. While many are silent at once they are spared for some time; when that is over for
   * one of them, it is for all: what is placed again must not go to a node that is given up next.
   */
  takeMissed(now: Millis): { missed: string[]; spared: string[] } {
    const missed: string[] = [];
    const spared: string[] = [];
    let isMass: boolean | undefined;
    for (let next = this.#next(); next && next.deadline <= now; next = this.#next()) {
      this.#byDeadline.pop();
      isMass ??= this.#isMassLoss(now);
      const since = next.sparedMs || now;
      if (isMass && now - since < this.#limits.massLossMs) {
        if (next.sparedMs === 0) spared.push(next.nodeId);
        this.#set(next.nodeId, now + this.#limits.graceMs, since);
        continue;
      }
      this.#pulses.delete(next.nodeId);
      missed.push(next.nodeId);
    }
    if (!isMass || missed.length === 0) return { missed, spared };
    for (const { nodeId, sparedMs } of [...this.#pulses.values()]) {
      if (sparedMs > 0 && this.#pulses.delete(nodeId)) missed.push(nodeId);
    }
    return { missed, spared: [] };
  }

  /** Whether a mass of nodes should have been heard of by now: those whose time is up, even if their grace is not. */
  #isMassLoss(now: Millis): boolean {
    let late = 0;
    for (const { deadline, sparedMs } of this.#pulses.values()) {
      if (sparedMs > 0 || deadline - this.#limits.graceMs <= now) late++;
    }
    return late > 1 && late > this.#pulses.size * MASS_SHARE;
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

  #set(nodeId: string, deadline: Millis, sparedMs = 0, granted = deadline): void {
    const pulse = { nodeId, deadline, granted, sparedMs };
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
