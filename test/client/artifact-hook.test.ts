import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { allocPaths, ensureAllocDir, ensureTaskDir, taskPaths } from '../../lib/client/alloc-dir.js';
import { defaultClientConfig } from '../../lib/client/config.js';
import { artifactHook } from '../../lib/client/hooks/artifact.js';
import { dispatchHook } from '../../lib/client/hooks/dispatch.js';
import type { HookContext } from '../../lib/client/hooks/hook.js';
import type { Task, TaskArtifact } from '../../lib/structs/job.js';
import { silentLog } from '../../lib/util/log.js';
import { FakeDriver, FakeEngine, FakeTimers, fakeAlloc, fakeGroup, fakeJob, fakeTask } from './fakes.js';

const ARTIFACT: TaskArtifact = {
  GetterSource: '',
  GetterOptions: null,
  GetterHeaders: null,
  GetterMode: 'any',
  GetterInsecure: false,
  RelativeDest: 'local/',
  Chown: false,
};

/** A task's directory and memory, and what is told of it. */
async function desk(t: Test) {
  const root = mkdtempSync(join(tmpdir(), 'artifact-hook-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const { ID } = fakeAlloc('');
  await ensureAllocDir(root, ID);
  await ensureTaskDir(root, ID, 'web', { owner: null, use: 'work', secretsMb: 0 });
  const told: string[] = [];
  let kept: unknown = null;
  const paths = { ...allocPaths(root, ID), ...taskPaths(root, ID, 'web') };
  const context = (fields: Partial<Task>, more: Partial<HookContext> = {}): HookContext => {
    const task = fakeTask({ Meta: { name: 'f.txt' }, ...fields });
    const group = fakeGroup([task]);
    const job = fakeJob(group);
    return {
      alloc: fakeAlloc('', job),
      job,
      group,
      task,
      node: { ID: 'n', Name: 'n', Datacenter: 'dc1', NodeClass: '', NodePool: '', Attributes: {}, Meta: {} } as never,
      driver: new FakeDriver(new FakeEngine()),
      config: defaultClientConfig({ stateDir: null, allocDir: root, nodeName: 'n' }),
      paths,
      client: { timers: new FakeTimers() } as never,
      shared: { network: null, networkInode: null, networkStatus: null, volumes: {} },
      reattach: false,
      signal: new AbortController().signal,
      control: { tell: (message: string, type?: string) => void told.push(`${type}: ${message}`) } as never,
      log: silentLog,
      draft: { user: '', mounts: [], deviceNodes: [], cdiDevices: [], values: { env: {}, node: {} }, secrets: {} },
      state: {
        get: () => kept,
        put: (state) => {
          kept = state;
        },
      },
      ...more,
    };
  };
  return { root, paths, told, context };
}

async function web(t: Test, files: Record<string, string>): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer(({ url = '' }, response) => {
    asked.push(url);
    const found = files[url];
    if (found === undefined) response.writeHead(404).end();
    else response.end(found);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise((resolve) => server.close(resolve)));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

t.test('artifacts come once in the life of a task, and what failed is fetched the next time', async (t) => {
  const { paths, told, context } = await desk(t);
  const files: Record<string, string> = { '/f.txt': 'one' };
  const { url, asked } = await web(t, files);
  const Artifacts = [
    { ...ARTIFACT, GetterSource: `${url}/\${NOMAD_META_name}` },
    { ...ARTIFACT, GetterSource: `${url}/late`, RelativeDest: '${NOMAD_TASK_DIR}/late', GetterMode: 'file' },
  ];
  await t.rejects(artifactHook.prestart(context({ Artifacts })), {
    message: /\/late": bad response code: 404/,
    recoverable: true,
    download: true,
  });
  t.same(told, ['Downloading Artifacts: Client is downloading artifacts']);
  // What an agent left that was killed in the middle of it.
  mkdirSync(join(paths.privateDir, '.artifacts/artifact-old'), { recursive: true });
  files['/late'] = 'two';
  await artifactHook.prestart(context({ Artifacts }));
  t.same(asked, ['/f.txt', '/late', '/late']);
  t.same(readdirSync(join(paths.privateDir, '.artifacts')), []);
  t.same(
    ['f.txt', 'late'].map((name) => readFileSync(join(paths.localDir, name), 'utf8')),
    ['one', 'two'],
  );
  rmSync(join(paths.localDir, 'f.txt'));
  await artifactHook.prestart(context({ Artifacts }));
  await artifactHook.prestart(context({ Artifacts }, { reattach: true }));
  t.equal(asked.length, 3, 'a restart and another agent fetch nothing');
  t.notOk(existsSync(join(paths.localDir, 'f.txt')));
  await artifactHook.prestart(context({ Artifacts, Meta: { name: 'late' } }));
  t.equal(asked.length, 4, 'another source is another artifact');
});

t.test('an artifact for elsewhere is refused', async (t) => {
  const { context } = await desk(t);
  for (const RelativeDest of ['../../x', '/etc', '../other/x']) {
    const Artifacts = [{ ...ARTIFACT, GetterSource: 'http://127.0.0.1:1/x', RelativeDest }];
    const expected = RelativeDest === '/etc' ? { recoverable: true } : { message: /leads out/, recoverable: false };
    await t.rejects(artifactHook.prestart(context({ Artifacts })), { message: /./, ...expected }, RelativeDest);
  }
});

t.test('a payload is written past no link that the task has put in its place', async (t) => {
  const { root, paths, context } = await desk(t);
  writeFileSync(join(root, 'victim'), 'whole');
  symlinkSync(join(root, 'victim'), join(paths.localDir, 'in'));
  symlinkSync(root, join(paths.localDir, 'up'));
  const given = (File: string): HookContext => {
    const made = context({ DispatchPayload: { File } });
    return { ...made, job: { ...made.job, Payload: Buffer.from('load').toString('base64') } };
  };
  await dispatchHook.prestart(given('in'));
  t.equal(readFileSync(join(paths.localDir, 'in'), 'utf8'), 'load');
  t.equal(readFileSync(join(root, 'victim'), 'utf8'), 'whole');
  await t.rejects(dispatchHook.prestart(given('up/x')), { message: /is a link/, recoverable: false });
  await t.rejects(dispatchHook.prestart(given('../../x')), { message: /leads out/, recoverable: false });
});
