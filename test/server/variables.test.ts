import { createPublicKey, verify } from 'node:crypto';
import t from 'tap';
import { parseVariable, printVariableFile } from '../../lib/jobspec/variable-file.js';
import type { Template, WorkloadIdentity } from '../../lib/structs/job.js';
import { keyFromSeed } from '../../lib/transport/signature.js';
import { mockNode, mockTask } from '../scheduler/mock.js';
import { createTestWorld, type TestWorld, webJob } from './world.js';

const OWN = keyFromSeed(new Uint8Array(32).fill(7));

/** A server that keeps secrets. */
async function keeping(): Promise<TestWorld> {
  return createTestWorld({ config: { identity: OWN } });
}

/** The keyring works in turns of its own: real ones, since it seals with real keys. */
async function settle(world: TestWorld, done: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !done(); i++) {
    await world.time.advance(20);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (!done()) throw new Error('the keyring did not settle');
}

const SECRET = 'not to be seen';

t.test('a variable is kept encrypted, and opened for who asks', async (t) => {
  const world = await keeping();
  const { Variable } = await world.call('Variables.Put', { Path: 'a/b', Items: { password: SECRET } });
  t.match(Variable, { Namespace: 'default', Path: 'a/b' });
  t.match((await world.call('Variables.Read', { Path: 'a/b' })).Variable, { Items: { password: SECRET } });
  t.equal((await world.call('Variables.Read', { Path: 'other' })).Variable, null);
  const chunks: Uint8Array[] = [];
  for await (const chunk of world.store.snapshot().stream()) chunks.push(chunk);
  const bytes = Buffer.concat(chunks).toString('latin1');
  t.notOk(bytes.includes(SECRET), 'no snapshot has it');
  t.notOk(JSON.stringify(world.consensus.log).includes(SECRET), 'no log entry has it');
  const before = world.store.snapshot();
  await world.store.restore(before.stream(), before.index);
  t.match((await world.call('Variables.Read', { Path: 'a/b' })).Variable, { Items: { password: SECRET } });
});

t.test('check and set: written only over what was read', async (t) => {
  const world = await keeping();
  const put = (CAS: number, value: string) => world.call('Variables.Put', { Path: 'x', Items: { value }, CAS });
  const first = await put(0, '1');
  t.equal((await put(0, '2')).Variable, null);
  t.match((await put(99, '2')).Conflict, { ModifyIndex: first.Variable?.ModifyIndex });
  const second = await put(first.Variable?.ModifyIndex ?? 0, '2');
  t.ok(second.Variable);
  t.equal(second.Variable?.CreateIndex, first.Variable?.CreateIndex);
  t.ok((await world.call('Variables.Delete', { Path: 'x', CAS: 1 })).Conflict);
  t.equal((await world.call('Variables.Delete', { Path: 'x' })).Conflict, null);
  t.equal((await world.call('Variables.Read', { Path: 'x' })).Variable, null);
});

t.test('what is no variable is refused, and its items are not said again', async (t) => {
  const world = await keeping();
  const put = (Path: string, Items: unknown) =>
    world.call('Variables.Put', { Path, Items: Items as Record<string, string> });
  for (const path of ['a b', '/a', 'a/', 'a//b', 'nomad/other', 'ä', 'x'.repeat(129)]) {
    await t.rejects(put(path, { a: 'b' }), { code: 'E_BAD_REQUEST' }, path);
  }
  for (const path of ['nomad/jobs', 'nomad/jobs/x/y', 'nomad/job-templates/x', 'A-b_c~d/e']) {
    t.ok((await put(path, { a: 'b' })).Variable, path);
  }
  for (const items of [{}, { a: 1 }, { '': 'x' }, ['a']]) await t.rejects(put('x', items), { code: 'E_BAD_REQUEST' });
  const big = await put('x', { a: SECRET.repeat(10_000) }).catch((error: Error) => error.message);
  t.match(big, /65536 at most/);
  t.notMatch(big, SECRET);
});

