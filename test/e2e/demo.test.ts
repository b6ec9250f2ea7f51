// The README's first command: once with a Docker Engine, once without.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { getEngine } from '../support/dockerd.js';
import { eventually, freePort, ROOT } from '../support/mesh-agent.js';

interface Run {
  code: number;
  text: string;
}

async function demo(env: Record<string, string>): Promise<Run> {
  const port = await freePort();
  const child = spawn(process.execPath, [join(ROOT, 'dist/bin/demo.js'), '--once', '--port', String(port)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text += chunk;
    });
  }
  return new Promise((resolve) => child.once('close', (code) => resolve({ code: code ?? -1, text })));
}

t.test('without a Docker Engine the demo runs a process', { timeout: 120_000 }, async (t) => {
  const { code, text } = await demo({ DOCKER_HOST: 'unix:///nowhere/docker.sock' });
  t.equal(code, 0, text);
  t.match(text, /raw_exec/);
  t.match(text, /Deployment ".*" successful/);
  t.match(text, /Hello from server, allocation [0-9a-f]{8}/);
});

t.test('Ctrl-C in the middle leaves nothing behind', { timeout: 120_000 }, async (t) => {
  const port = await freePort();
  // A group of its own: a terminal sends the signal to all of it.
  const child = spawn(process.execPath, [join(ROOT, 'dist/bin/demo.js'), '--port', String(port)], {
    env: { ...process.env, DOCKER_HOST: 'unix:///nowhere/docker.sock' },
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  await eventually('the deployment to begin', () => (text.includes('Monitoring deployment') ? true : undefined));
  const ended = new Promise((resolve) => child.once('close', resolve));
  process.kill(-(child.pid as number), 'SIGINT');
  await ended;
  await t.rejects(fetch(`http://127.0.0.1:${port}/v1/agent/health`), 'no agent answers any more');
  const dir = /state in (\S+)/.exec(text)?.[1] ?? '';
  t.not(dir, '');
  t.notOk(existsSync(dir), 'its directory is gone');
});

const engine = await getEngine();
const skip = 'missing' in engine ? engine.missing : false;

t.test('with a Docker Engine the demo runs a container', { skip, timeout: 240_000 }, async (t) => {
  if ('missing' in engine) return;
  t.teardown(() => engine.stop());
  const { code, text } = await demo({ DOCKER_HOST: engine.endpoint });
  t.equal(code, 0, text);
  t.match(text, /a Docker Engine is here/);
  t.match(text, /Deployment ".*" successful/);
  t.match(text, /Hello from server, allocation [0-9a-f]{8}/);
});
