import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { allocPaths, taskPaths } from '../../lib/client/alloc-dir.js';
import { defaultClientConfig } from '../../lib/client/config.js';
import type { HookContext, TaskControl } from '../../lib/client/hooks/hook.js';
import { templateHook } from '../../lib/client/hooks/template.js';
import { parseEnvFile } from '../../lib/client/template/env-file.js';
import type { Template } from '../../lib/structs/job.js';
import { createLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { FakeDriver, FakeEngine, FakeTimers, fakeAlloc, fakeGroup, fakeJob, fakeTask, until } from './fakes.js';

const BLOCK: Template = {
  SourcePath: '',
  DestPath: 'local/out',
  EmbeddedTmpl: '',
  ChangeMode: 'restart',
  ChangeScript: null,
  ChangeSignal: '',
  Once: false,
  Splay: 0,
  Perms: '0644',
  Uid: null,
  Gid: null,
  LeftDelim: '{{',
  RightDelim: '}}',
  Envvars: false,
  VaultGrace: 0,
  Wait: { Min: 0, Max: 0 },
  ErrMissingKey: false,
};

/** A task's directory, and what its templates do to the task. */
class Desk {
  readonly root = mkdtempSync(join(tmpdir(), 'template-test-'));
  readonly timers = new FakeTimers();
  readonly acts: string[] = [];
  readonly paths;
  private readonly ending = new AbortController();
  private kept: unknown = null;
  control: TaskControl;
  outcome = { exitCode: 0, output: '' };

  constructor(t: Test) {
    const alloc = fakeAlloc('');
    this.paths = { ...allocPaths(this.root, alloc.ID), ...taskPaths(this.root, alloc.ID, 'web') };
    mkdirSync(this.paths.localDir, { recursive: true });
    mkdirSync(this.paths.secretsDir);
    mkdirSync(this.paths.sharedDir);
    this.control = this.newControl();
    t.teardown(() => {
      this.ending.abort();
      rmSync(this.root, { recursive: true, force: true });
    });
  }

  /** As another agent has it. */
  newControl(): TaskControl {
    const act = async (what: string): Promise<void> => void this.acts.push(what);
    return {
      restart: () => act('restart'),
      signal: (name) => act(name),
      fail: (reason) => act(`fail: ${reason}`),
      exec: async (command) => {
        this.acts.push(command.join(' '));
        return this.outcome;
      },
      tell: (message) => void this.acts.push(`told: ${message}`),
    };
  }

  context(blocks: Partial<Template>[], more: Partial<HookContext> = {}): HookContext {
    const task = fakeTask({ Templates: blocks.map((block) => ({ ...BLOCK, ...block })), Env: { COLOR: 'red' } });
    const group = fakeGroup([task]);
    const job = fakeJob(group);
    const config = defaultClientConfig({ stateDir: null, allocDir: this.root, nodeName: 'n' });
    return {
      alloc: fakeAlloc('', job),
      job,
      group,
      task,
      node: { ID: 'n', Name: 'n', Datacenter: 'dc1', NodeClass: '', NodePool: '', Attributes: {}, Meta: {} } as never,
      driver: new FakeDriver(new FakeEngine()),
      config,
      paths: this.paths,
      client: { timers: this.timers, random: seededRandom(1) } as never,
      shared: { network: null, networkInode: null, networkStatus: null, volumes: {} },
      reattach: false,
      signal: this.ending.signal,
      control: this.control,
      log: createLog(() => {}),
      draft: { user: '', mounts: [], deviceNodes: [], cdiDevices: [], values: { env: {}, node: {} }, secrets: {} },
      state: {
        get: () => this.kept,
        put: (state) => {
          this.kept = state;
        },
      },
      ...more,
    };
  }

  file(name = 'local/out'): string {
    return readFileSync(join(this.paths.taskDir, name), 'utf8');
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.paths.taskDir, name), text);
  }

  /** Waits until the templates have acted, moving the time on. */
  async acted(count: number): Promise<void> {
    await until(() => {
      this.timers.advance(100);
      return this.acts.length >= count;
    }, `${count} acts`);
  }
}

