import t from 'tap';
import { isAway, patience, whenBack } from '../../lib/client/driver-away.js';
import { HookError } from '../../lib/client/hooks/hook.js';
import { DriverError } from '../../lib/plugin/sdk/driver.js';
import type { RpcCaller } from '../../lib/transport/rpc.js';
import { seededRandom } from '../../lib/util/random.js';
import { FakeTimers, until } from './fakes.js';

const away = new DriverError('nobody there', { recoverable: true, away: true });

t.test('an engine that is away is told from one that refuses, also through what it has caused', async (t) => {
  t.ok(isAway(away));
  t.ok(isAway(new HookError('network', { recoverable: true, cause: away })));
  t.notOk(isAway(new DriverError('no such image', { recoverable: true })));
  t.notOk(isAway(new HookError('network', { recoverable: true })));
  t.notOk(isAway('away'));
});

t.test('what needs an engine is done when it is back, or not at all', async (t) => {
  const timers = new FakeTimers();
  const random = seededRandom(1);
  const told: string[] = [];
  const ending = new AbortController();
  const options = { timers, random, signal: ending.signal, tell: (why: string) => told.push(why) };
  let error: Error | null = away;
  let calls = 0;
  const work = async (): Promise<string> => {
    calls++;
    if (error) throw error;
    return 'done';
  };
  const first = whenBack(work, options);
  for (let i = 1; i <= 100; i++) {
    await until(() => calls === i && timers.delays.length === 1, `try ${i}`);
    timers.advance(10_000);
  }
  error = null;
  timers.advance(10_000);
  t.equal(await first, 'done');
  t.same(told, ['nobody there']);
  error = new DriverError('no such image', { recoverable: true });
  await t.rejects(whenBack(work, options), /no such image/);
  error = away;
  const second = whenBack(work, options);
  ending.abort();
  await t.rejects(second, /nobody there/);
  t.same(timers.delays, []);
});

t.test(
  'another failure is waited out for a while, and longer where no server leads that could place it elsewhere',
  async (t) => {
    const timers = new FakeTimers();
    let leader: string | Error = new Error('no server');
    const call = async (): Promise<{ Leader: string }> => {
      if (leader instanceof Error) throw leader;
      return { Leader: leader };
    };
    const mayPass = patience({ timers, rpc: { call } as unknown as RpcCaller });
    leader = 'peer';
    t.ok(await mayPass());
    timers.advance(5 * 60_000);
    t.notOk(await mayPass());
    leader = '';
    t.ok(await mayPass());
    leader = new Error('no server');
    t.ok(await mayPass());
    const random = seededRandom(1);
    const told: string[] = [];
    let calls = 0;
    const work = async (): Promise<string> => {
      if (++calls < 3) throw new Error('no such plugin');
      return 'done';
    };
    const options = { timers, random, signal: new AbortController().signal, tell: (why: string) => told.push(why) };
    const done = whenBack(work, { ...options, mayPass });
    for (let i = 1; i < 3; i++) {
      await until(() => calls === i && timers.delays.length === 1, `try ${i}`);
      timers.advance(10_000);
    }
    t.equal(await done, 'done');
    t.same(told, ['no such plugin']);
  },
);
