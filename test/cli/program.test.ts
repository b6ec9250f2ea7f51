import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import t from 'tap';
import { createHttpWorld } from '../http/world.js';
import { ALLOC_ID, alloc, createCliWorld } from './world.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PROGRAM = join(ROOT, 'dist/bin/meshnomad.js');
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

/** Runs the program as a process, without holding up this one. */
function run(argv: string[], options: { env?: Record<string, string>; input?: string } = {}) {
  const child = spawn(process.execPath, [PROGRAM, ...argv], { env: { ...process.env, ...options.env } });
  child.stdin.on('error', () => {});
  if (options.input !== undefined) child.stdin.end(options.input);
  const texts = { out: '', error: '' };
  child.stdout.on('data', (chunk) => {
    texts.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    texts.error += chunk;
  });
  const ended = new Promise<{ code: number | null; out: string; error: string }>((resolve) => {
    child.once('close', (code) => resolve({ code, ...texts }));
  });
  return { child, ended };
}

const folder = mkdtempSync(join(tmpdir(), 'meshnomad-program-'));
t.teardown(() => rmSync(folder, { recursive: true }));

t.test('the version is told from anywhere, and through a link', async (t) => {
  const link = join(folder, 'meshnomad');
  symlinkSync(PROGRAM, link);
  for (const [command, argv] of [
    [process.execPath, [PROGRAM, '-version']],
    [process.execPath, [link, '--version']],
    [link, ['version']],
  ] as const) {
    const { status, stdout } = spawnSync(command, [...argv], { cwd: folder, encoding: 'utf8' });
    t.equal(status, 0);
    t.equal(stdout, `meshnomad v${version}\n`);
  }
});

t.test('help is an option, and a word before the command', async (t) => {
  const said = (...argv: string[]) => spawnSync(process.execPath, [PROGRAM, ...argv], { encoding: 'utf8' });
  for (const [asked, same] of [
    [['help'], ['-help']],
    [
      ['help', 'job'],
      ['job', '-help'],
    ],
    [
      ['help', 'job', 'run'],
      ['job', 'run', '-help'],
    ],
  ] as const) {
    const { status, stdout } = said(...asked);
    t.equal(status, 0);
    t.equal(stdout, said(...same).stdout, asked.join(' '));
  }
  t.match(said('help', 'jbo'), { status: 127, stderr: /unknown command "jbo"; did you mean "job"/ });
});

t.test('version and help load no package', async (t) => {
  const hooks = join(folder, 'hooks.mjs');
  writeFileSync(
    hooks,
    `export async function resolve(name, context, next) {
  if (!/^([./]|node:|file:)/.test(name)) throw new Error('loads the package ' + name);
  return next(name, context);
}
`,
  );
  const preload = join(folder, 'preload.mjs');
  writeFileSync(
    preload,
    `import { register } from 'node:module';\nregister(${JSON.stringify(pathToFileURL(hooks).href)});\n`,
  );
  const runs = [['-version'], ['-help'], ['job', '-help'], ['job', 'status', '-help'], ['alloc', 'exec', '-help']].map(
    async (argv) => {
      const child = spawn(process.execPath, ['--import', preload, PROGRAM, ...argv], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let error = '';
      child.stderr.on('data', (chunk) => {
        error += chunk;
      });
      const code = await new Promise((resolve) => child.once('close', resolve));
      t.equal(code, 0, `${argv.join(' ')}: ${error}`);
    },
  );
  await Promise.all(runs);
});

t.test('a reader that has seen enough ends the program quietly', async (t) => {
  const line = `${'x'.repeat(100)}\n`;
  const world = await createCliWorld(t, {
    'GET /v1/allocations': [alloc()],
    [`GET /v1/allocation/${ALLOC_ID}`]: alloc(),
    [`GET /v1/client/fs/logs/${ALLOC_ID}`]: (asked: { url?: string }, response: { write(text: string): void }) => {
      // Standard error is followed as well, and stays silent.
      if (asked.url?.includes('type=stderr')) return;
      const frame = JSON.stringify({ Data: Buffer.from(line.repeat(500)).toString('base64') });
      for (let i = 0; i < 40; i++) response.write(frame);
    },
  });
  const { child, ended } = run(['alloc', 'logs', '-f', 'a1'], { env: { NOMAD_ADDR: world.address } });
  child.stdout.once('data', () => child.stdout.destroy());
  const { code, error } = await ended;
  t.equal(error, '');
  t.equal(code, 0);
});

t.test('exec joins the pipes and the command, and ends with its code', async (t) => {
  const world = await createHttpWorld(t);
  world.script = { 'Alloc.List': { Allocations: [alloc()] }, 'Alloc.GetAlloc': { Alloc: alloc() } };
  world.onStream = (far) => {
    const input: Buffer[] = [];
    far.on('data', (message: { Type: string; Data: Buffer }) => {
      if (message.Type === 'stdin') input.push(message.Data);
      if (message.Type !== 'stdin-close') return;
      far.write({ Type: 'stdout', Data: Buffer.concat(input) });
      far.write({ Type: 'stderr', Data: Buffer.from('oh\n') });
      far.end({ Type: 'exited', ExitCode: 42 });
    });
  };
  const env = { NOMAD_ADDR: `http://127.0.0.1:${world.port}` };
  const argv = ['alloc', 'exec', '-task', 'server', 'a1', 'cat', '-n'];
  t.strictSame(await run(argv, { env, input: 'grüße\n' }).ended, { code: 42, out: 'grüße\n', error: 'oh\n' });
  t.match(world.streams, [{ args: { Cmd: ['cat', '-n'], Tty: false, Task: 'server' } }]);
  const withTerminal = await run(['alloc', 'exec', '-t', 'a1', 'cat'], { env, input: 'x' }).ended;
  t.match(withTerminal, { code: 1, error: /^-t needs a terminal as standard input/ });
  world.script['Alloc.GetAlloc'] = { Alloc: alloc({ ClientStatus: 'complete' }) };
  t.match(await run(argv, { env, input: '' }).ended, { code: 1, error: /is complete, not running/ });
});

t.test('a job file comes from standard input', async (t) => {
  const source = 'job "web" {\n  group "g" {\n    task "t" {\n      driver = "raw_exec"\n    }\n  }\n}\n';
  const { code, out } = await run(['job', 'run', '-output', '-'], { input: source }).ended;
  t.equal(code, 0);
  t.match(JSON.parse(out), { Job: { ID: 'web' } });
});

t.test('an agent that keeps nothing and cannot start leaves nothing', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await once(taken, 'listening');
  const home = mkdtempSync(join(folder, 'tmp-'));
  const config = join(folder, 'taken.hcl');
  const { port } = taken.address() as AddressInfo;
  // Nothing else is in its way.
  writeFileSync(config, `bind_addr = "127.0.0.1"\nports {\n  http = ${port}\n  rpc  = 0\n}\n`);
  const argv = ['agent', '-dev', '-config', config];
  t.match(await run(argv, { env: { TMPDIR: home } }).ended, {
    code: 1,
    error: /Error starting agent: port \d+ .* in use/,
  });
  t.same(readdirSync(home), []);
});