t.test('a template is rendered before the start, with the modes and the variables it asks for', async (t) => {
  const desk = new Desk(t);
  const context = desk.context([
    { EmbeddedTmpl: '{{ env "COLOR" }}\n', Perms: '0640', DestPath: 'local/a/b/out' },
    { EmbeddedTmpl: 'A=1\nexport B="x y"\n', Envvars: true, DestPath: '${NOMAD_SECRETS_DIR}/env', Perms: '600' },
    { EmbeddedTmpl: '[[ 1 ]]{{', LeftDelim: '[[', RightDelim: ']]', DestPath: '../alloc/shared' },
  ]);
  await templateHook.prestart(context);
  t.equal(desk.file('local/a/b/out'), 'red\n');
  t.equal(statSync(join(desk.paths.localDir, 'a/b/out')).mode & 0o777, 0o640);
  t.equal(statSync(join(desk.paths.secretsDir, 'env')).mode & 0o777, 0o600);
  t.equal(readFileSync(join(desk.paths.sharedDir, 'shared'), 'utf8'), '1{{');
  t.match(context.draft.values.env, { A: '1', B: 'x y' });
});

t.test('a start waits for a file, and a change of it restarts the task', async (t) => {
  const desk = new Desk(t);
  const context = desk.context([{ EmbeddedTmpl: '{{ file "local/in" }}' }]);
  const prepared = templateHook.prestart(context);
  await until(() => {
    desk.timers.advance(1_000);
    return desk.acts.length > 0;
  }, 'it tells what it waits for');
  t.same(desk.acts, ['told: Template is waiting for: file(local/in)']);
  desk.write('local/in', 'one');
  await Promise.all([
    prepared,
    until(() => {
      desk.timers.advance(2_000);
      return existsSync(join(desk.paths.localDir, 'out'));
    }, 'rendered'),
  ]);
  t.equal(desk.file(), 'one');
  desk.write('local/in', 'two!');
  await desk.acted(2);
  t.equal(desk.acts[1], 'restart');
  t.equal(desk.file(), 'two!');
  await templateHook.prestart({ ...context });
  t.equal(desk.acts.length, 2, 'the restart itself changes nothing');
});

t.test('changes go to the task as it asks: signal, script, nothing; once is once', async (t) => {
  const desk = new Desk(t);
  const script = {
    Command: '/bin/reload',
    Args: ['${COLOR}'],
    Timeout: 1e9,
    FailOnError: true,
    RunOnFirstRender: true,
  };
  desk.write('local/in', '1');
  const context = desk.context([
    { EmbeddedTmpl: '{{ file "local/in" }}', DestPath: 'local/a', ChangeMode: 'signal', ChangeSignal: 'SIGHUP' },
    { EmbeddedTmpl: '{{ file "local/in" }}', DestPath: 'local/b', ChangeMode: 'script', ChangeScript: script },
    { EmbeddedTmpl: '{{ file "local/in" }}', DestPath: 'local/c', ChangeMode: 'noop' },
    { EmbeddedTmpl: '{{ file "local/in" }}', DestPath: 'local/d', ChangeMode: 'restart', Once: true },
  ]);
  await templateHook.prestart(context);
  await templateHook.poststart(context);
  t.same(desk.acts, ['/bin/reload red', 'told: Template ran script /bin/reload'], 'the first time');
  desk.outcome = { exitCode: 3, output: 'broken' };
  desk.write('local/in', '22');
  await desk.acted(5);
  t.same(desk.acts.slice(2), [
    'SIGHUP',
    '/bin/reload red',
    'fail: Template failed to run script /bin/reload: exit code 3: broken',
  ]);
  t.same(
    ['a', 'b', 'c', 'd'].map((name) => desk.file(`local/${name}`)),
    ['22', '22', '22', '1'],
  );
});

