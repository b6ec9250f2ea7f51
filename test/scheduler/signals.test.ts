import t from 'tap';
import type { Job, Task } from '../../lib/structs/job.js';
import { Harness } from './harness.js';
import { mockJob, mockNode } from './mock.js';

const NODE_SIGNALS = 'SIGHUP,SIGTERM,SIGUSR1';

async function filtered(change: Partial<Task>, signals: string = NODE_SIGNALS): Promise<unknown> {
  const harness = new Harness();
  const plain = mockNode(0);
  harness.addNode({ ...plain, Attributes: { ...plain.Attributes, 'os.signals': signals } });
  const job = mockJob();
  const [group] = job.TaskGroups as [Job['TaskGroups'][0]];
  const [task] = group.Tasks as [Task];
  const made = { ...job, TaskGroups: [{ ...group, Count: 1, Tasks: [{ ...task, ...change }] }] };
  const done = await harness.run(harness.register(made));
  return harness.live(made).length === 1 ? 'placed' : done.FailedTGAllocs?.['web']?.ConstraintFiltered;
}

t.test('a task goes where its signals are known, and the missing one is named as Nomad names it', async (t) => {
  t.equal(await filtered({ KillSignal: '' }), 'placed');
  t.equal(await filtered({ KillSignal: 'SIGHUP' }), 'placed');
  t.equal(await filtered({ KillSignal: 'hup' }), 'placed', 'as the driver reads it');
  t.equal(await filtered({ KillSignal: '10' }), 'placed', 'what a number means is the node’s affair');
  t.same(await filtered({ KillSignal: 'SIGPWR' }), { '${attr.os.signals} set_contains SIGPWR': 1 });
});

t.test('the signal of a change counts when it is sent', async (t) => {
  const identity = { ChangeMode: 'signal', ChangeSignal: 'SIGUSR2' } as NonNullable<Task['Identity']>;
  t.same(await filtered({ Identities: [identity], KillSignal: 'SIGPWR' }), {
    '${attr.os.signals} set_contains SIGPWR,SIGUSR2': 1,
  });
  const template = { ChangeMode: 'signal', ChangeSignal: 'SIGUSR2' } as NonNullable<Task['Templates']>[0];
  t.same(await filtered({ Templates: [template] }), { '${attr.os.signals} set_contains SIGUSR2': 1 });
  t.equal(await filtered({ Templates: [{ ...template, ChangeMode: 'restart' }] }), 'placed');
});
