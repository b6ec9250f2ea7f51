import t from 'tap';
import { createCompany } from '../../lib/server/company.js';
import { createSimulatedTime, settle } from './simulated-time.js';
import { createTestWorld, webJob } from './world.js';

t.test('who waits for company goes with the next, or alone when none comes', async (t) => {
  const time = createSimulatedTime();
  const company = createCompany(time.timers);
  const gone: string[] = [];
  for (const name of ['a', 'b']) void company.wait(5).then(() => gone.push(name));
  await time.advance(4);
  t.same(gone, []);
  company.comes();
  company.comes();
  await settle();
  t.same(gone, ['a', 'b']);
  void company.wait(5).then(() => gone.push('c'));
  await time.advance(5);
  t.same(gone, ['a', 'b', 'c']);
  company.comes();
  await settle();
  t.equal(gone.length, 3);
});

t.test('the end of an evaluation shares the way of the next request', async (t) => {
  const world = createTestWorld();
  const job = (i: number) => webJob({ ID: `job${i}`, count: 0 });
  await world.call('Job.Register', { Job: job(1) });
  await settle();
  t.equal(world.store.snapshot().evalsByStatus('complete').length, 0);
  await world.call('Job.Register', { Job: job(2) });
  await settle();
  t.equal(world.store.snapshot().evalsByStatus('complete').length, 1, 'no time has passed');
  await world.time.advance(20);
  t.equal(world.store.snapshot().evalsByStatus('complete').length, 2, 'nobody came: it went alone');
});
