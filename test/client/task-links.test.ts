// What the agent, which may be root, writes for a task goes to that task's directories, whatever links the task has put there.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { allocPaths, ensureAllocDir, ensureTaskDir, removeAllocDir, taskPaths } from '../../lib/client/alloc-dir.js';
import { ephemeralDiskHook } from '../../lib/client/alloc-hooks/ephemeral-disk.js';
import { dispatchHook } from '../../lib/client/hooks/dispatch.js';
import { identityHook } from '../../lib/client/hooks/identity.js';
import { giveVolume } from '../../lib/client/hooks/volumes.js';
import { FakeTimers, fakeAlloc, fakeGroup, fakeJob, fakeTask } from './fakes.js';

const PLAIN = { owner: null, use: 'work', secretsMb: 0 } as const;

async function place(t: Test) {
  const root = mkdtempSync(join(tmpdir(), 'task-links-'));
  const host = join(root, 'host');
  mkdirSync(host);
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  await ensureAllocDir(root, 'a');
  await ensureTaskDir(root, 'a', 'web', PLAIN);
  return { root, host, paths: { ...allocPaths(root, 'a'), ...taskPaths(root, 'a', 'web') } };
}

/** As a task does that may write beside its directories. */
function replace(path: string, target: string): void {
  rmSync(path, { recursive: true, force: true });
  symlinkSync(target, path);
}

const IDENTITY = { Name: 'x', Env: false, File: true, Filepath: '', TTL: 0, ChangeMode: '', ChangeSignal: '' };

function identityContext(paths: object, identity: object): never {
  const Signed = { x: { JWT: 'token', Expiration: 0 } };
  return {
    task: fakeTask({ Identities: [{ ...IDENTITY, ...identity }] } as never),
    alloc: fakeAlloc(''),
    paths,
    client: {
      rpc: { call: async () => ({ Signed }) },
      node: () => ({ ID: 'n', SecretID: 's' }),
      timers: new FakeTimers(),
    },
    signal: new AbortController().signal,
    state: { get: () => null, put: () => {} },
    draft: { values: { env: {} } },
  } as never;
}

