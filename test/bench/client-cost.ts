import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { purge, running } from './client.js';
import { benchJob, type Caller, cpuSecondsOf, pidsOf, quantile, type RunningAgent, until } from './measure.js';
import type { Row } from './run.js';

const IDLE_S = 10;
const CHUNK_MIB = 64;
const CHUNKS = 8;

/** What it costs to look after running allocations, and to answer for them. */
export async function statsCost(caller: Caller, agent: RunningAgent, job: string): Promise<Row[]> {
  const before = cpuSecondsOf(agent.pid);
  await sleep(IDLE_S * 1000);
  const idle = ((cpuSecondsOf(agent.pid) - before) / IDLE_S) * 100;
  const allocs = await caller.json<{ ID: string }[]>(`/v1/job/${job}/allocations`);
  const samples: number[] = [];
  const began = cpuSecondsOf(agent.pid);
  for (const { ID } of allocs) {
    const start = performance.now();
    await caller.json(`/v1/client/allocation/${ID}/stats`);
    samples.push(performance.now() - start);
  }
  const cpuMs = ((cpuSecondsOf(agent.pid) - began) * 1000) / allocs.length;
  return [
    { what: `idle agent with ${allocs.length} allocations: CPU`, value: `${idle.toFixed(1)} %`, target: '' },
    {
      what: 'stats of an allocation: p50 / p99, CPU each',
      value: `${quantile(samples, 0.5).toFixed(1)} / ${quantile(samples, 0.99).toFixed(1)} ms, ${cpuMs.toFixed(1)} ms`,
      target: '',
    },
  ];
}

/** How fast the output of a task gets into its rotated files, and what of the processor that takes. */
export async function outputCost(caller: Caller, agent: RunningAgent): Promise<Row[]> {
  const source = join(agent.dataDir, 'lines');
  const line = `${'a line of output as programs write them, '.repeat(3)}\n`;
  writeFileSync(source, line.repeat(Math.floor((CHUNK_MIB * 1024 * 1024) / line.length)));
  const rows: Row[] = [];
  for (const where of ['logs', 'a file of its own'] as const) {
    const id = where === 'logs' ? 'prints' : 'writes';
    const redirect = where === 'logs' ? '' : '> $NOMAD_TASK_DIR/out';
    const cats = Array(CHUNKS).fill(`cat ${source}`).join('; ');
    // The shell's own clock: the start of the task is no part of it.
    const script = `cd $NOMAD_TASK_DIR; date +%s%N > began; { ${cats}; } ${redirect}; date +%s%N > end.new; mv end.new end; sleep 3600`;
    const config = { command: '/bin/sh', args: ['-c', script] };
    await caller.send('PUT', '/v1/jobs', benchJob(id, { count: 1, config, memoryMb: 256, diskMb: 700 }));
    const alloc = await running(caller, id, 1);
    const dir = join(agent.dataDir, 'data/alloc', alloc, 't/local');
    await until('the output', async () => existsSync(join(dir, 'end')) || undefined);
    const at = (name: string): number => Number(readFileSync(join(dir, name), 'utf8')) / 1e9;
    const seconds = at('end') - at('began');
    const supervisor = pidsOf('meshnomad-supervisor').find((pid) => pidsOf(alloc).includes(pid)) as number;
    const cpu = (cpuSecondsOf(supervisor) / (CHUNK_MIB * CHUNKS)) * 1000;
    rows.push({
      what: `output of a raw_exec task into ${where}: throughput, its supervisor`,
      value: `${((CHUNK_MIB * CHUNKS) / seconds).toFixed(0)} MiB/s, ${cpu.toFixed(2)} ms CPU/MiB`,
      target: '',
    });
    await purge(caller, id);
  }
  rmSync(source);
  return rows;
}

/** How fast the output of a container gets into its rotated files by way of the agent, and what of the processor that takes. */
export async function containerOutputCost(caller: Caller, agent: RunningAgent, image: string): Promise<Row[]> {
  const id = 'container-prints';
  const line = 'a line of output as programs write them, '.repeat(3);
  const script = `busybox yes '${line}' | busybox head -c ${CHUNK_MIB * 1024 * 1024}; echo; echo end of output; sleep 3600`;
  // In one file: engines before 23 lose their place, and all that follows, when they rotate what is being followed.
  const logging = { type: 'json-file', config: { 'max-size': '1g' } };
  const config = { image, command: 'sh', args: ['-c', script], logging };
  const before = cpuSecondsOf(agent.pid);
  await caller.send(
    'PUT',
    '/v1/jobs',
    benchJob(id, { count: 1, driver: 'docker', config, memoryMb: 256, diskMb: 700 }),
  );
  const alloc = await running(caller, id, 1);
  const start = performance.now();
  const logs = join(agent.dataDir, 'data/alloc', alloc, 'alloc/logs');
  await until('the output', async () => {
    const files = readdirSync(logs).filter((name) => name.startsWith('t.stdout.'));
    return files.some((name) => readFileSync(join(logs, name), 'latin1').includes('end of output')) || undefined;
  });
  const seconds = (performance.now() - start) / 1000;
  const cpu = ((cpuSecondsOf(agent.pid) - before) / CHUNK_MIB) * 1000;
  await purge(caller, id);
  return [
    {
      what: 'output of a container into logs: throughput, the agent',
      value: `${(CHUNK_MIB / seconds).toFixed(0)} MiB/s, ${cpu.toFixed(2)} ms CPU/MiB`,
      target: '',
    },
  ];
}
