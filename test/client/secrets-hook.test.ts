import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { allocPaths, taskPaths } from '../../lib/client/alloc-dir.js';
import { defaultClientConfig } from '../../lib/client/config.js';
import { taskValues } from '../../lib/client/hooks/env.js';
import type { HookContext } from '../../lib/client/hooks/hook.js';
import { secretsHook } from '../../lib/client/hooks/secrets.js';
import { interpolateValue } from '../../lib/client/interpolate.js';
import { runPluginProgram } from '../../lib/client/plugin-program.js';
import { fetchFromPlugin, hideValues, secretPluginVersions } from '../../lib/client/secrets/plugins.js';
import type { Secret } from '../../lib/structs/job.js';
import { silentLog } from '../../lib/util/log.js';
import { eventually } from '../support/mesh-agent.js';
import { FakeDriver, FakeEngine, FakeTimers, fakeAlloc, fakeGroup, fakeJob, fakeTask } from './fakes.js';

/** A common_plugin_dir with these shell scripts among its plugins for secrets. */
function pluginDir(t: Test, scripts: Record<string, string>): string {
  const dir = mkdtempSync(join(tmpdir(), 'secrets-hook-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'secrets'));
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(dir, 'secrets', name), `#!/bin/sh\n${script}\n`, {
      mode: name.endsWith('.txt') ? 0o644 : 0o755,
    });
  }
  return dir;
}

const secret = (Name: string, Provider: string, more: Partial<Secret> = {}): Secret => ({
  Name,
  Provider,
  Path: `path/of/${Name}`,
  Config: null,
  Env: null,
  ...more,
});

interface World {
  dir: string;
  secrets: Secret[];
  /** Namespace and path → items. */
  variables?: Record<string, Record<string, string>>;
  reattach?: boolean;
  signal?: AbortSignal;
  kept?: unknown;
}

function hookContext(world: World): { context: HookContext; told: string[]; kept: () => unknown } {
  const told: string[] = [];
  let kept: unknown = world.kept ?? null;
  const task = fakeTask({ Secrets: world.secrets, Env: { KEY: `\${secret.api.key}` } });
  const group = fakeGroup([task]);
  const job = fakeJob(group);
  const rpc = {
    call: async (
      _: string,
      { Namespace, Path, MinQueryIndex }: Record<'Namespace' | 'Path' | 'MinQueryIndex', string>,
    ) => {
      // As the servers do: a second question waits for a change.
      if (Number(MinQueryIndex) > 0) await new Promise(() => {});
      const Items = world.variables?.[`${Namespace} ${Path}`];
      return { Index: 7, Variable: Items ? { Path, Items } : null };
    },
  };
  const timers = new FakeTimers();
  const db = { allocs: { get: () => ({ hooks: {} }) }, putHook: () => {} };
  const context = {
    alloc: fakeAlloc('', job),
    job,
    group,
    task,
    node: { ID: 'n', Name: 'n', Datacenter: 'dc1', NodeClass: '', NodePool: '', Attributes: {}, Meta: {} },
    driver: new FakeDriver(new FakeEngine()),
    config: {
      ...defaultClientConfig({ stateDir: null, allocDir: world.dir, nodeName: 'n' }),
      commonPluginDir: world.dir,
    },
    paths: { ...allocPaths(world.dir, 'a'), ...taskPaths(world.dir, 'a', 'web') },
    client: { timers, rpc, db, random: () => 0, node: () => ({ ID: 'n', SecretID: 's' }), log: silentLog },
    shared: { network: null, networkStatus: null, volumes: {} },
    reattach: world.reattach ?? false,
    signal: world.signal ?? new AbortController().signal,
    control: { tell: (message: string) => void told.push(message) },
    log: silentLog,
    draft: { user: '', mounts: [], deviceNodes: [], cdiDevices: [], values: { env: {}, node: {} }, secrets: {} },
    state: {
      get: () => kept,
      put: (state: unknown) => {
        kept = state;
      },
    },
  };
  return { context: context as never, told, kept: () => kept };
}

const ECHO =
  'echo "{\\"result\\": {\\"key\\": \\"$1 $2 by $TOKEN for $NOMAD_JOB_ID in $NOMAD_NAMESPACE as $CPI_OPERATION\\"}}"';

t.test('a key that is not there is told, and its words stay', async (t) => {
  const variables = { 'default path/of/api': { keys: 'x' } };
  const { context, told } = hookContext({ dir: pluginDir(t, {}), secrets: [secret('api', 'nomad')], variables });
  await secretsHook.prestart(context);
  t.equal(taskValues(context).env['KEY'], `\${secret.api.key}`);
  t.strictSame(told, [`There is no \${secret.api.key}: the words stay as they are; did you mean \${secret.api.keys}?`]);
});

t.test('variables come first, and what plugins are given may be one of them', async (t) => {
  const dir = pluginDir(t, { keeper: ECHO });
  const secrets = [
    secret('api', 'keeper', { Env: { TOKEN: `\${secret.db.password}-\${node.unique.name}` } }),
    secret('db', 'nomad'),
    secret('far', 'nomad', { Config: { namespace: 'other' } }),
  ];
  const variables = { 'default path/of/db': { password: 'pass' }, 'other path/of/far': { 'odd key': 'x', y: 'a\nb' } };
  const { context, kept, told } = hookContext({ dir, secrets, variables });
  await secretsHook.prestart(context);
  const key = 'fetch path/of/api by pass-n for job in default as fetch';
  const found = {
    'secret.db.password': 'pass',
    'secret.api.key': key,
    'secret.far.odd key': 'x',
    'secret.far.y': 'a\nb',
  };
  t.strictSame({ ...context.draft.secrets }, found);
  const values = taskValues(context);
  t.equal(values.env['KEY'], key);
  t.strictSame(interpolateValue({ a: [`\${secret.far.y}`, `\${secret.none.y}`] }, values), {
    a: ['a\nb', `\${secret.none.y}`],
  });
  t.strictSame(told, []);

  const later = hookContext({ dir, secrets, reattach: true, kept: kept() });
  await secretsHook.prestart(later.context);
  t.strictSame({ ...later.context.draft.secrets }, found, 'a running task keeps what it has');
});

