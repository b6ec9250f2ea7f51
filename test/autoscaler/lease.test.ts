import t from 'tap';
import { followLease, holdLease } from '../../lib/autoscaler/index.js';
import { LeaseView } from '../../lib/autoscaler/lease.js';
import type { Variable } from '../../lib/structs/variable.js';
import type { RpcCaller } from '../../lib/transport/rpc.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { until } from '../client/fakes.js';

const TTL_MS = 60_000;

const variable = (ModifyIndex: number, holder: string, ttl = String(TTL_MS)): Variable =>
  ({ Path: 'nomad-autoscaler/lock', ModifyIndex, Items: { holder, ttl_ms: ttl } }) as unknown as Variable;

/** Servers with one variable. */
class Servers {
  variable: Variable | null = null;
  index = 1;
  private waiting: (() => void)[] = [];

  /** One who asks them; `isCut`: nothing comes through. */
  caller(isCut: () => boolean = () => false): RpcCaller {
    const call = async (method: string, args: Record<string, unknown>, options: { signal?: AbortSignal } = {}) => {
      await Promise.resolve();
      if (isCut()) throw new Error('nobody answers');
      if (method === 'Variables.Read') return this.read(args, options.signal);
      const isMine = args['CAS'] === (this.variable?.ModifyIndex ?? 0);
      if (!isMine) return { Variable: null, Conflict: this.variable };
      this.index++;
      const items = args['Items'] as Record<string, string>;
      this.set(method === 'Variables.Put' ? variable(this.index, items['holder'] ?? '', items['ttl_ms']) : null);
      return { Variable: this.variable, Conflict: null };
    };
    return {
      call: call as never,
      stream: () => {
        throw new Error('no streams');
      },
    };
  }

  set(value: Variable | null): void {
    this.variable = value;
    this.index = Math.max(this.index, value?.ModifyIndex ?? 0) + 1;
    for (const go of this.waiting.splice(0)) go();
  }

  private async read(args: Record<string, unknown>, signal?: AbortSignal): Promise<object> {
    if ((args['MinQueryIndex'] ?? 0) === this.index) {
      await new Promise<void>((resolve, reject) => {
        this.waiting.push(resolve);
        signal?.addEventListener('abort', () => reject(new Error('aborted')));
      });
    }
    return { Variable: this.variable, Index: this.index };
  }
}

t.test('a lease lasts from when it was seen, by one’s own clock', async (t) => {
  const view = new LeaseView();
  t.equal(view.holderAt(0), null);
  view.see(variable(7, 'desk'), 1_000);
  t.equal(view.holderAt(1_000 + TTL_MS - 1), 'desk');
  t.equal(view.holderAt(1_000 + TTL_MS), null);
  view.see(variable(7, 'desk'), 90_000);
  t.equal(view.holderAt(90_000), null, 'the same writing again is no renewal');
  view.see(variable(9, 'desk'), 90_000);
  t.equal(view.holderAt(90_000), 'desk');
  t.equal(view.casIndex, 9);
  view.see(null, 91_000);
  t.equal(view.holderAt(91_000), null);
  t.equal(view.casIndex, 0);
});

t.test('a lease that says nonsense about its time lasts a minute', async (t) => {
  for (const ttl of ['', 'soon', '-1', '0', '1e12', 'Infinity']) {
    const view = new LeaseView();
    view.see(variable(1, 'desk', ttl), 0);
    t.equal(view.holderAt(59_999), 'desk', ttl);
    t.equal(view.holderAt(60_000), null, ttl);
  }
});

/** Autoscalers in one simulated minute after the other: they are cut off, stall and die as the dice say. */
async function contest(seed: number): Promise<{ doubles: number; terms: number }> {
  const random = seededRandom(seed);
  const servers = new Servers();
  let nowMs = 0;
  const sleepers: { atMs: number; wake: () => void }[] = [];
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => sleepers.push({ atMs: nowMs + ms, wake: resolve }));
  const players = ['a', 'b', 'c'].map((name) => ({ name, isCut: false, holds: (): boolean => false, terms: 0 }));
  const ending = new AbortController();
  const games = players.map((player) =>
    holdLease(
      { rpc: servers.caller(() => player.isCut), nowMs: () => nowMs, signal: ending.signal, log: silentLog, pause },
      {
        name: player.name,
        ttlMs: TTL_MS,
        onHeld(holds) {
          player.holds = holds;
          player.terms++;
        },
        onLost() {
          player.holds = () => false;
        },
        onEnd: async () => {},
      },
    ),
  );
  let doubles = 0;
  for (let step = 0; step < 1_000; step++) {
    for (const player of players) if (random.next() < 0.01) player.isCut = !player.isCut;
    // Sometimes everybody stalls, as a machine that was suspended does.
    nowMs += random.next() < 0.005 ? 3 * TTL_MS : 1_000;
    for (const one of sleepers.filter(({ atMs }) => atMs <= nowMs)) {
      sleepers.splice(sleepers.indexOf(one), 1);
      one.wake();
    }
    for (let i = 0; i < 20; i++) await Promise.resolve();
    if (players.filter(({ holds }) => holds()).length > 1) doubles++;
  }
  ending.abort();
  for (const { wake } of sleepers) wake();
  await Promise.all(games);
  return { doubles, terms: players.reduce((sum, { terms }) => sum + terms, 0) };
}

t.test('of several one holds the lease at a time, whoever is cut off or stalls', async (t) => {
  let terms = 0;
  for (let seed = 1; seed <= 4; seed++) {
    const { doubles, terms: some } = await contest(seed);
    t.equal(doubles, 0, `seed ${seed}`);
    terms += some;
  }
  t.ok(terms > 8, `it went from hand to hand: ${terms} times`);
});

t.test('who ends gives the lease back, after everything it did', async (t) => {
  const servers = new Servers();
  const ending = new AbortController();
  const story: string[] = [];
  const held = holdLease(
    { rpc: servers.caller(), nowMs: () => 0, signal: ending.signal, log: silentLog },
    {
      name: 'desk',
      ttlMs: TTL_MS,
      onHeld: () => void story.push('held'),
      onLost: () => void story.push('lost'),
      onEnd: async () => void story.push(servers.variable ? 'ends' : 'was free already'),
    },
  );
  await until(() => story.length > 0, 'the lease to change hands');
  ending.abort();
  await held;
  t.same(story, ['held', 'ends']);
  t.equal(servers.variable, null);
});

t.test('a follower hears who acts, and when that is over', async (t) => {
  const servers = new Servers();
  const ending = new AbortController();
  t.teardown(() => ending.abort());
  const heard: (string | null)[] = [];
  let nowMs = 0;
  void followLease(
    { rpc: servers.caller(), nowMs: () => nowMs, signal: ending.signal, log: silentLog },
    (holder) => void heard.push(holder),
  );
  await until(() => heard.length === 1, 'the lease to change hands');
  servers.set(variable(5, 'desk'));
  await until(() => heard.length === 2, 'the lease to change hands');
  servers.set(variable(8, 'desk'));
  servers.set(null);
  await until(() => heard.length === 3, 'the lease to change hands');
  t.same(heard, [null, 'desk', null]);
  // One that dies renews it no more: its time ends by the clock alone.
  servers.set(variable(20, 'gone', '50'));
  await until(() => heard.length === 4, 'the lease to change hands');
  nowMs = 50;
  await until(() => heard.length === 5, 'the lease to change hands');
  t.same(heard.slice(3), ['gone', null]);
});