t.test('a token is not written over a link, however it is named', async (t) => {
  const { host, paths } = await place(t);
  const victim = join(host, 'victim');
  for (const name of ['nomad_x.jwt', 'nomad_x.jwt.new']) symlinkSync(victim, join(paths.secretsDir, name));
  await identityHook.prestart(identityContext(paths, {}));
  t.notOk(existsSync(victim));
  t.equal(readFileSync(join(paths.secretsDir, 'nomad_x.jwt'), 'utf8'), 'token');
  t.equal(statSync(join(paths.secretsDir, 'nomad_x.jwt')).mode & 0o777, 0o600);
  symlinkSync(host, join(paths.localDir, 'out'));
  await t.rejects(
    identityHook.prestart(identityContext(paths, { Filepath: 'local/out/t' })),
    /escapes the task's directory/,
  );
  await t.rejects(
    identityHook.prestart(identityContext(paths, { Filepath: '../../t' })),
    /escapes the task's directory/,
  );
  replace(paths.secretsDir, host);
  await t.rejects(identityHook.prestart(identityContext(paths, {})), /escapes the task's directory/);
  t.same(readdirSync(host), []);
});

t.test(
  'a link in the place of one of its directories is refused at the next start, and what it names keeps its owner',
  async (t) => {
    for (const part of ['local', 'secrets', 'private', 'tmp']) {
      const { root, host, paths } = await place(t);
      chmodSync(host, 0o711);
      replace(join(paths.taskDir, part), host);
      const owner = { uid: 65_534, gid: 65_534 };
      await t.rejects(ensureTaskDir(root, 'a', 'web', { ...PLAIN, owner }), /is a link or no directory/, part);
      const { uid, mode } = statSync(host);
      t.same([uid, mode & 0o777], [process.getuid?.(), 0o711]);
    }
    const { root, host, paths } = await place(t);
    replace(paths.logDir, host);
    await t.rejects(ensureAllocDir(root, 'a'), /is a link or no directory/);
  },
);

t.test('tasks that start together make what they share once', async (t) => {
  const { root } = await place(t);
  await Promise.all(Array.from({ length: 8 }, () => ensureAllocDir(root, 'b')));
  t.equal(statSync(join(root, 'b/alloc/tmp')).mode & 0o7777, 0o1777);
});

t.test('a dispatch payload is not written through a linked local directory', async (t) => {
  const { host, paths } = await place(t);
  replace(paths.localDir, host);
  const task = fakeTask({ DispatchPayload: { File: 'x' } } as never);
  await t.rejects(dispatchHook.prestart({ job: { Payload: 'eA==' }, task, paths } as never), /link/);
  t.same(readdirSync(host), []);
});

t.test('a volume is not linked through a link', async (t) => {
  const { host, paths } = await place(t);
  symlinkSync(host, join(paths.localDir, 'out'));
  const mount = { Volume: 'v', Destination: 'local/out/deep/v', ReadOnly: false, PropagationMode: 'private' };
  const context = {
    group: { Name: 'g', Volumes: { v: {} } },
    shared: { volumes: { v: { hostPath: host, kind: 'directory', readOnly: false } } },
    driver: { capabilities: { fsIsolation: 'none' } },
    draft: { mounts: [], deviceNodes: [] },
    reattach: false,
    paths,
  };
  await t.rejects(giveVolume(context as never, mount as never), /is a link/);
  t.same(readdirSync(host), []);
});

t.test('a task that can write to a read-only volume says so: a link keeps it from nothing', async (t) => {
  const { host, paths } = await place(t);
  const told: string[] = [];
  const give = (name: string, readOnly: boolean, Type: string) =>
    giveVolume(
      {
        task: { Driver: 'raw_exec' },
        group: { Name: 'g', Volumes: { [name]: { Type, Source: name } } },
        shared: { volumes: { [name]: { hostPath: host, kind: 'directory', readOnly } } },
        client: { hostVolumes: { waitFor: async () => null } },
        control: { tell: (message: string) => told.push(message) },
        driver: { capabilities: { fsIsolation: 'none' } },
        draft: { mounts: [], deviceNodes: [] },
        reattach: false,
        paths,
      } as never,
      { Volume: name, Destination: name, ReadOnly: readOnly, PropagationMode: 'private' } as never,
    );
  await give('host', true, 'host');
  await give('mounted', true, 'csi');
  await give('own', false, 'host');
  t.match(told, [/^Volume "host" is read_only, and yet this task can write to it: driver "raw_exec" gives it/]);
  t.equal(told.length, 1);
});

t.test('data that its task has replaced by a link does not move on', async (t) => {
  const { root, host, paths } = await place(t);
  replace(paths.localDir, host);
  const group = {
    ...fakeGroup([fakeTask({ Name: 'web' })]),
    EphemeralDisk: { Sticky: true, Migrate: false, SizeMB: 1 },
  };
  const alloc = { ...fakeAlloc('', fakeJob(group)), ID: 'b', PreviousAllocation: 'a' };
  const state = { get: () => null, put: () => {} };
  const client = { config: () => ({ allocDir: root }) };
  await ephemeralDiskHook.prerun({
    alloc,
    group,
    client,
    state,
    reattach: false,
    mayWait: true,
    signal: new AbortController().signal,
  } as never);
  t.notOk(existsSync(join(root, 'b/web/local')));
  t.ok(statSync(join(root, 'b/alloc/data')).isDirectory());
});

t.test('a directory that a task has nested beyond the length of a path goes with its allocation', async (t) => {
  const { root, paths } = await place(t);
  const dive = "for (let i = 0; i < 1200; i++) { require('fs').mkdirSync('dddd'); process.chdir('dddd'); }";
  execFileSync(process.execPath, ['-e', dive], { cwd: paths.localDir });
  await t.rejects(rm(join(root, 'a'), { recursive: true }), 'Node cannot');
  await removeAllocDir(root, 'a');
  t.notOk(existsSync(join(root, 'a')));
});
