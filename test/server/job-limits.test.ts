import t from 'tap';
import { createTestWorld, webJob } from './world.js';

t.test('limits of the configuration stand in place of Nomad’s', async (t) => {
  const jobs = { priorityMax: 200, countMax: 5, sourceBytesMax: 20, defaultPriority: 70 };
  const world = createTestWorld({ config: { jobs } });
  const register = (job: Parameters<typeof webJob>[0], Source = 'job "web" {}') =>
    world.call('Job.Register', {
      Job: webJob(job),
      Submission: { Source, Format: 'hcl2', VariableFlags: null, Variables: '' },
    });
  await register({ Priority: 200 });
  await register({ ID: 'plain', Priority: 0 });
  t.equal(world.store.snapshot().jobById('default', 'plain')?.Priority, 70);
  await t.rejects(register({ Priority: 201 }), /between 1 and 200, not 201/);
  await t.rejects(register({ count: 6 }), /at most 5 are allowed/);
  await t.rejects(register({}, `job "web" { # ${'x'.repeat(30)}`), /exceeds maximum of 20 bytes/);
  await t.rejects(world.call('Job.Scale', { JobID: 'web', Target: { Group: 'web' }, Count: 6 }), /at most 5/);
});

t.test('the scheduler configuration of the agent is the mesh’s until somebody sets another', async (t) => {
  const config = { scheduler: { SchedulerAlgorithm: 'spread', MemoryOversubscriptionEnabled: true } } as const;
  const world = createTestWorld({ config });
  await world.time.advance(100);
  const { SchedulerConfig } = await world.call('Operator.SchedulerGetConfiguration', {});
  t.match(SchedulerConfig, { SchedulerAlgorithm: 'spread', MemoryOversubscriptionEnabled: true });
  t.equal(SchedulerConfig.PreemptionConfig.SystemSchedulerEnabled, true, 'what is not said stays');
  await world.call('Operator.SchedulerSetConfiguration', {
    Config: { ...SchedulerConfig, SchedulerAlgorithm: 'binpack' },
  });
  world.consensus.lead(false);
  world.consensus.lead(true);
  await world.time.advance(100);
  t.equal(world.store.snapshot().schedulerConfig().SchedulerAlgorithm, 'binpack');
});