t.test('a task that is to end waits for no variable and no plugin', async (t) => {
  const dir = pluginDir(t, { slow: 'sleep 600 & echo $! > "$MARK"; wait' });
  const ending = new AbortController();
  const waiting = hookContext({ dir, secrets: [secret('db', 'nomad')], signal: ending.signal });
  const gone = t.rejects(secretsHook.prestart(waiting.context), { message: 'secret "db": the task is to end' });
  const mark = join(dir, 'mark');
  const asking = hookContext({ dir, secrets: [secret('x', 'slow', { Env: { MARK: mark } })], signal: ending.signal });
  const stopped = t.rejects(secretsHook.prestart(asking.context), { message: /plugin "slow": it was not waited for/ });
  await eventually('the plugin to run', () =>
    existsSync(mark) && readFileSync(mark, 'utf8').endsWith('\n') ? true : undefined,
  );
  const pid = readFileSync(mark, 'utf8').trim();
  ending.abort();
  await Promise.all([gone, stopped]);
  // One that nobody has fetched yet is dead all the same.
  const isGone = (): boolean => !existsSync(`/proc/${pid}`) || / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  await eventually('what it has started to end', () => (isGone() ? true : undefined));
});

t.test('a plugin that does not do its work is told of, without a word of what it was given', async (t) => {
  const dir = pluginDir(t, {
    refuses: 'echo "{\\"error\\": \\"no such path for $TOKEN\\"}"',
    fails: 'echo "bad token $TOKEN" >&2; exit 3',
    mute: 'exit 4',
    prints: 'echo "the secret itself"',
    list: 'echo "[]"',
    numbers: 'echo "{\\"result\\": {\\"n\\": 1}}"',
    nothing: 'exit 0',
    'notes.txt': '',
  });
  const ask = async (plugin: string) => {
    const { signal } = new AbortController();
    const fetched = await fetchFromPlugin(dir, { plugin, path: 'p', env: { TOKEN: 'hunter2', N: '3' }, signal });
    return fetched.ok ? fetched.value : fetched.error;
  };
  t.equal(await ask('refuses'), 'plugin "refuses": no such path for ***');
  t.equal(await ask('fails'), 'plugin "fails": exit code 3: bad token ***');
  t.equal(await ask('mute'), 'plugin "mute": exit code 4');
  t.equal(await ask('prints'), 'plugin "prints": its answer is no JSON with "result"');
  t.equal(await ask('list'), 'plugin "list": its answer is no JSON with "result"');
  t.equal(await ask('numbers'), 'plugin "numbers": "result" has a number under "n", no string');
  t.strictSame(await ask('nothing'), {});
  for (const name of ['none', 'notes.txt', '../secrets/mute']) {
    t.match(await ask(name), `plugin "${name}" is not in ${dir}/secrets: there are fails, list, mute, nothing, `);
  }
  t.match(
    await fetchFromPlugin(join(dir, 'x'), { plugin: 'a', path: '', env: {}, signal: new AbortController().signal }),
    {
      error: /there is none$/,
    },
  );
});

t.test('only what says that it keeps secrets is offered', async (t) => {
  const dir = pluginDir(t, {
    good: 'test "$1 $CPI_OPERATION" = "fingerprint fingerprint" && echo "{\\"type\\": \\"secrets\\", \\"version\\": \\"1.2.3\\"}"',
    other: 'echo "{\\"type\\": \\"dns\\", \\"version\\": \\"1.2.3\\"}"',
    young: 'echo "{\\"type\\": \\"secrets\\"}"',
    broken: 'exit 1',
    'notes.txt': '',
  });
  t.strictSame(await secretPluginVersions(dir), { good: '1.2.3' });
  t.strictSame(await secretPluginVersions(join(dir, 'none')), {});
});

t.test('a program that hangs is ended, and one that talks too much', async (t) => {
  const dir = pluginDir(t, { hangs: 'trap "" TERM; sleep 600 & wait; wait', talks: 'yes' });
  const call = { args: [], env: {} };
  const hung = await runPluginProgram(join(dir, 'secrets/hangs'), { ...call, timeoutMs: 100 });
  t.equal(hung.problem, 'it did not end within 0.1 s');
  const loud = await runPluginProgram(join(dir, 'secrets/talks'), { ...call, timeoutMs: 60_000 });
  t.equal(loud.problem, 'it printed more than 1 MiB');
  const none = await runPluginProgram(join(dir, 'none'), { ...call, timeoutMs: 60_000 });
  t.match(none, { problem: /ENOENT/ });
});

t.test('values are hidden as they stand and as they are quoted', async (t) => {
  t.equal(hideValues('a hunter2 "say \\"hi\\"" b', ['hunter2', 'say "hi"']), 'a *** "***" b');
  t.equal(hideValues('no user of true', ['no', 'tru', '']), 'no user of true');
  t.equal(hideValues('abcdef', ['abcd', 'abcdef']), '***');
});
