import t from 'tap';
import { HOLD_MS } from '../../lib/server/forwarding.js';
import { MeshError } from '../../lib/structs/errors.js';
import { localCaller, messagePair } from '../../lib/transport/local.js';
import type { RpcCaller } from '../../lib/transport/rpc.js';
import { mockNode } from '../scheduler/mock.js';
import { createFakeGroup, type FakeGroup, type GroupServer } from './fake-group.js';
import { batchJob, webJob } from './world.js';

const codeOf = (error: unknown): string => (error instanceof MeshError ? error.code : String(error));

function three(): { group: FakeGroup; s0: GroupServer; s1: GroupServer; s2: GroupServer } {
  const group = createFakeGroup(3);
  const [s0, s1, s2] = group.servers as [GroupServer, GroupServer, GroupServer];
  group.lead('s0');
  return { group, s0, s1, s2 };
}

/** Lets time pass until the promise is settled. */
async function within<T>(group: FakeGroup, ms: number, promise: Promise<T>): Promise<T | string> {
  let outcome: T | string | undefined;
  promise.then(
    (value) => {
      outcome = value;
    },
    (error: unknown) => {
      outcome = codeOf(error);
    },
  );
  for (let passed = 0; outcome === undefined && passed < ms; passed += 50) await group.time.advance(50);
  return outcome ?? 'still waits';
}

t.test('a write asked of a follower is done by the leader, and known everywhere', async (t) => {
  const { group, s1, s2 } = three();
  const reply = await within(group, 1_000, s1.call('Job.Register', { Job: webJob() }));
  t.match(reply, { EvalID: /.+/, JobModifyIndex: Number });
  t.ok(group.passed.includes('s1>s0 Job.Register'));
  t.ok(s2.store.snapshot().jobById('default', 'web'));
});

t.test('a consistent read goes to the leader; a stale one is answered here, and says how old it may be', async (t) => {
  const { group, s0, s1 } = three();
  s1.lags = true;
  await within(group, 1_000, s0.call('Job.Register', { Job: webJob() }));
  t.match(await within(group, 1_000, s1.call('Job.List', {})), {
    Jobs: { length: 1 },
    LastContactMs: 0,
    KnownLeader: true,
  });
  const before = group.passed.length;
  const stale = await within(group, 1_000, s1.call('Job.List', { AllowStale: true }));
  t.match(stale, { Jobs: { length: 0 }, LastContactMs: 7, KnownLeader: true });
  t.equal(group.passed.length, before, 'nobody else was asked');
});

t.test('without a leader a stale read is answered and says so; everything else is held, then refused', async (t) => {
  const { group, s1 } = three();
  group.lead('');
  t.match(await within(group, 1_000, s1.call('Job.List', { AllowStale: true })), { KnownLeader: false });
  for (const ask of [() => s1.call('Job.List', {}), () => s1.call('Job.Register', { Job: webJob() })]) {
    const began = group.time.now();
    t.equal(await within<unknown>(group, 20_000, ask()), 'E_NO_LEADER');
    t.ok(group.time.now() - began >= HOLD_MS - 300, 'held for about five seconds');
  }
  const began = group.time.now();
  const hasty = localCaller(s1.server.handlers, s1.server.streamHandlers).call('Job.List', {}, { linklessMs: 1_000 });
  t.equal(await within<unknown>(group, 20_000, hasty), 'E_NO_LEADER');
  t.ok(group.time.now() - began <= 1_100, 'who can do without is told so once nobody led for that long');
});

t.test('a request that comes during an election is answered by whoever is elected', async (t) => {
  const { group, s1, s2 } = three();
  group.lead('');
  const asked = s1.call('Job.Register', { Job: webJob() });
  await group.time.advance(1_500);
  group.lead('s2');
  t.match(await within(group, 2_000, asked), { EvalID: /.+/ });
  t.ok(s2.store.snapshot().jobById('default', 'web'));
});

t.test('a blocking query waits on what is applied here, and does not burden the leader', async (t) => {
  const { group, s0, s1 } = three();
  await within(group, 1_000, s0.call('Job.Register', { Job: webJob() }));
  const { Index } = (await within(group, 1_000, s1.call('Job.List', {}))) as { Index: number };
  const before = group.passed.length;
  const waiting = s1.call('Job.List', { MinQueryIndex: Index });
  await group.time.advance(2_000);
  t.equal(group.passed.length, before);
  await within(group, 1_000, s0.call('Job.Register', { Job: webJob({ ID: 'other' }) }));
  t.match(await within(group, 1_000, waiting), { Jobs: { length: 2 }, LastContactMs: 7 });
});