t.test('a template is quiet for its wait, and splays what it does', async (t) => {
  const desk = new Desk(t);
  desk.write('local/in', '1');
  const wait = { Min: 10e9, Max: 60e9 };
  const block = { EmbeddedTmpl: '{{ file "local/in" }}', Wait: wait, Splay: 30e9 };
  const more = ['local/b', 'local/c'].map((DestPath) => ({ ...block, DestPath }));
  await templateHook.prestart(desk.context([block, ...more]));
  desk.write('local/in', '22');
  const held = (): number => desk.timers.delays.filter((ms) => ms === 10_000).length;
  await until(() => {
    if (held() < 3) desk.timers.advance(2_000);
    return held() === 3;
  }, 'held back');
  t.equal(desk.file(), '1');
  desk.timers.advance(10_000);
  await until(() => desk.file() === '22', 'written');
  await until(() => desk.file('local/b') === '22' && desk.file('local/c') === '22', 'those that changed with it too');
  await until(() => desk.timers.delays.some((ms) => ms > 2_000), 'the splay runs');
  t.same(desk.acts, []);
  desk.timers.advance(30_000);
  await until(() => desk.acts.length === 1, 'restarted');
  for (let i = 0; i < 20; i++) {
    desk.timers.advance(5_000);
    await new Promise(setImmediate);
  }
  t.same(desk.acts, ['restart'], 'once for all three');
});

t.test('a restarted agent leaves a task alone unless what it reads has changed', async (t) => {
  const desk = new Desk(t);
  desk.write('local/in', '1');
  const blocks = [
    { EmbeddedTmpl: '{{ file "local/in" }}' },
    { EmbeddedTmpl: 'K=v', Envvars: true, DestPath: 'secrets/env' },
  ];
  const first = desk.context(blocks);
  await templateHook.prestart(first);
  await templateHook.stop(first);
  desk.write('local/out', 'the task has changed its file');
  desk.control = desk.newControl();
  const second = desk.context(blocks, { reattach: true });
  await templateHook.prestart(second);
  t.equal(second.draft.values.env['K'], 'v');
  await until(() => desk.timers.delays.includes(2_000), 'the file was read, and is looked at again');
  desk.timers.advance(10_000);
  t.same(desk.acts, []);
  t.equal(desk.file(), 'the task has changed its file');
  await templateHook.stop(second);
  desk.write('local/in', '22');
  desk.control = desk.newControl();
  await templateHook.prestart(desk.context(blocks, { reattach: true }));
  await desk.acted(1);
  t.same(desk.acts, ['restart']);
  t.equal(desk.file(), '22');
});

t.test('what went with the machine is rendered again for a task that turns out to be gone', async (t) => {
  const desk = new Desk(t);
  desk.write('local/in', '1');
  const blocks = [{ EmbeddedTmpl: '{{ file "local/in" }}', DestPath: 'secrets/out' }, { EmbeddedTmpl: 'stays' }];
  const first = desk.context(blocks);
  await templateHook.prestart(first);
  await templateHook.stop(first);
  // The machine starts again: secrets in memory are gone, and so is the task, which is only known after a look for it.
  rmSync(join(desk.paths.secretsDir, 'out'));
  desk.control = desk.newControl();
  await templateHook.prestart(desk.context(blocks, { reattach: true }));
  await templateHook.prestart(desk.context(blocks));
  t.equal(desk.file('secrets/out'), '1');
  t.equal(desk.file(), 'stays');
  t.same(desk.acts, [], 'it starts with them, and is not told of a change');
});

