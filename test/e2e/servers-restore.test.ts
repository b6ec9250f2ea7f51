// A snapshot of one mesh is restored on a bare machine of another: the jobs start there, identities that the old machine signed are
// still good, secrets stay sealed and it is said what to do; what is no whole snapshot is refused. Real processes over a private DHT
// on loopback.
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { eventually, jobJson } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { patience } from '../support/patience.js';
import { openTestnet } from '../support/testnet.js';

interface Alloc {
  ID: string;
  ClientStatus: string;
  NodeName: string;
}

/** A node that is not there is missed sooner. */
const QUICK =
  'server {\n  enabled = true\n  min_heartbeat_ttl = "2s"\n  heartbeat_grace = "2s"\n}\nclient {\n  enabled = true\n}';

/** A task that says who it is. */
const job = jobJson('hello', {
  config: { command: '/bin/sh', args: ['-c', 'echo "$NOMAD_TOKEN"; exec sleep 3600'] },
  task: { Identity: { Name: 'default', Env: true } },
});

function running(machine: Machine): Promise<Alloc> {
  return eventually(
    `the job to run on ${machine.name}`,
    async () => {
      const allocs = await machine.get<Alloc[]>('/v1/job/hello/allocations');
      return allocs.find(({ ClientStatus, NodeName }) => ClientStatus === 'running' && NodeName === machine.name);
    },
    patience(90_000),
  );
}

function tokenOf(machine: Machine, { ID }: Alloc): Promise<string> {
  return eventually('the task to say who it is', async () => {
    const { out } = await machine.cli(['alloc', 'logs', ID]);
    return /^ey[^\s]+\n$/.test(out) ? out.trim() : undefined;
  });
}

/** Whether the public keys of this machine's mesh confirm the token. */
async function isGood(machine: Machine, token: string): Promise<boolean> {
  const [head = '', body = '', signature = ''] = token.split('.');
  const { kid, alg } = JSON.parse(Buffer.from(head, 'base64url').toString()) as { kid: string; alg: string };
  const { keys } = await machine.get<{ keys: (JsonWebKey & { kid: string })[] }>('/.well-known/jwks.json');
  const key = keys.find((one) => one.kid === kid);
  if (key === undefined) return false;
  const publicKey = createPublicKey({ key, format: 'jwk' });
  const hash = alg === 'EdDSA' ? null : 'sha256';
  return verify(hash, Buffer.from(`${head}.${body}`), publicKey, Buffer.from(signature, 'base64url'));
}

async function stop(machine: Machine): Promise<void> {
  await machine.cli(['job', 'stop', '-purge', '-detach', 'hello']);
  await eventually('the task to end', async () => {
    const allocs = await machine.get<Alloc[]>('/v1/allocations');
    return (
      allocs.every(({ ClientStatus, NodeName }) => ClientStatus !== 'running' || NodeName !== machine.name) || undefined
    );
  });
}

/** What is no whole snapshot is refused in words that say what it is, and changes nothing. */
async function refuses(t: Test, machine: Machine, snapshot: string): Promise<void> {
  const bytes = readFileSync(snapshot);
  const flipped = Buffer.from(bytes);
  flipped[bytes.length >> 1] = (flipped[bytes.length >> 1] as number) ^ 0xff;
  for (const [name, content] of [
    ['cut', bytes.subarray(0, bytes.length >> 1)],
    ['flipped', flipped],
    ['text', Buffer.from('job "x" {}\n')],
    ['empty', Buffer.alloc(0)],
  ] as const) {
    const file = `${snapshot}.${name}`;
    writeFileSync(file, content);
    const said = await machine.cli(['operator', 'snapshot', 'restore', '-yes', file]);
    t.match(said, { code: 1, err: /snapshot/i }, `${name}: ${said.err.trim()}`);
    const looked = await machine.cli(['operator', 'snapshot', 'inspect', file]);
    t.match(looked, { code: 1, err: /snapshot/i }, `${name}: ${looked.err.trim()}`);
  }
  t.match(await machine.cli(['operator', 'snapshot', 'restore', '-yes', `${snapshot}.none`]), { code: 1, err: /none/ });
  t.equal((await machine.get<unknown[]>('/v1/jobs')).length, 0, 'nothing has changed');
}

t.test('a snapshot brings the jobs to another machine', { timeout: 300_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-restore-'));
  const testnet = await openTestnet();
  t.teardown(async () => {
    await testnet.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const machine = async (name: string): Promise<Machine> => {
    const made = await Machine.make({ testnet, name, config: QUICK });
    t.teardown(() => made.dispose());
    return made;
  };
  const old = await machine('old');
  await old.start('init', '-name=home');
  t.match(await old.cli(['var', 'put', 'nomad/jobs/hello', 'password=correct horse']), { code: 0 });
  await old.register(job);
  const token = await tokenOf(old, await running(old));
  t.ok(await isGood(old, token));
  const snapshot = join(folder, 'backup.snap');
  t.match(await old.cli(['operator', 'snapshot', 'save', snapshot]), { code: 0 });
  await stop(old);
  await old.end('SIGKILL');

  const bare = await machine('bare');
  await bare.start('init', '-name=another');
  await refuses(t, bare, snapshot);
  t.notOk(await isGood(bare, token), 'it has no such key before');
  const restored = await bare.cli(['operator', 'snapshot', 'restore', '-yes', snapshot]);
  t.equal(restored.code, 0, restored.err);
  const alloc = await running(bare);
  // The keyring of a mesh opens with its root alone: mesh-lost.test.ts. Here it is told what that means.
  const secret = await bare.cli(['var', 'get', '-out=json', 'nomad/jobs/hello']);
  t.match(secret, { code: 1, err: /from another mesh's snapshot, its variables .* must be written anew/ });
  t.match(await bare.cli(['var', 'put', '-force', 'nomad/jobs/hello', 'password=new']), { code: 0 });
  t.ok(await isGood(bare, token), 'what the old machine signed is good');
  t.ok(await isGood(bare, await tokenOf(bare, alloc)), 'and so is what the new one signs');
  await stop(bare);
});