t.test('a write whose outcome nobody knows is never done again', async (t) => {
  const { group, s0, s1, s2 } = three();
  await within(group, 1_000, s1.call('Job.Register', { Job: webJob({ ID: 'warm' }) }));
  let kept = 0;
  group.onKept = ({ type }) => {
    if (type !== 'job-register') return;
    kept++;
    // The leader dies after it has written, before it has said so.
    s0.down = true;
  };
  const asked = s1.call('Job.Register', { Job: webJob() });
  await group.time.advance(300);
  group.lead('s2');
  t.equal(await within(group, 10_000, asked), 'E_TIMEOUT');
  t.equal(kept, 1);
  t.ok(s2.store.snapshot().jobById('default', 'web'), 'and here it was kept');
});

t.test('what may be done twice is done again after a change of leader', async (t) => {
  const { group, s0, s1, s2 } = three();
  const node = mockNode(1, { SecretID: 'secret', ComputedClass: '' });
  let died = false;
  group.onKept = ({ type }) => {
    if (type === 'node-register' && !died) {
      died = true;
      s0.down = true;
    }
  };
  const asked = s1.call('Node.Register', { Node: node });
  await group.time.advance(300);
  group.lead('s2');
  t.match(await within(group, 10_000, asked), { HeartbeatTTLMs: Number, NodeModifyIndex: Number });
  t.ok(s2.store.snapshot().nodeById(node.ID));
});

t.test('a dispatch with a token makes one job, though the leader dies after it has made it', async (t) => {
  const { group, s0, s1, s2 } = three();
  const parent = batchJob({ ID: 'par' });
  const ParameterizedJob = { Payload: 'optional', MetaRequired: null, MetaOptional: null } as const;
  t.match(await within(group, 1_000, s1.call('Job.Register', { Job: { ...parent, ParameterizedJob } })), {});
  let kept = 0;
  group.onKept = ({ type }) => {
    if (type !== 'job-register') return;
    kept++;
    s0.down = true;
  };
  const asked = s1.call('Job.Dispatch', { Namespace: 'default', JobID: 'par', IdempotencyToken: 'once' });
  await group.time.advance(300);
  group.lead('s2');
  const answer = await within(group, 10_000, asked);
  t.match(answer, { DispatchedJobID: /^par\/dispatch-/ });
  t.equal(kept, 1, 'the next leader knows it');
  t.strictSame(
    s2.store
      .snapshot()
      .jobChildren('default', 'par')
      .map(({ ID }) => ID),
    [(answer as { DispatchedJobID: string }).DispatchedJobID],
  );
});

t.test('a leader that is gone is not entrusted with a write', async (t) => {
  const { group, s0, s1 } = three();
  s0.down = true;
  const asked = s1.call('Job.Register', { Job: webJob() });
  await group.time.advance(1_000);
  t.notOk(group.passed.includes('s1>s0 Job.Register'));
  group.lead('s2');
  t.match(await within(group, 3_000, asked), { EvalID: /.+/ });
});

t.test('a refusal of the leader comes back as it is, at once', async (t) => {
  const { group, s1 } = three();
  const asked = s1.call('Node.Purge', { NodeID: 'ffffffff-ffff-ffff-ffff-ffffffffffff' });
  t.equal(await within(group, 200, asked), 'E_NOT_FOUND');
});

t.test('a request is passed on once: servers that take each other for the leader do not play ball', async (t) => {
  const { group, s1 } = three();
  const asked = s1.call('Job.List', { Forwarded: true });
  t.equal(await within(group, 500, asked), 'E_NO_LEADER');
  t.same(group.passed, []);
});

t.test('who hangs up while the request is held is not served later', async (t) => {
  const { group, s1 } = three();
  group.lead('');
  const caller = new AbortController();
  const asked = s1.call('Job.Register', { Job: webJob() }, caller.signal);
  await group.time.advance(500);
  caller.abort();
  t.equal(await within(group, 1_000, asked), 'E_NO_LEADER');
  group.lead('s2');
  await group.time.advance(2_000);
  t.notOk(s1.store.snapshot().jobById('default', 'web'));
});

t.test('a client that is linked to a follower registers, beats and takes its work there', async (t) => {
  const { group, s1 } = three();
  const node = mockNode(1, { SecretID: 'secret', ComputedClass: '' });
  await within(group, 1_000, s1.call('Node.Register', { Node: node }));
  const beat = s1.call('Node.UpdateStatus', { NodeID: node.ID, SecretID: 'secret', Status: 'ready' });
  t.match(await within(group, 1_000, beat), { HeartbeatTTLMs: Number });
  await within(group, 1_000, s1.call('Job.Register', { Job: webJob({ count: 1 }) }));
  await group.time.advance(500);
  const before = group.passed.length;
  const work = s1.call('Node.GetClientAllocs', { NodeID: node.ID, SecretID: 'secret' });
  const { Allocs } = (await within(group, 1_000, work)) as { Allocs: object };
  t.equal(Object.keys(Allocs).length, 1);
  t.equal(group.passed.length, before, 'from this very server');
});

