import t from 'tap';
import { clientStatus, mayStart, stopOrder, stopReason } from '../../lib/client/lifecycle.js';
import type { TaskState } from '../../lib/structs/allocation.js';
import type { Task } from '../../lib/structs/job.js';
import { fakeState, fakeTask } from './fakes.js';

const hook = (Name: string, Hook: 'prestart' | 'poststart' | 'poststop', Sidecar = false): Task =>
  fakeTask({ Name, Lifecycle: { Hook, Sidecar } });
const tasks = [
  hook('init', 'prestart'),
  hook('side', 'prestart', true),
  fakeTask({ Name: 'main' }),
  hook('hello', 'poststart'),
  hook('bye', 'poststop'),
];
type Short = 'pending' | 'running' | 'dead' | 'failed';
const states = (names: Record<string, Short>): Record<string, TaskState> =>
  Object.fromEntries(
    tasks.map(({ Name }) => {
      const short = names[Name] ?? 'pending';
      return [Name, short === 'failed' ? fakeState({ State: 'dead', Failed: true }) : fakeState({ State: short })];
    }),
  );
const startable = (names: Record<string, Short>, stopping = false): string[] =>
  tasks
    .filter((task) => (names[task.Name] ?? 'pending') === 'pending')
    .filter((task) => mayStart(task, { tasks, states: states(names), stopping }))
    .map(({ Name }) => Name);

t.test('who may start when', async (t) => {
  t.same(startable({}), ['init', 'side']);
  t.same(startable({ init: 'dead' }), ['side'], 'main waits for the sidecar');
  t.same(startable({ side: 'running' }), ['init'], 'main waits for the prestart task');
  t.same(startable({ init: 'dead', side: 'running' }), ['main']);
  t.same(startable({ init: 'failed', side: 'running' }), [], 'not after a failure');
  t.same(startable({ init: 'dead', side: 'running', main: 'running' }), ['hello']);
  const over = { init: 'dead', side: 'dead', main: 'dead', hello: 'dead' } as const;
  t.same(startable(over), ['bye']);
  t.same(startable(over, true), ['bye'], 'also while stopping');
  t.same(startable({}, true), [], 'nothing else does while stopping');
});

t.test('why the others are stopped', async (t) => {
  t.equal(stopReason(tasks, states({ init: 'dead', main: 'running' })), null);
  t.same(stopReason(tasks, states({ init: 'failed' })), { kind: 'sibling-failed', task: 'init' });
  t.same(stopReason(tasks, states({ main: 'dead' })), { kind: 'main-dead' });
  t.equal(stopReason(tasks, states({ bye: 'failed' })), null);
  const led = [fakeTask({ Name: 'main', Leader: true }), fakeTask({ Name: 'other' })];
  const dead = { main: fakeState({ State: 'dead' }), other: fakeState({ State: 'running' }) };
  t.same(stopReason(led, dead), { kind: 'leader-dead' });
});

t.test('the leader is stopped first, sidecars last, poststop never', async (t) => {
  t.same(stopOrder([...tasks, fakeTask({ Name: 'lead', Leader: true })]), [
    ['lead'],
    ['init', 'main', 'hello'],
    ['side'],
  ]);
});

t.test('the status of the whole', async (t) => {
  const status = (names: Record<string, Short>): string => clientStatus({ Tasks: tasks }, states(names)).status;
  t.equal(status({}), 'pending');
  t.equal(status({ init: 'running' }), 'running');
  t.equal(status({ init: 'dead', side: 'running', main: 'running' }), 'running');
  t.equal(status({ main: 'failed', side: 'running' }), 'failed');
  const over = { init: 'dead', side: 'dead', main: 'dead', hello: 'dead' } as const;
  t.equal(status(over), 'running', 'poststop is still to come');
  t.equal(status({ ...over, bye: 'dead' }), 'complete');
  t.equal(status({ ...over, bye: 'failed' }), 'failed');
});
