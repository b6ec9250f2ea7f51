import t from 'tap';
import { type DrainWorld, drainOnShutdown } from '../../lib/agent/drain-on-shutdown.js';
import { createLog } from '../../lib/util/log.js';

const HOUR = 3_600_000;

type Answers = Record<string, (args: Record<string, unknown>, asked: number) => unknown>;

/** Servers that answer so; a clock that moves when somebody sleeps. */
async function run(answers: Answers, drain: Partial<DrainWorld['drain']> = {}) {
  const asked: Record<string, Record<string, unknown>[]> = {};
  const said: string[] = [];
  let now = 0;
  const all: Answers = {
    'Node.DrainSelf': () => ({ IsAlone: false }),
    ...answers,
  };
  const call = async (method: string, args: Record<string, unknown>): Promise<unknown> => {
    asked[method] = [...(asked[method] ?? []), args];
    return all[method]?.(args, asked[method].length);
  };
  await drainOnShutdown({
    drain: { deadlineMs: HOUR, force: false, ignoreSystemJobs: false, ...drain },
    node: { NodeID: 'me', SecretID: 'mine' },
    rpc: { call: call as DrainWorld['rpc']['call'] },
    killMaxMs: 30_000,
    running: () => 2,
    now: () => now,
    sleep: async (ms) => {
      now += ms;
    },
    log: createLog(({ level, message }) => said.push(`${level} ${message}`)),
  });
  return { asked, said, now };
}

t.test('it asks for what is configured, and waits until the node is drained', async (t) => {
  const { asked, said, now } = await run({
    'Node.OwnDrain': (_, times) => ({ State: times < 15 ? 'drains' : 'over' }),
  });
  t.match(asked['Node.DrainSelf'], [
    { NodeID: 'me', SecretID: 'mine', DrainStrategy: { Deadline: HOUR * 1e6, IgnoreSystemJobs: false } },
  ]);
  t.equal(now, 14_000);
  t.same(said, [
    'info the node drains before the agent ends',
    'info the node drains',
    'info the node is drained; to have it take work again: meshnomad node eligibility -enable me',
  ]);
  const forced = await run({ 'Node.OwnDrain': () => ({ State: 'over' }) }, { force: true, ignoreSystemJobs: true });
  t.match(forced.asked['Node.DrainSelf'], [{ DrainStrategy: { Deadline: -1, IgnoreSystemJobs: true } }]);
});

t.test('it ends when the deadline is over and tasks had their time, whatever the servers say', async (t) => {
  const none = await run(
    { 'Node.OwnDrain': () => ({ State: 'drains' }), 'Node.DrainSelf': () => ({ IsAlone: true }) },
    { deadlineMs: 5_000 },
  );
  t.equal(none.now, 35_000);
  t.match(none.said[1], /^warn no other node takes work/);
  t.equal(none.said.at(-1), 'warn the deadline of the drain is over: the agent ends');
  const silent = await run({
    'Node.OwnDrain': () => Promise.reject(new Error('no server of the mesh is linked')),
  });
  t.equal(silent.now, HOUR + 30_000);
  const refused = await run({ 'Node.DrainSelf': () => Promise.reject(new Error('No cluster leader')) });
  t.equal(refused.now, 15_000);
  t.same(refused.said, ['error the node was not drained: the agent ends, its tasks go on']);
});

t.test('a drain that somebody cancels is waited for no longer', async (t) => {
  const { said } = await run({ 'Node.OwnDrain': () => ({ State: 'canceled' }) });
  t.match(said.at(-1), /^warn somebody has canceled the drain/);
});