t.test('nothing is read or written outside the directories of the task', async (t) => {
  const desk = new Desk(t);
  const secret = join(desk.root, 'host-file');
  writeFileSync(secret, 'secret');
  symlinkSync(secret, join(desk.paths.localDir, 'link'));
  symlinkSync(desk.root, join(desk.paths.localDir, 'up'));
  const refused: [Partial<Template>, RegExp][] = [
    [{ DestPath: '../../../x' }, /leads out/],
    [{ DestPath: 'local/up/x' }, /is a link/],
    [{ DestPath: '${NOMAD_TASK_DIR}/../../../x' }, /leads out/],
    [{ SourcePath: 'local/link' }, /is a link/],
    [{ SourcePath: 'local/none' }, /does not exist/],
    [{ SourcePath: '../../host-file' }, /leads out/],
    [{ EmbeddedTmpl: '{{ file "/../host-file" }}' }, /leads out/],
    [
      { EmbeddedTmpl: '{{ file "/etc/passwd" }}' },
      /"\/etc\/passwd" leads out of the task's directory: read what lies in it/,
    ],
    [{ EmbeddedTmpl: '{{ file "local/link" }}' }, /is a link/],
    [{ EmbeddedTmpl: '{{ file "local" }}' }, /not a regular file/],
    [{ EmbeddedTmpl: '{{ nosuch }}' }, /^template: local\/out: template: \(dynamic\):1: .*not defined/],
    [{ EmbeddedTmpl: 'no line', Envvars: true }, /missing = in/],
  ];
  for (const [block, expected] of refused) {
    desk.control = desk.newControl();
    await t.rejects(templateHook.prestart(desk.context([block])), expected, JSON.stringify(block));
  }
  desk.control = desk.newControl();
  await templateHook.prestart(desk.context([{ EmbeddedTmpl: 'new', DestPath: 'local/link' }]));
  t.equal(readFileSync(secret, 'utf8'), 'secret', 'a link at the destination is replaced, not followed');
  t.equal(desk.file('local/link'), 'new');
});

t.test('without the sandbox a template reads the host', async (t) => {
  const desk = new Desk(t);
  writeFileSync(join(desk.root, 'host-file'), 'of the host');
  const context = desk.context([{ EmbeddedTmpl: `{{ file "${join(desk.root, 'host-file')}" }}` }]);
  const config = { ...context.config, template: { ...context.config.template, fileSandbox: false } };
  await templateHook.prestart({ ...context, config });
  t.equal(desk.file(), 'of the host');
});

t.test('a task that ends does not wait for its templates any more', async (t) => {
  const desk = new Desk(t);
  const ending = new AbortController();
  const prepared = templateHook.prestart(
    desk.context([{ EmbeddedTmpl: '{{ file "never" }}' }], { signal: ending.signal }),
  );
  ending.abort();
  await t.rejects(prepared, /not waited for any more/);
  t.same(
    desk.timers.delays.filter((ms) => ms > 0),
    [],
  );
});

t.test('files of variables', async (t) => {
  const text = `A=1\n# note\nexport B = 'x # y'\r\nC="a\\n\\u0041\\""\nD=plain # note\nE=\n\nF.g=a=b\n`;
  t.same(parseEnvFile(text), { ok: true, value: { A: '1', B: 'x # y', C: 'a\nA"', D: 'plain', E: '', 'F.g': 'a=b' } });
  t.match(parseEnvFile('A="x'), { ok: false, error: 'error on line 1: the quotes do not end in the value of A' });
  for (const [line, value] of [
    ['A=a#b', 'a'],
    ['A="a" b', 'a b'],
    [`A='a'"b"c`, 'abc'],
    ['A=a"b # c"  # d', 'ab # c'],
    ['A="  x  "', '  x  '],
    ['A="  x  " # y', '  x  '],
    ['A=x  y', 'x  y'],
    ['A=\\n', '\\n'],
    ['export A=1', '1'],
    ['A=={}', '={}'],
  ] as const)
    t.same(parseEnvFile(line), { ok: true, value: { A: value } }, line);
  t.match(parseEnvFile('A=a\u0001b'), { ok: false });
  t.match(parseEnvFile('a b=1'), { ok: false });
  t.notMatch(JSON.stringify(parseEnvFile('this-is-a-very-long-secret-value')), /secret/, 'a secret is not told');
});
