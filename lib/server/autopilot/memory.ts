import type { Millis } from '../../util/clock.js';
import { CHANGE_WORTH, penaltyOf } from './quality.js';
import type { Limits, ServerView, View } from './view.js';

/** Longer than this between two looks, this server was asleep: what it remembers says nothing about the others. */
const GAP_MAX_MS = 15_000;

/** Since when what has been so: what decisions rest on besides the present moment. */
export class Memory {
  #lookedMs: Millis | null = null;
  #healthySince = new Map<string, Millis>();
  #deadSince = new Map<string, Millis>();
  /** Since when a server would do better than another in its place, by both ids. */
  #betterSince = new Map<string, Millis>();

  /** Takes in how things are now. */
  look(view: View, limits: Limits, now: Millis): void {
    if (this.#lookedMs !== null && now - this.#lookedMs > GAP_MAX_MS) this.forget();
    this.#lookedMs = now;
    const penalties = new Map(view.servers.map((server) => [server.id, penaltyOf(server)]));
    const healthy = view.servers.filter((server) => isHealthy(server, view, limits));
    const dead = view.servers.filter((server) => server.group !== 'none' && !isAlive(server, view, limits));
    this.#healthySince = carried(this.#healthySince, ids(healthy), now);
    this.#deadSince = carried(this.#deadSince, ids(dead), now);
    const rated = healthy.map(({ id }) => ({ id, penalty: penalties.get(id) ?? 0 }));
    const better: string[] = [];
    for (const [worse, penalty] of penalties) {
      // Most are faultless, and then nobody can be better.
      if (penalty < CHANGE_WORTH) continue;
      for (const other of rated) if (penalty - other.penalty >= CHANGE_WORTH) better.push(pair(worse, other.id));
    }
    this.#betterSince = carried(this.#betterSince, better, now);
  }

  forget(): void {
    this.#lookedMs = null;
    this.#healthySince = new Map();
    this.#deadSince = new Map();
    this.#betterSince = new Map();
  }

  /** How long it has been healthy without a break; 0 when it is not. */
  healthyMs(id: string): Millis {
    return this.#ago(this.#healthySince.get(id));
  }
  deadMs(id: string): Millis {
    return this.#ago(this.#deadSince.get(id));
  }
  /** How long `other` has been better than `worse` by enough to be worth a change. */
  betterMs(worse: string, other: string): Millis {
    return this.#ago(this.#betterSince.get(pair(worse, other)));
  }

  #ago(since: Millis | undefined): Millis {
    return since === undefined || this.#lookedMs === null ? 0 : this.#lookedMs - since;
  }
}

/** It answers: its voice counts for a majority. The word of gossip counts only when it says goodbye. */
export function isAlive(server: ServerView, view: View, limits: Limits): boolean {
  if (server.id === view.leader) return true;
  if (server.group === 'none' || server.gossip === 'left') return false;
  return server.lastContactMs !== null && server.lastContactMs <= limits.contactMs;
}

/** It answers, and has nearly all of the log. */
export function isHealthy(server: ServerView, view: View, limits: Limits): boolean {
  return isAlive(server, view, limits) && (server.id === view.leader || server.trailing <= limits.trailingMax);
}

function carried(before: ReadonlyMap<string, Millis>, keys: readonly string[], now: Millis): Map<string, Millis> {
  return new Map(keys.map((key) => [key, before.get(key) ?? now]));
}

const ids = (servers: readonly ServerView[]): string[] => servers.map(({ id }) => id);
const pair = (a: string, b: string): string => `${a} ${b}`;
