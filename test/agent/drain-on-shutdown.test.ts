import t from 'tap';
import { type DrainWorld, drainOnShutdown } from '../../lib/agent/drain-on-shutdown.js';
import { createLog } from '../../lib/util/log.js';

const HOUR = 3_600_000;

type Answers = Record<string, (args: Record<string, unknown>, asked: number) => unknown>;

const OTHER = { ID: 'other', Status: 'ready', SchedulingEligibility: 'eligible' };
const draining = { Node: { ModifyIndex: 7, DrainStrategy: {}, LastDrain: { Status: 'draining' } } };
const drained = { Node: { ModifyIndex: 9, DrainStrategy: null, LastDrain: { Status: 'complete' } } };

/** Servers that answer so; a clock that moves when somebody sleeps. */
async function run(answers: Answers, drain: Partial<DrainWorld['drain']> = {}) {
  const asked: Record<string, Record<string, unknown>[]> = {};
  const said: string[] = [];
  let now = 0;
  const all: Answers = {
    'Node.UpdateDrain': () => ({ Index: 7 }),
    'Node.List': () => ({ Nodes: [{ ...OTHER, ID: 'me' }, OTHER] }),
    'Node.GetAllocs': () => ({ Allocs: [] }),
    ...answers,
  };
  const call = async (method: string, args: Record<string, unknown>): Promise<unknown> => {
    asked[method] = [...(asked[method] ?? []), args];
    return all[method]?.(args, asked[method].length);
  };
  await drainOnShutdown({
    drain: { deadlineMs: HOUR, force: false, ignoreSystemJobs: false, ...drain },
    nodeId: 'me',
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
  const { asked, said, now } = await run({ 'Node.GetNode': (_, times) => (times < 15 ? draining : drained) });
  t.match(asked['Node.UpdateDrain'], [
    { NodeID: 'me', DrainStrategy: { Deadline: HOUR * 1e6, IgnoreSystemJobs: false } },
  ]);
  t.equal(now, 14_000);
  t.same(said, [
    'info the node drains before the agent ends',
    'info the node drains',
    'info the node is drained; to have it take work again: meshnomad node eligibility -enable me',
  ]);
  const forced = await run({ 'Node.GetNode': () => drained }, { force: true, ignoreSystemJobs: true });
  t.match(forced.asked['Node.UpdateDrain'], [{ DrainStrategy: { Deadline: -1, IgnoreSystemJobs: true } }]);
});

t.test('it ends when the deadline is over and tasks had their time, whatever the servers say', async (t) => {
  const none = await run(
    { 'Node.GetNode': () => draining, 'Node.List': () => ({ Nodes: [{ ...OTHER, ID: 'me' }] }) },
    { deadlineMs: 5_000 },
  );
  t.equal(none.now, 35_000);
  t.match(none.said[1], /^warn no other node takes work/);
  t.equal(none.said.at(-1), 'warn the deadline of the drain is over: the agent ends');
  const silent = await run({
    'Node.GetNode': () => Promise.reject(new Error('no server of the mesh is linked')),
  });
  t.equal(silent.now, HOUR + 30_000);
  const refused = await run({ 'Node.UpdateDrain': () => Promise.reject(new Error('No cluster leader')) });
  t.equal(refused.now, 15_000);
  t.same(refused.said, ['error the node was not drained: the agent ends, its tasks go on']);
});

t.test('a drain that somebody cancels is waited for no longer', async (t) => {
  const canceled = { Node: { ...drained.Node, LastDrain: { Status: 'canceled' } } };
  const { said } = await run({ 'Node.GetNode': () => canceled });
  t.match(said.at(-1), /^warn somebody has canceled the drain/);
});

t.test('tasks that still end are waited for, and data that is still fetched from here', async (t) => {
  const ending = { Allocs: [{ DesiredStatus: 'stop', ClientStatus: 'running' }] };
  const group = { Name: 'g', EphemeralDisk: { Migrate: true } };
  const moved = { DesiredStatus: 'stop', ClientStatus: 'complete', TaskGroup: 'g', NextAllocation: 'next' };
  const { now, asked } = await run({
    'Node.GetNode': () => drained,
    'Node.GetAllocs': (_, times) => (times < 3 ? ending : { Allocs: [{ ...moved, Job: { TaskGroups: [group] } }] }),
    'Alloc.GetAlloc': (_, times) => ({
      Alloc: { DesiredStatus: 'run', ClientStatus: times < 4 ? 'pending' : 'running' },
    }),
  });
  t.equal(now, 5_000);
  t.same(asked['Alloc.GetAlloc']?.[0], { AllocID: 'next' });
});