t.test('a new key takes over: variables are encrypted anew, unchanged for their readers', async (t) => {
  const world = await keeping();
  const { Variable } = await world.call('Variables.Put', { Path: 'x', Items: { value: '1' } });
  const { Key } = await world.call('Keyring.Rotate', {});
  const row = () => world.store.snapshot().variableByPath('default', 'x');
  await settle(world, () => row()?.KeyID === Key.KeyID);
  t.equal(row()?.ModifyIndex, Variable?.ModifyIndex);
  t.match((await world.call('Variables.Read', { Path: 'x' })).Variable, { Items: { value: '1' } });
  await t.rejects(world.call('Keyring.Delete', { KeyID: Key.KeyID }), { code: 'E_CONFLICT' });
  const old = (await world.call('Keyring.List', {})).Keys.find(({ State }) => State === 'inactive');
  await world.call('Keyring.Delete', { KeyID: old?.KeyID ?? '' });
  t.equal((await world.call('Keyring.List', {})).Keys.length, 1);
});

const template = (EmbeddedTmpl: string): Template => ({ EmbeddedTmpl }) as Template;

/** A node with an allocation of the job `web`, whose task has a template and an identity. */
async function working(world: TestWorld, nodeNumber = 1) {
  const { Attributes } = mockNode(nodeNumber);
  const node = await world.addNode(nodeNumber, {
    Attributes: { ...Attributes, 'plugins.secrets.nomad.version': '1.0.0' },
  });
  const identity = { Name: 'default', Audience: ['nomadproject.io'], TTL: 0 } as WorkloadIdentity;
  const named = { Name: 'vault', Audience: ['a', 'b'], TTL: 3600e9 } as WorkloadIdentity;
  const job = webJob({ count: 0 });
  const [group] = job.TaskGroups ?? [];
  if (!group) throw new Error('no group');
  group.Tasks = [mockTask({ ...(group.Tasks[0] ?? {}), Identity: identity, Identities: [named] })];
  await world.call('Job.Register', { Job: job });
  const stored = world.store.snapshot().jobById('default', 'web');
  const [first] = stored?.TaskGroups ?? [];
  const Templates = [template('{{ with nomadVar "shared/db" }}{{ .x }}{{ end }}')];
  const secret = { Name: 's', Provider: 'nomad', Path: 'shared/secret', Config: null, Env: null };
  const Secrets = [secret, { ...secret, Name: 'f', Path: 'far/secret', Config: { namespace: 'far' } }];
  const Tasks = first?.Tasks.map((task) => ({ ...task, Templates, Secrets })) ?? [];
  const TaskGroups = first ? [{ ...first, Count: 1, Tasks }] : [];
  if (stored) {
    const changed = { ...stored, TaskGroups };
    await world.consensus.propose({ type: 'job-register', job: changed, eval: null, submission: null });
  }
  await world.call('Job.Evaluate', { JobID: 'web' });
  await world.time.advance(20);
  const [alloc] = world.allocs();
  const task = alloc?.Job?.TaskGroups[0]?.Tasks[0]?.Name ?? '';
  return { node, own: { NodeID: node.ID, SecretID: node.SecretID, AllocID: alloc?.ID ?? '', Task: task } };
}

