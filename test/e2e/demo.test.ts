// The README's first command: once with a Docker Engine, once without.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { getEngine } from '../support/dockerd.js';
import { freePort, ROOT } from '../support/mesh-agent.js';

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
