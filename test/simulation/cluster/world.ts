import { createServer, type Server } from '../../../lib/server/server.js';
import { systemTimers, type Timers } from '../../../lib/server/timers.js';
import { createStore, type Store } from '../../../lib/state/store.js';
import type { Node } from '../../../lib/structs/node.js';
import { JOB_LIMITS } from '../../../lib/structs/validate/limits.js';
import { Heap } from '../../../lib/util/heap.js';
import { silentLog } from '../../../lib/util/log.js';
import { type Random, seededRandom } from '../../../lib/util/random.js';
import { createFakeConsensus, type FakeConsensus } from '../../server/world.js';
import { type Call, type Clients, createClients } from './clients.js';

/** The server and the state of production, with agreement in memory and a clock that moves when told to. */
export interface ClusterWorld {
  readonly store: Store;
  readonly server: Server;
  readonly consensus: FakeConsensus;
  readonly call: Call;
  readonly clients: Clients;
  readonly nodes: Map<string, Node>;
  readonly random: Random;
  now(): number;
  /** Resolves once no evaluation is ready or at work, no plan under way, and nobody in the middle of going through much. */
  idle(): Promise<void>;
  /** Lets time pass, with what falls due in it. */
  advance(ms: number): Promise<void>;
  stop(): void;
}

/** So many turns without a change, and nobody is at work. */
const STILL_TURNS = 50;
/** The longest that an evaluation's end waits for something to be written with. */
const COMPANY_MS = 20;

/** `agree` stands in for what applies each command at once. */
export function createClusterWorld(
  seed: number,
  countMax: number = JOB_LIMITS.countMax,
  agree: (store: Store, soon: (fn: () => void) => void) => FakeConsensus = (store) =>
    createFakeConsensus(store, { keepLog: false }),
): ClusterWorld {
  const store = createStore();
  const clock = createClock();
  const consensus = agree(store, clock.timers.soon);
  const server = createServer({
    consensus,
    store,
    now: clock.now,
    random: seededRandom(seed),
    log: silentLog,
    timers: clock.timers,
    // Machines fail when they are told to, not for want of a heartbeat.
    config: { region: 'global', heartbeat: { ttlMinMs: 1000 * 3_600_000 }, jobs: { countMax } },
  });
  server.start();
  consensus.lead(true);
  const signal = new AbortController().signal;
  const call: Call = (method, args) => {
    const handler = server.handlers[method] as (args: unknown, context: unknown) => Promise<never>;
    return handler(args, { signal });
  };
  const random = seededRandom(seed + 1);
  const nodes = new Map<string, Node>();
  const clients = createClients({ store, nodes, call, now: clock.now, random });
  const idle = async (): Promise<void> => {
    let [quiet, still, seen, rests] = [0, 0, '', -1];
    while (quiet < 3) {
      await new Promise((resolve) => setImmediate(resolve));
      const { broker, plansInFlight } = server.counts();
      const atWork = broker.ready + broker.outstanding + broker.pending + plansInFlight;
      quiet = atWork === 0 && clock.rests() === rests ? quiet + 1 : 0;
      rests = clock.rests();
      const now = JSON.stringify([broker, plansInFlight, store.index]);
      still = now === seen ? still + 1 : 0;
      seen = now;
      // What waits for company, or to be tried again, waits for the clock.
      if (quiet === 0 && still >= STILL_TURNS && clock.fireNext(clock.now() + COMPANY_MS)) still = 0;
    }
  };
  return {
    ...{ store, server, consensus, call, clients, nodes, random, idle },
    now: clock.now,
    async advance(ms) {
      const end = clock.now() + ms;
      await idle();
      while (clock.fireNext(end)) await idle();
      clock.moveTo(end);
    },
    stop: () => server.stop(),
  };
}

interface Clock {
  now(): number;
  readonly timers: Timers;
  /** Fires what is due next, unless that is after `endMs`; says whether there was anything. */
  fireNext(endMs: number): boolean;
  moveTo(ms: number): void;
  /** How often something has been left to the next turn: whoever goes through very much does, again and again. */
  rests(): number;
}

function createClock(): Clock {
  let nowMs = Date.UTC(2026, 0, 1);
  let order = 0;
  let rests = 0;
  const due = new Heap<{ ms: number; order: number; fn: (() => void) | null }>(
    (a, b) => a.ms < b.ms || (a.ms === b.ms && a.order < b.order),
  );
  return {
    now: () => nowMs,
    timers: {
      setTimeout(ms, fn) {
        const timer: { ms: number; order: number; fn: (() => void) | null } = { ms: nowMs + ms, order: order++, fn };
        due.push(timer);
        return () => {
          timer.fn = null;
        };
      },
      soon(fn) {
        rests++;
        systemTimers.soon(fn);
      },
    },
    rests: () => rests,
    fireNext(endMs) {
      for (let next = due.peek(); next && next.ms <= endMs; next = due.peek()) {
        due.pop();
        if (!next.fn) continue;
        nowMs = Math.max(nowMs, next.ms);
        next.fn();
        return true;
      }
      return false;
    },
    moveTo(ms) {
      nowMs = Math.max(nowMs, ms);
    },
  };
}
