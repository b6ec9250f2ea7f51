import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureHelloImage, HELLO_IMAGE } from '../../lib/cli/hello-image.js';
import { getEngine, type TestEngine } from '../support/dockerd.js';
import { containerOutputCost, outputCost, statsCost } from './client-cost.js';
import { benchJob, Caller, memoryOf, pidsOf, quantile, type RunningAgent, startAgent, until } from './measure.js';
import type { Row } from './run.js';

const TRIALS = 10;
const MANY = [50, 300];

/** From registering a job to its allocations running, and what running ones cost. */
export async function benchClient(): Promise<Row[]> {
  const engine = await getEngine();
  const endpoint = 'missing' in engine ? '' : `    endpoint = "${engine.endpoint}"\n`;
  const agent = await startAgent(15_646, `plugin "docker" {\n  config {\n${endpoint}  }\n}\n`);
  const caller = new Caller(agent.address, 4);
  try {
    await until(
      'a ready node',
      async () =>
        (await caller.json<{ Status: string }[]>('/v1/nodes')).some(({ Status }) => Status === 'ready') || undefined,
    );
    const rows = [await toRunning(caller, 'raw_exec', {}, '100 ms')];
    if (await hasDriver(caller, 'exec')) rows.push(await toRunning(caller, 'exec', {}, ''));
    rows.push(...(await dockerToRunning(caller, engine)));
    if (await hasDriver(caller, 'docker')) rows.push(...(await containerOutputCost(caller, agent, HELLO_IMAGE)));
    for (const count of MANY) rows.push(...(await many(caller, agent, count)));
    rows.push(...(await outputCost(caller, agent)));
    return rows;
  } finally {
    caller.close();
    await agent.stop();
    if (!('missing' in engine)) await engine.stop();
  }
}

async function hasDriver(caller: Caller, driver: string): Promise<boolean> {
  const [node] = await caller.json<{ Drivers: Record<string, { Healthy: boolean }> }[]>('/v1/nodes');
  return node?.Drivers[driver]?.Healthy === true;
}

/** On the machine's engine, else on a private one; and what its own command line takes to run the same container there. */
async function dockerToRunning(caller: Caller, engine: TestEngine | { missing: string }): Promise<Row[]> {
  const absent = (why: string): Row[] => [
    { what: 'job → running, docker', value: `not measured: ${why}`, target: '450 ms' },
  ];
  if ('missing' in engine) return absent(engine.missing);
  process.env['DOCKER_HOST'] = engine.endpoint;
  const image = await ensureHelloImage();
  if (!image.ok) return absent(image.error);
  await until('the docker driver', async () => (await hasDriver(caller, 'docker')) || undefined);
  const config = { image: HELLO_IMAGE, command: 'sleep', args: ['3600'] };
  const [before, own, after] = [dockerRun(), await toRunning(caller, 'docker', config, '450 ms'), dockerRun()];
  return [own, ...(before && after ? [{ ...before, value: `${before.value} before, ${after.value} after` }] : [])];
}

/** How long `docker run --detach` takes. */
function dockerRun(): Row | undefined {
  if (spawnSync('docker', ['version'], { stdio: 'ignore' }).status !== 0) return undefined;
  const samples: number[] = [];
  for (let trial = 0; trial < TRIALS; trial++) {
    const start = performance.now();
    const made = spawnSync('docker', ['run', '--detach', '--rm', '--init=false', HELLO_IMAGE, 'sleep', '3600']);
    samples.push(performance.now() - start);
    spawnSync('docker', ['rm', '--force', made.stdout.toString().trim()], { stdio: 'ignore' });
  }
  const value = `${quantile(samples, 0.5).toFixed(0)} ms`;
  return { what: `docker run --detach, the same: p50 of ${TRIALS}`, value, target: '' };
}

/** Waits until so many allocations of a job run; the first of them. */
export async function running(caller: Caller, id: string, count: number): Promise<string> {
  let index = 0;
  for (;;) {
    const reply = await caller.send('GET', `/v1/job/${id}/allocations?index=${index}&wait=10s`);
    index = Number(reply.headers['x-nomad-index']);
    const allocs = JSON.parse(reply.text) as { ID: string; ClientStatus: string }[];
    const found = allocs.filter(({ ClientStatus }) => ClientStatus === 'running');
    if (found[0] && found.length >= count) return found[0].ID;
    if (allocs.some(({ ClientStatus }) => ClientStatus === 'failed')) throw new Error(`an allocation of ${id} failed`);
  }
}

/** Stops a job and waits until its allocations have ended. */
export async function purge(caller: Caller, id: string): Promise<void> {
  await caller.send('DELETE', `/v1/job/${id}?purge=true`);
  await until('the allocations to end', async () => {
    const allocs = await caller.json<{ JobID: string; ClientStatus: string }[]>('/v1/allocations');
    return allocs.some((alloc) => alloc.JobID === id && ['running', 'pending'].includes(alloc.ClientStatus))
      ? undefined
      : true;
  });
}

async function toRunning(caller: Caller, driver: string, config: object, target: string): Promise<Row> {
  const samples: number[] = [];
  for (let trial = 0; trial < TRIALS; trial++) {
    const id = `${driver}-${trial}`;
    const start = performance.now();
    await caller.send(
      'PUT',
      '/v1/jobs',
      benchJob(id, { count: 1, driver, ...(driver === 'docker' ? { config } : {}) }),
    );
    await running(caller, id, 1);
    samples.push(performance.now() - start);
    await purge(caller, id);
  }
  return {
    what: `job → running, ${driver}: p50 of ${TRIALS}`,
    value: `${quantile(samples, 0.5).toFixed(0)} ms`,
    target,
  };
}

async function many(caller: Caller, agent: RunningAgent, count: number): Promise<Row[]> {
  const before = memoryOf(agent.pid);
  const id = `many-${count}`;
  const start = performance.now();
  await caller.send('PUT', '/v1/jobs', benchJob(id, { count, cpu: 1 }));
  await running(caller, id, count);
  const seconds = (performance.now() - start) / 1000;
  await sleep(3000);
  const after = memoryOf(agent.pid);
  // Each supervisor has its directory among its arguments, and so does the agent.
  const supervisors = pidsOf('meshnomad-supervisor')
    .filter((pid) => pidsOf(agent.dataDir).includes(pid))
    .map(memoryOf);
  const mean = (key: 'rssMiB' | 'pssMiB'): string =>
    (supervisors.reduce((sum, memory) => sum + memory[key], 0) / supervisors.length).toFixed(2);
  const stats = await statsCost(caller, agent, id);
  await purge(caller, id);
  return [
    {
      what: `${count} raw_exec allocations running`,
      value: `${seconds.toFixed(2)} s`,
      target: count === 50 ? '1.0 s' : '',
    },
    {
      what: `agent with ${count} allocations: RSS / PSS (more than before)`,
      value: `${after.rssMiB.toFixed(0)} / ${after.pssMiB.toFixed(0)} MiB (${(after.pssMiB - before.pssMiB).toFixed(0)} MiB)`,
      target: '',
    },
    {
      what: `overhead per raw_exec task: RSS / PSS of ${supervisors.length}`,
      value: `${mean('rssMiB')} / ${mean('pssMiB')} MiB`,
      target: '3 / 1 MiB',
    },
    ...stats,
  ];
}
