import t from 'tap';
import type { Client } from '../../lib/client/client.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { Job } from '../../lib/structs/job.js';
import { localCaller } from '../../lib/transport/local.js';
import { exitOf, type FakeEngine, fakeAlloc, fakeGroup, fakeJob, fakeTask, POLICY, until } from './fakes.js';
import { World } from './world.js';

t.test(
  'apart from the servers: one table of what ran on, was started again, ended or was stopped, and why',
  async (t) => {
    const world = new World(t);
    const first = await world.agent(t);
    const table = async (client: Client): Promise<Record<string, [string, string]>> => {
      const { Separation } = await localCaller(client.handlers, {}).call('ClientStats.Stats', {
        NodeID: client.nodeId,
      });
      return Object.fromEntries(
        (Separation?.Allocs ?? []).map(({ AllocID, Outcome, Why }) => [AllocID, [Outcome, Why]]),
      );
    };
    const Disconnect = { LostAfter: null, StopOnClientAfter: 40e9, Replace: true, Reconcile: 'best_score' as const };
    const RestartPolicy = { ...POLICY, Attempts: 0 };
    const once = fakeGroup([fakeTask({ RestartPolicy })]);
    const jobs: Record<string, Job> = {
      kept: fakeJob(),
      again: fakeJob(),
      over: fakeJob(once),
      replaced: fakeJob(once),
      unwanted: fakeJob(),
      careful: fakeJob(fakeGroup([fakeTask()], { Disconnect })),
      early: fakeJob(once),
    };
    for (const [ID, job] of Object.entries(jobs)) world.server.put(fakeAlloc(first.nodeId, job, { ID }));
    for (const ID of Object.keys(jobs)) await world.status(ID, 'running');
    const task = (id: string): ReturnType<FakeEngine['task']> => {
      const found = world.engine.running().find(({ config }) => config.allocId === id);
      if (!found) throw new Error(`${id} does not run`);
      return found;
    };
    task('early').end(exitOf(1));
    await world.status('early', 'failed');
    const pass = async (seconds: number): Promise<void> => {
      for (let passed = 0; passed < seconds; passed++) {
        world.timers.advance(1000);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await pass(60);
    t.same(await table(first), {}, 'it was never apart');
    world.server.put(fakeAlloc(first.nodeId, fakeJob(), { ID: 'fresh' }));
    await world.status('fresh', 'running');
    world.server.down = new MeshError('E_NO_LEADER', 'gone');
    await pass(5);
    task('again').end(exitOf(3));
    task('over').end(exitOf(4));
    task('replaced').end(exitOf(5));
    const runs = (id: string): boolean => world.engine.running().some(({ config }) => config.allocId === id);
    await until(() => !runs('again'), 'its end is known');
    await until(() => {
      world.timers.advance(1000);
      return runs('again') && !runs('careful') && !runs('over');
    }, 'what is to happen without servers has happened');
    await pass(60);
    world.server.down = null;
    const DesiredDescription = 'alloc is lost since its node is down';
    const unwanted = { ID: 'unwanted', DesiredStatus: 'stop' as const, DesiredDescription };
    world.server.put(fakeAlloc(first.nodeId, jobs['unwanted'], unwanted));
    const rescheduled = {
      DesiredStatus: 'stop' as const,
      DesiredDescription: 'alloc was rescheduled because it failed',
    };
    world.server.put(fakeAlloc(first.nodeId, jobs['replaced'], { ID: 'replaced', ...rescheduled }));
    let told: Record<string, [string, string]> = {};
    while (Object.keys(told).length === 0) {
      world.timers.advance(1000);
      told = await table(first);
    }
    // From here on no time passes: the table is open for half a minute.
    await until(() => {
      world.timers.advance(0);
      void table(first).then((next) => {
        told = next;
      });
      return told['unwanted']?.[0] === 'stopped' && told['over']?.[0] === 'ended' && !runs('unwanted');
    }, 'all have heard of it');
    const expected = {
      kept: ['kept', ''],
      // It began after the last word of a server, and was not started again.
      fresh: ['kept', ''],
      again: ['restarted', 'Exit Code: 3'],
      over: ['ended', /Exit Code: 4|restart policy|Policy/],
      // It had ended before the servers could stop it.
      replaced: ['ended', /Exit Code: 5|restart policy|Policy/],
      unwanted: ['stopped', DesiredDescription],
      careful: ['stopped', 'Stopped: no server was reached for 40s'],
    };
    told = await table(first);
    t.match(told, expected);
    t.notOk(told['early'], 'what was over before is no part of it');
    await pass(40);
    world.server.forget('over');
    await pass(10);
    t.match(await table(first), expected, 'what comes later has other reasons');
    t.ok(world.told.includes('this node was apart from the servers'));
    await first.shutdown();
    world.engine.tasks.clear();
    world.timers.advance(3_600_000);
    const second = await world.agent(t);
    await until(() => {
      world.timers.advance(0);
      return world.engine.running('web').length === 3;
    }, 'started again');
    let after: Record<string, [string, string]> = {};
    await until(() => {
      world.timers.advance(0);
      void table(second).then((next) => {
        after = next;
      });
      return after['kept']?.[0] === 'restarted' && after['again']?.[0] === 'restarted';
    }, 'the table of the second time');
    t.match(after, { kept: ['restarted', /gone/], again: ['restarted', /gone/] }, 'the machine was started again');
    t.same(Object.keys(after).sort(), ['again', 'fresh', 'kept']);
  },
);
