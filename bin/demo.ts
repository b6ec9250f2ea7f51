// The README's main job: an agent, a job, a page fetched from it. `npm run demo -- [--once] [--data-dir DIR] [--port N]`
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureHelloImage, HELLO_IMAGE } from '../lib/cli/hello-image.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MESHNOMAD = join(ROOT, 'dist/bin/meshnomad.js');

const { values: flags } = parseArgs({
  options: { once: { type: 'boolean', default: false }, 'data-dir': { type: 'string' }, port: { type: 'string' } },
});

const say = (text: string): void => console.log(`demo: ${text}`);

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((done) => {
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}

async function choosePort(): Promise<number> {
  if (flags.port !== undefined) return Number(flags.port);
  if (await isFree(4646)) return 4646;
  for (let port = 14_646; port < 14_746; port++) if (await isFree(port)) return port;
  throw new Error('no free port for the API: give one with --port');
}

function run(args: string[], env: Record<string, string>, stdio: 'inherit' | 'ignore' = 'inherit'): Promise<number> {
  const child = spawn(process.execPath, [MESHNOMAD, ...args], { stdio, env: { ...process.env, ...env } });
  return new Promise((done) => child.once('exit', (code) => done(code ?? 1)));
}

async function getJson<T>(url: string): Promise<T> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

interface Alloc {
  ID: string;
  ClientStatus: string;
  AllocatedResources: { Shared: { Ports: { Label: string; Value: number; HostIP: string }[] } };
}

async function startAgent(dataDir: string, port: number): Promise<ChildProcess> {
  const config = join(dataDir, 'demo.hcl');
  writeFileSync(
    config,
    `name = "demo"\ndata_dir = ${JSON.stringify(join(dataDir, 'data'))}\nlog_level = "WARN"\nports {\n  http = ${port}\n  rpc  = 0\n}\nserver {\n  enabled = true\n}\nclient {\n  enabled = true\n}\nplugin "raw_exec" {\n  config {\n    enabled = true\n  }\n}\n`,
  );
  const agent = spawn(process.execPath, [MESHNOMAD, 'agent', '-config', config], {
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
  });
  const api = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 600; i++) {
    if (agent.exitCode !== null) throw new Error('the agent ended; its message stands above');
    const nodes = await getJson<{ Status: string }[]>(`${api}/v1/nodes`).catch(() => []);
    if (nodes.some((node) => node.Status === 'ready')) return agent;
    await sleep(50);
  }
  throw new Error('the agent did not become ready within 30 s');
}

/** The job to run, and why this one. */
async function chooseJob(): Promise<{ file: string; why: string }> {
  const image = await ensureHelloImage();
  if (image.ok)
    return {
      file: 'hello.nomad.hcl',
      why: `a Docker Engine is here (${image.value}), so the job is a container of ${HELLO_IMAGE}`,
    };
  return { file: 'hello-raw-exec.nomad.hcl', why: `${image.error}, so the job is a plain process (raw_exec)` };
}

async function fetchPage(api: string): Promise<void> {
  const allocs = await getJson<{ ID: string; ClientStatus: string }[]>(`${api}/v1/job/hello/allocations`);
  const running = allocs.find((alloc) => alloc.ClientStatus === 'running');
  if (!running) throw new Error('the job has no running allocation');
  const alloc = await getJson<Alloc>(`${api}/v1/allocation/${running.ID}`);
  const port = alloc.AllocatedResources.Shared.Ports.find(({ Label }) => Label === 'http');
  if (!port) throw new Error('the allocation has no port "http"');
  const url = `http://${port.HostIP}:${port.Value}/`;
  const page = await fetchPatiently(url);
  say(`fetched ${url}:`);
  console.log(page.trimEnd().replace(/^/gm, '    '));
}

// Healthy means that the task runs; its server may need a moment more to listen.
async function fetchPatiently(url: string): Promise<string> {
  for (let i = 0; ; i++) {
    try {
      const response = await fetch(url);
      if (response.ok) return await response.text();
      throw new Error(`status ${response.status}`);
    } catch (error) {
      if (i === 100) throw new Error(`${url} does not answer: ${(error as Error).message}`);
      await sleep(100);
    }
  }
}

async function stop(agent: ChildProcess, env: Record<string, string>): Promise<void> {
  if (agent.exitCode !== null) return;
  await run(['job', 'stop', '-purge', '-detach', 'hello'], env, 'ignore');
  const api = env['NOMAD_ADDR'] as string;
  for (let i = 0; i < 200; i++) {
    const allocs = await getJson<{ ClientStatus: string }[]>(`${api}/v1/allocations`).catch(() => []);
    if (!allocs.some(({ ClientStatus }) => ClientStatus === 'running' || ClientStatus === 'pending')) break;
    await sleep(50);
  }
  const ended = new Promise((done) => agent.once('exit', done));
  agent.kill('SIGTERM');
  await ended;
}

const started = performance.now();
const given = flags['data-dir'];
const dataDir = given === undefined ? mkdtempSync(join(tmpdir(), 'meshnomad-demo-')) : resolve(given);
if (!existsSync(dataDir)) throw new Error(`${dataDir} does not exist: make it first`);
const port = await choosePort();
const api = `http://127.0.0.1:${port}`;
const env = { NOMAD_ADDR: api };
let agent: ChildProcess | undefined;
let ending: Promise<never> | undefined;

/** Ends once, whoever asks: Ctrl-C reaches the commands under way too, and their failure must not cut the clean-up short. */
function end(code: number): Promise<never> {
  ending ??= finish(code);
  return ending;
}

async function finish(code: number): Promise<never> {
  if (agent) await stop(agent, env).catch((error: Error) => say(error.message));
  if (given === undefined) rmSync(dataDir, { recursive: true, force: true });
  process.exit(code);
}

function onSignal(): void {
  if (ending) {
    // Asked twice: at once, but leave no agent behind.
    agent?.kill('SIGKILL');
    process.exit(1);
  }
  void end(0);
}

process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);

try {
  say(`starting an agent (server and client) with its state in ${dataDir}`);
  agent = await startAgent(dataDir, port);
  const job = await chooseJob();
  say(job.why);
  const code = await run(['job', 'run', join(ROOT, 'examples', job.file)], env);
  if (code !== 0) throw new Error(`job run ended with code ${code}`);
  await fetchPage(api);
  say(`done in ${((performance.now() - started) / 1000).toFixed(1)} s.`);
  if (flags.once) await end(0);
  say(`The API is at ${api}; try in another terminal:`);
  console.log(
    `    export NOMAD_ADDR=${api}\n    node dist/bin/meshnomad.js job status hello\n    node dist/bin/meshnomad.js node status`,
  );
  say('Ctrl-C stops the job and the agent.');
} catch (error) {
  if (!ending) say((error as Error).message);
  await end(1);
}
