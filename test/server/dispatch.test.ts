import t from 'tap';
import { batchJob, createTestWorld } from './world.js';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const pattern = (changes: object = {}) =>
  batchJob({
    ID: 'render',
    Name: 'render',
    count: 1,
    Meta: { color: 'red', quality: 'low' },
    ParameterizedJob: { Payload: 'optional', MetaRequired: ['input'], MetaOptional: ['quality'], ...changes },
  });

t.test('a dispatched job is its pattern with a payload and meta data of its own', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  const { EvalID } = await world.call('Job.Register', { Job: pattern() });
  t.equal(EvalID, '', 'the pattern itself does not run');
  const reply = await world.call('Job.Dispatch', {
    JobID: 'render',
    Payload: base64('frame 1'),
    Meta: { input: 'a.png', quality: 'high' },
    IdPrefixTemplate: 'film',
  });
  await world.time.advance(20);
  t.match(reply.DispatchedJobID, /^render\/dispatch-film-1767225600-[0-9a-f]{8}$/);
  const job = world.store.snapshot().jobById('default', reply.DispatchedJobID);
  t.same(job?.Meta, { color: 'red', quality: 'high', input: 'a.png' });
  t.same([job?.ParentID, job?.Dispatched, job?.Payload], ['render', true, base64('frame 1')]);
  t.equal(world.allocs(reply.DispatchedJobID).length, 1);
  t.same(world.store.snapshot().jobSummary('default', 'render')?.Children, { Pending: 0, Running: 1, Dead: 0 });
});

t.test('a token dispatches once, also when asked twice at the same time', async (t) => {
  const world = createTestWorld();
  await world.call('Job.Register', { Job: pattern({ MetaRequired: null }) });
  const ask = () => world.call('Job.Dispatch', { JobID: 'render', IdempotencyToken: 'once' });
  const [first, second] = await Promise.all([ask(), ask()]);
  const third = await ask();
  t.equal(second.DispatchedJobID, first.DispatchedJobID);
  t.equal(third.DispatchedJobID, first.DispatchedJobID);
  t.same([second.EvalID, third.EvalID], ['', '']);
  t.equal(world.store.snapshot().jobChildren('default', 'render').length, 1);
});

t.test('what the pattern does not allow is refused', async (t) => {
  const world = createTestWorld();
  const refuse = async (changes: object, args: object, message: RegExp) => {
    await world.call('Job.Register', { Job: pattern(changes) });
    await t.rejects(world.call('Job.Dispatch', { JobID: 'render', ...args }), { code: 'E_BAD_REQUEST', message });
  };
  const input = { Meta: { input: 'a' } };
  await refuse({}, {}, /required meta keys: input/);
  await refuse({}, { Meta: { input: 'a', size: '3' } }, /unpermitted metadata keys: size/);
  await refuse({ Payload: 'required' }, input, /required/);
  await refuse({ Payload: 'forbidden' }, { ...input, Payload: base64('x') }, /forbids/);
  await refuse({}, { ...input, Payload: base64('x'.repeat(16 * 1024 + 1)) }, /16385 > 16384/);
  await refuse({}, { ...input, Payload: '%' }, /base64/);
  const fits = { JobID: 'render', ...input, Payload: base64('x'.repeat(16 * 1024)) };
  t.ok((await world.call('Job.Dispatch', fits)).DispatchedJobID);
  await world.call('Job.Deregister', { JobID: 'render' });
  await t.rejects(world.call('Job.Dispatch', fits), { message: /is stopped/ });
  await world.call('Job.Register', { Job: batchJob({ ID: 'plain', Name: 'plain' }) });
  await t.rejects(world.call('Job.Dispatch', { JobID: 'plain' }), { message: /is not a parameterized job/ });
});