t.test('a follower that has not heard of a node yet waits for it instead of turning it away', async (t) => {
  const { group, s0, s1 } = three();
  s1.lags = true;
  const node = mockNode(1, { SecretID: 'secret', ComputedClass: '' });
  await within(group, 1_000, s0.call('Node.Register', { Node: node }));
  const work = s1.call('Node.GetClientAllocs', { NodeID: node.ID, SecretID: 'secret', AllowStale: true });
  await group.time.advance(300);
  group.catchUp();
  t.match(await within(group, 1_000, work), { Allocs: {} });
});

t.test('a follower refuses no task of which it has not heard yet, and says soon that nobody leads', async (t) => {
  const { group, s0, s1 } = three();
  const node = mockNode(1, { SecretID: 'secret', ComputedClass: '' });
  await within(group, 1_000, s0.call('Node.Register', { Node: node }));
  s1.lags = true;
  await within(group, 1_000, s0.call('Job.Register', { Job: batchJob({ count: 1 }) }));
  await group.time.advance(500);
  const [alloc] = s0.store.snapshot().allocsByNode(node.ID);
  const Task = alloc?.Job?.TaskGroups[0]?.Tasks[0]?.Name ?? '';
  const args = { NodeID: node.ID, SecretID: 'secret', AllocID: alloc?.ID ?? '', Task, Prefix: '' };
  const early = s1.call('Variables.ListForTask', args);
  await group.time.advance(300);
  group.catchUp();
  t.match(await within(group, 1_000, early), { Variables: [] });
  group.lead('');
  const ask = (AllocID: string, linklessMs?: number) =>
    localCaller(s1.server.handlers, s1.server.streamHandlers).call(
      'Variables.ListForTask',
      { ...args, AllocID },
      linklessMs === undefined ? {} : { linklessMs },
    );
  t.equal(await within<unknown>(group, 20_000, ask('unknown')), 'E_NO_LEADER', 'it may be one that is not known here');
  const began = group.time.now();
  t.equal(await within<unknown>(group, 20_000, ask(args.AllocID, 5)), 'E_NO_LEADER');
  t.ok(group.time.now() - began <= 100);
});

t.test('what only a node can answer finds it at whatever server it is linked to, and makes no circles', async (t) => {
  const { group, s0, s1, s2 } = three();
  const node = mockNode(1, { SecretID: 'secret', ComputedClass: '' });
  await within(group, 1_000, s0.call('Node.Register', { Node: node }));
  const asked: object[] = [];
  const link: RpcCaller = {
    async call(method, args) {
      asked.push({ method, ...args });
      return { CPU: [] } as never;
    },
    stream: () => {
      throw new Error('no stream is asked for');
    },
  };
  t.equal(await within(group, 3_000, s1.call('ClientStats.Stats', { NodeID: node.ID })), 'E_NO_NODE_PATH');
  const forget = s2.server.registerNodeLink(node.ID, link);
  t.match(await within(group, 3_000, s1.call('ClientStats.Stats', { NodeID: node.ID })), { CPU: [] });
  t.match(asked, [{ method: 'ClientStats.Stats', NodeID: node.ID, Forwarded: true }]);
  t.ok(group.passed.includes('s1>s2 ClientStats.Stats'));
  forget();
  t.equal(
    await within(group, 3_000, s1.call('ClientStats.Stats', { NodeID: node.ID, Forwarded: true })),
    'E_NO_NODE_PATH',
  );
});

t.test('a stream to a task goes by way of the server that its node is linked to', async (t) => {
  const { group, s0, s1, s2 } = three();
  const node = mockNode(1, { SecretID: 'secret', ComputedClass: '' });
  await within(group, 1_000, s0.call('Node.Register', { Node: node }));
  await within(group, 1_000, s0.call('Job.Register', { Job: webJob({ count: 1 }) }));
  await group.time.advance(500);
  const [alloc] = [...s1.store.snapshot().allocsByJob('default', 'web')];
  const [near, client] = messagePair();
  s2.server.registerNodeLink(node.ID, { call: () => Promise.reject(new Error('not asked')), stream: () => near });
  const opened = localCaller(s1.server.handlers, s1.server.streamHandlers).stream('Allocations.Exec', {
    AllocID: alloc?.ID ?? '',
    Task: 'web',
    Cmd: ['sh'],
    Tty: false,
  });
  // Who has read to the end leaves, whatever else might have been said.
  client.on('error', () => {});
  client.end({ Type: 'exited', ExitCode: 3 });
  const got: unknown[] = [];
  for await (const message of opened) got.push(message);
  t.match(got, [{ Type: 'exited', ExitCode: 3 }]);
  t.ok(group.passed.includes('s1>s2 Allocations.Exec'));
});
