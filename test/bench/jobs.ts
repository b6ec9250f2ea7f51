import { setTimeout as sleep } from 'node:timers/promises';
import { ensureHelloImage, HELLO_IMAGE } from '../../lib/cli/hello-image.js';
import { benchJob, Caller, memoryOf, pidsOf, quantile, startAgent, until } from './measure.js';
import type { Row } from './run.js';

const TRIALS = 10;
const MANY = 50;

/** From registering a job to its allocations running, and what running ones cost. */
export async function benchJobs(): Promise<Row[]> {
  const agent = await startAgent(15_646, 'plugin "docker" {\n  config {}\n}\n');
  const caller = new Caller(agent.address, 4);
  try {
    await until(
      'a ready node',
      async () =>
        (await caller.json<{ Status: string }[]>('/v1/nodes')).some(({ Status }) => Status === 'ready') || undefined,
    );
    const rows = [await toRunning(caller, 'raw_exec', {}, '100 ms')];
    const image = await ensureHelloImage();
    if (image.ok) {
      await until(
        'the docker driver',
        async () =>
          (await caller.json<{ Drivers: Record<string, { Healthy: boolean }> }[]>('/v1/nodes'))[0]?.Drivers['docker']
            ?.Healthy || undefined,
      );
      rows.push(await toRunning(caller, 'docker', { image: HELLO_IMAGE, command: 'sleep', args: ['3600'] }, '450 ms'));
    } else rows.push({ what: 'job → running, docker', value: `not measured: ${image.error}`, target: '450 ms' });
    rows.push(...(await many(caller, agent.pid)));
    return rows;
  } finally {
    caller.close();
    await agent.stop();
  }
}

async function running(caller: Caller, id: string, count: number): Promise<void> {
  let index = 0;
  for (;;) {
    const reply = await caller.send('GET', `/v1/job/${id}/allocations?index=${index}&wait=10s`);
    index = Number(reply.headers['x-nomad-index']);
    const allocs = JSON.parse(reply.text) as { ClientStatus: string }[];
    if (allocs.filter(({ ClientStatus }) => ClientStatus === 'running').length >= count) return;
    if (allocs.some(({ ClientStatus }) => ClientStatus === 'failed')) throw new Error(`an allocation of ${id} failed`);
  }
}

async function purge(caller: Caller, id: string): Promise<void> {
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

async function many(caller: Caller, agentPid: number): Promise<Row[]> {
  const start = performance.now();
  await caller.send('PUT', '/v1/jobs', benchJob('many', { count: MANY, cpu: 1 }));
  await running(caller, 'many', MANY);
  const seconds = (performance.now() - start) / 1000;
  await sleep(3000);
  const agent = memoryOf(agentPid);
  const supervisors = pidsOf('meshnomad-supervisor').map(memoryOf);
  const mean = (key: 'rssMiB' | 'pssMiB'): string =>
    (supervisors.reduce((sum, memory) => sum + memory[key], 0) / supervisors.length).toFixed(2);
  await purge(caller, 'many');
  return [
    { what: `${MANY} raw_exec allocations running`, value: `${seconds.toFixed(2)} s`, target: '1.0 s' },
    {
      what: `agent with ${MANY} allocations: RSS / PSS`,
      value: `${agent.rssMiB.toFixed(0)} / ${agent.pssMiB.toFixed(0)} MiB`,
      target: '',
    },
    {
      what: 'overhead per raw_exec task: RSS / PSS',
      value: `${mean('rssMiB')} / ${mean('pssMiB')} MiB`,
      target: '3 / 1 MiB',
    },
  ];
}