t.test('a task sees what is meant for it, and its machine nothing else', async (t) => {
  const world = await keeping();
  const { own } = await working(world);
  const paths = ['nomad/jobs', 'nomad/jobs/web', `nomad/jobs/web/web/${own.Task}`, 'shared/db'];
  const hidden = ['nomad/jobs/other', 'nomad/jobs/web/other', 'shared/other'];
  for (const Path of [...paths, ...hidden]) await world.call('Variables.Put', { Path, Items: { x: Path } });
  for (const Path of paths) {
    t.match((await world.call('Variables.ReadForTask', { ...own, Path })).Variable, { Items: { x: Path } });
  }
  for (const Path of hidden) {
    await t.rejects(world.call('Variables.ReadForTask', { ...own, Path }), { code: 'E_PERMISSION_DENIED' }, Path);
  }
  const { Variables } = await world.call('Variables.ListForTask', { ...own, Prefix: '' });
  t.same(
    Variables.map(({ Path }) => Path),
    [...paths].sort(),
  );
  const read = async (Path: string, Namespace: string) =>
    (await world.call('Variables.ReadForTask', { ...own, Path, Namespace })).Variable?.Items['x'];
  for (const Namespace of ['default', 'far']) {
    for (const Path of ['shared/secret', 'far/secret']) {
      await world.call('Variables.Put', { Path, Namespace, Items: { x: `${Namespace} ${Path}` } });
    }
  }
  t.equal(await read('shared/secret', 'default'), 'default shared/secret');
  t.equal(await read('far/secret', 'far'), 'far far/secret');
  for (const [Path, Namespace] of [
    ['far/secret', 'default'],
    ['shared/secret', 'far'],
    ['nomad/jobs/web', 'far'],
  ] as const) {
    await t.rejects(read(Path, Namespace), { code: 'E_PERMISSION_DENIED' }, `${Path} in ${Namespace}`);
  }
  const thief = { ...own, SecretID: 'guessed', Path: 'nomad/jobs/web' };
  await t.rejects(world.call('Variables.ReadForTask', thief), { code: 'E_PERMISSION_DENIED' });
});

t.test('an identity says whose it is, and the public keys check it', async (t) => {
  const world = await keeping();
  const { own } = await working(world);
  const { Signed } = await world.call('Alloc.SignIdentities', { ...own, Identities: ['default', 'vault'] });
  const [head = '', body = '', signature = ''] = (Signed['vault']?.JWT ?? '').split('.');
  const read = (part: string): Record<string, unknown> => JSON.parse(Buffer.from(part, 'base64url').toString());
  const { Keys } = await world.call('Keyring.ListPublic', {});
  const jwk = Keys.find(({ kid }) => kid === read(head)['kid']);
  const key = createPublicKey({ key: { ...jwk } as Record<string, string>, format: 'jwk' });
  t.ok(verify(null, Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url')));
  t.match(read(body), { aud: ['a', 'b'], nomad_job_id: 'web', nomad_task: own.Task, nomad_allocation_id: own.AllocID });
  t.equal(Number(read(body)['exp']) - Number(read(body)['iat']), 3600);
  t.equal(Signed['default']?.Expiration, 0);
  await t.rejects(world.call('Alloc.SignIdentities', { ...own, Identities: ['other'] }), { code: 'E_BAD_REQUEST' });
});

t.test('a server that keeps no secrets says so', async (t) => {
  const world = createTestWorld();
  await t.rejects(world.call('Variables.Put', { Path: 'x', Items: { a: 'b' } }), { code: 'E_NO_LEADER' });
});

t.test('a variable as a file: both ways, and what is wrong with one', async (t) => {
  const items = { user: 'a "quoted" ${name}', 'odd key': 'line\nline' };
  const variable = {
    Namespace: 'default',
    Path: 'a/b',
    Items: items,
    CreateIndex: 1,
    ModifyIndex: 2,
    CreateTime: 0,
    ModifyTime: 0,
  };
  t.match(parseVariable(printVariableFile(variable), 'v.hcl'), { ok: true, value: { path: 'a/b', items } });
  t.match(parseVariable(JSON.stringify(variable), 'v.json'), {
    ok: true,
    value: { path: 'a/b', items, modifyIndex: '2' },
  });
  t.match(parseVariable('path = "x"\nitems {\n  a = "b"\n}\n', 'v.hcl'), { ok: true, value: { items: { a: 'b' } } });
  t.match(parseVariable('pth = "x"', 'v.hcl'), { ok: false, error: /v\.hcl:1,1/ });
  t.match(parseVariable('{', 'v.json'), { ok: false, error: /v\.json/ });
  t.match(parseVariable('{"Items": {"a": 1}}', 'v.json'), { ok: false, error: /must be a string/ });
});
