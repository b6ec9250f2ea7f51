import type { Duplex } from 'node:stream';
import t from 'tap';
import { readArchive, writeArchive } from '../../lib/server/snapshot-archive.js';
import type { TaskState } from '../../lib/structs/allocation.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { SnapshotMetadata } from '../../lib/structs/operator.js';
import { localCaller } from '../../lib/transport/local.js';
import { createFakeGroup, type FakeGroup, type GroupServer } from './fake-group.js';
import { batchJob, createTestWorld, webJob } from './world.js';

const META: SnapshotMetadata = {
  ID: '2-7-1',
  Index: 7,
  Term: 2,
  Version: 1,
  Mesh: '',
  CreatedAt: 1_700_000_000_000,
  Program: '0.1.0',
};

async function* chunksOf(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

/** An archive read to its end. */
async function read(bytes: Uint8Array): Promise<{ metadata: SnapshotMetadata; state: Buffer } | string> {
  try {
    const { metadata, state } = await readArchive(chunksOf(bytes));
    return { metadata, state: await all(state) };
  } catch (error) {
    if (error instanceof MeshError) return error.code;
    throw error;
  }
}

const STATE = Buffer.from(Array.from({ length: 150_000 }, (_, i) => (i * i) % 251));

t.test('an archive gives back what went into it', async (t) => {
  for (const state of [STATE, Buffer.alloc(0), Buffer.alloc(512, 1), Buffer.alloc(513, 2)]) {
    const bytes = await all(writeArchive(META, () => chunksOf(state)));
    t.same(await read(bytes), { metadata: META, state });
  }
});

t.test('tar reads it too', async (t) => {
  const { spawnSync } = await import('node:child_process');
  const bytes = await all(writeArchive(META, () => chunksOf(STATE)));
  const listed = spawnSync('tar', ['-tzf', '-'], { input: bytes });
  t.equal(listed.stdout.toString(), 'meta.json\nstate.bin\nSHA256SUMS\n');
  const state = spawnSync('tar', ['-xzOf', '-', 'state.bin'], { input: bytes, maxBuffer: 1 << 24 });
  t.ok(STATE.equals(state.stdout));
});

t.test('damage anywhere, a cut, and other files are refused, and never a crash', async (t) => {
  const bytes = await all(writeArchive(META, () => chunksOf(STATE)));
  for (let at = 12; at < bytes.length; at += Math.ceil(bytes.length / 150)) {
    const hurt = Buffer.from(bytes);
    hurt[at] = (hurt[at] ?? 0) ^ 0x10;
    t.equal(await read(hurt), 'E_STORAGE', `byte ${at}`);
  }
  for (const length of [0, 1, 20, bytes.length >> 1, bytes.length - 200]) {
    t.equal(await read(bytes.subarray(0, length)), 'E_STORAGE', `${length} bytes of it`);
  }
  t.equal(await read(Buffer.from('some text')), 'E_STORAGE');
  const newer = await all(writeArchive({ ...META, Version: 2 }, () => chunksOf(STATE)));
  t.equal(await read(newer), 'E_NOT_SUPPORTED');
});

/** What a stream of a server says, while time passes. */
async function collect(group: FakeGroup | null, stream: Duplex): Promise<unknown[]> {
  const got: unknown[] = [];
  let failure: unknown;
  let done = false;
  stream.on('data', (message) => got.push(message));
  stream.on('error', (error) => {
    failure = error;
    done = true;
  });
  stream.on('end', () => {
    done = true;
  });
  for (let i = 0; !done && i < 200; i++) {
    if (group) await group.time.advance(20);
    else await new Promise((resolve) => setTimeout(resolve, 5));
  }
  if (failure) throw failure;
  return got;
}

const callerOf = (server: GroupServer | ReturnType<typeof createTestWorld>) =>
  localCaller(server.server.handlers, server.server.streamHandlers);

async function saved(
  group: FakeGroup | null,
  server: GroupServer | ReturnType<typeof createTestWorld>,
): Promise<Buffer> {
  const messages = await collect(group, callerOf(server).stream('Operator.SnapshotSave', {}));
  return Buffer.concat((messages as { Data: Uint8Array }[]).map(({ Data }) => Data));
}

async function restored(
  group: FakeGroup | null,
  server: GroupServer | ReturnType<typeof createTestWorld>,
  bytes: Buffer,
) {
  const stream = callerOf(server).stream('Operator.SnapshotRestore', {});
  for (let at = 0; at < bytes.length; at += 4096) stream.write({ Data: bytes.subarray(at, at + 4096) });
  stream.end();
  return (await collect(group, stream)) as { Index: number; Metadata: SnapshotMetadata }[];
}

t.test('a snapshot that one mesh saved is restored in another, which goes on from there', async (t) => {
  const first = createTestWorld();
  await first.addNode(1);
  await first.call('Job.Register', { Job: webJob({ count: 2 }) });
  await first.time.advance(20);
  t.equal(first.allocs().length, 2);
  const bytes = await saved(null, first);

  const group = createFakeGroup(3);
  const [s0, s1, s2] = group.servers as [GroupServer, GroupServer, GroupServer];
  group.lead('s0');
  await s0.call('Job.Register', { Job: webJob({ ID: 'lost' }) });
  // Asked of a follower.
  const [answer] = await restored(group, s1, bytes);
  t.match(answer, { Index: Number, Metadata: { Index: first.store.index, Version: 1 } });
  t.ok(group.passed.includes('s1>s0 Operator.SnapshotRestore'));
  for (const { store } of [s0, s1, s2]) {
    t.ok(store.snapshot().jobById('default', 'web'));
    t.notOk(store.snapshot().jobById('default', 'lost'));
    t.equal([...store.snapshot().allocsByJob('default', 'web')].length, 2);
  }
  // The leader's machinery has begun anew: what comes now is placed.
  const asked = s2.call('Job.Register', { Job: webJob({ ID: 'later', count: 1 }) });
  await group.time.advance(500);
  const { JobModifyIndex } = await asked;
  t.ok(JobModifyIndex > (answer?.Index ?? 0), 'and indexes go on rising');
  t.equal([...s2.store.snapshot().allocsByJob('default', 'later')].length, 1);
});

t.test('whoever waits for a change is answered when the state is restored', async (t) => {
  const first = createTestWorld();
  await first.call('Job.Register', { Job: webJob() });
  const bytes = await saved(null, first);
  const { Index } = await first.call('Job.GetJob', { JobID: 'web' });
  const waiting = first.call('Job.GetJob', { JobID: 'web', MinQueryIndex: Index + 1_000 });
  let answered = false;
  void waiting.then(() => {
    answered = true;
  });
  await first.time.advance(1_000);
  t.notOk(answered);
  await restored(null, first, bytes);
  await first.time.advance(20);
  t.match(await waiting, { Job: { ID: 'web' } });
});

t.test('an archive that is damaged is refused, and changes nothing', async (t) => {
  const first = createTestWorld();
  await first.call('Job.Register', { Job: webJob() });
  const bytes = await saved(null, first);
  await first.call('Job.Register', { Job: webJob({ ID: 'other' }) });
  await t.rejects(restored(null, first, bytes.subarray(0, bytes.length - 100)), { code: 'E_STORAGE' });
  await t.rejects(restored(null, first, Buffer.from('hello')), { code: 'E_STORAGE' });
  await first.time.advance(20);
  t.ok(first.store.snapshot().jobById('default', 'other'));
  t.equal(first.store.snapshot().count('restores'), 0, 'and leaves nothing behind');
});

t.test('what runs in a restored state and was stopped since is started anew', async (t) => {
  const first = createTestWorld();
  const node = await first.addNode(1);
  await first.call('Job.Register', { Job: webJob({ ID: 'service', count: 1 }) });
  await first.call('Job.Register', { Job: { ...batchJob({ ID: 'system', count: 1 }), Type: 'system' } });
  for (const ID of ['batch', 'done', 'limited']) await first.call('Job.Register', { Job: batchJob({ ID, count: 1 }) });
  await first.time.advance(20);
  await first.obey(node);
  const bytes = await saved(null, first);
  const jobs = ['service', 'system', 'batch', 'done', 'limited'];
  for (const JobID of jobs) await first.call('Job.Deregister', { JobID });
  await first.time.advance(20);
  await first.obey(node);
  await restored(null, first, bytes);
  await first.time.advance(20);
  // What the client ended it does not start again: it can but tell.
  const running = jobs.flatMap((id) => first.allocs(id));
  const ends: Record<string, string[]> = { batch: ['Killing'], limited: ['Max Run Duration Exceeded', 'Killing'] };
  const Alloc = running.map(({ ID, JobID, ClientDescription, TaskGroup, Job, AllocStates, NetworkStatus }) => {
    const Events = [...(ends[JobID] ?? []), 'Terminated'].map((Type) => ({ Type }));
    const tasks = Job?.TaskGroups.find(({ Name }) => Name === TaskGroup)?.Tasks ?? [];
    const states = tasks.map(({ Name }) => [Name, { State: 'dead', Failed: false, Events }]);
    const TaskStates = Object.fromEntries(states) as Record<string, TaskState>;
    const said = { ID, ClientDescription, TaskStates, AllocStates, NetworkStatus, DeploymentStatus: null };
    return { ...said, ClientStatus: 'complete' as const };
  });
  t.equal(Alloc.length, 5);
  await first.call('Node.UpdateAlloc', { NodeID: node.ID, SecretID: node.SecretID, Alloc });
  await first.time.advance(20);
  const pending = (id: string) => first.allocs(id).filter(({ ClientStatus }) => ClientStatus === 'pending').length;
  t.same(jobs.map(pending), [1, 1, 1, 0, 0], 'work that was done, or out of its time, is not done again');
});
