import { setTimeout as sleep } from 'node:timers/promises';
import { Caller, cpuSecondsOf, quantile, until } from './measure.js';
import type { BenchGroup } from './raft/group.js';
import { etcdGroup, hasEtcd, meshGroup, Writers } from './raft/group.js';
import type { Row } from './run.js';

const SIZES = [1, 3, 5];
/** What is compiled while it runs is not fast at once: servers live for months. Both get as much. */
const WARM_UP = 2000;
const SEQUENTIAL = 500;
const PARALLEL = 4000;
const CONNECTIONS = 16;
const KILLS = 20;
const REST_MS = 2000;

/**
 * Nomad cannot be run here: it is built from its source by whoever wants to compare. These are its figures on a quiet machine of
 * the same kind (2 cores, fsync floor 0.23 ms).
 */
const NOMAD: Record<number, string> = { 1: '2.24 / 13.2 ms, 811/s', 3: '5.50 ms, 434/s' };

interface Speed {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  /** Processor time of all servers together for one write, while many come at once. */
  readonly cpuMs: number;
}

/** Writes that a group of servers agrees on, etcd doing the same beside it where it is installed. */
export async function benchRaft(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const size of SIZES) {
    const ours = await during(meshGroup(size), speedOf);
    const theirs = hasEtcd() ? await during(etcdGroup(size), speedOf) : undefined;
    const target = { 1: '1.2 ms, 2,000/s', 3: '3 ms, 1,200/s' }[size] ?? '';
    rows.push(
      { what: `register, ${size} voters: p50 / p99, ${CONNECTIONS} clients`, value: show(ours), target },
      { what: `etcd put, ${size} voters`, value: theirs ? show(theirs) : 'not installed', target: '' },
    );
    if (theirs) rows.push({ what: `register : etcd put, ${size} voters`, value: ratios(ours, theirs), target: '' });
    const nomad = NOMAD[size];
    if (nomad) rows.push({ what: `Nomad 1.1.2, ${size} voters, elsewhere (not run)`, value: nomad, target: '' });
  }
  return rows;
}

/** How often theirs: time of one, writes a second, processor time. */
function ratios(ours: Speed, theirs: Speed): string {
  const of = (key: keyof Speed): string => (ours[key] / theirs[key]).toFixed(2);
  return `p50 × ${of('p50Ms')}, rate × ${of('perSecond')}, CPU × ${of('cpuMs')}`;
}

/** From kill -9 of the leader to the first write that is acknowledged, under load. */
export async function benchFailover(): Promise<Row[]> {
  const ours = await during(meshGroup(3), failoversOf);
  const theirs = hasEtcd() ? await during(etcdGroup(3), failoversOf) : undefined;
  const seconds = (times: readonly number[]): string =>
    `${(quantile(times, 0.5) / 1000).toFixed(2)} / ${(Math.max(...times) / 1000).toFixed(2)} s`;
  const what = `leader killed under load → writes: median / max of ${KILLS}`;
  return [
    { what, value: seconds(ours), target: '1.2 / 2.0 s' },
    { what: 'the same of etcd', value: theirs ? seconds(theirs) : 'not installed', target: '' },
  ];
}

async function during<T>(opening: Promise<BenchGroup>, measure: (group: BenchGroup) => Promise<T>): Promise<T> {
  const group = await opening;
  try {
    return await measure(group);
  } finally {
    await group.close();
  }
}

function show({ p50Ms, p99Ms, perSecond, cpuMs }: Speed): string {
  return `${p50Ms.toFixed(2)} / ${p99Ms.toFixed(1)} ms, ${perSecond.toFixed(0)}/s, CPU ${cpuMs.toFixed(2)} ms`;
}

async function speedOf(group: BenchGroup): Promise<Speed> {
  const all = group.addresses.map((_, at) => at);
  const leader = await until('a leader', () => group.leader(all));
  const caller = new Caller(group.addresses[leader] as string, CONNECTIONS);
  const write = async (): Promise<number> => {
    const start = performance.now();
    const reply = await caller.send(...group.write());
    if (reply.status !== 200) throw new Error(reply.text);
    return performance.now() - start;
  };
  const writeMany = async (count: number): Promise<void> => {
    let left = count;
    const worker = async (): Promise<void> => {
      while (left-- > 0) await write();
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  };
  await writeMany(WARM_UP);
  const samples: number[] = [];
  for (let i = 0; i < SEQUENTIAL; i++) samples.push(await write());
  const cpu = (): number => all.reduce((sum, at) => sum + cpuSecondsOf(group.pid(at)), 0);
  const cpuBefore = cpu();
  const start = performance.now();
  await writeMany(PARALLEL);
  const perSecond = (PARALLEL / (performance.now() - start)) * 1000;
  const cpuMs = ((cpu() - cpuBefore) / PARALLEL) * 1000;
  caller.close();
  return { p50Ms: quantile(samples, 0.5), p99Ms: quantile(samples, 0.99), perSecond, cpuMs };
}

/** From the death of the leader to the first write that the others acknowledge, each time. */
async function failoversOf(group: BenchGroup): Promise<number[]> {
  const all = group.addresses.map((_, at) => at);
  const times: number[] = [];
  for (let i = 0; i < KILLS; i++) {
    const leader = await until('one leader for all', () => group.leader(all));
    let written: number | undefined;
    let killed = Number.POSITIVE_INFINITY;
    const writers = new Writers(group, () => {
      if (performance.now() > killed) written ??= performance.now();
    });
    await sleep(300 * (1 + (i % 5) / 5));
    await group.kill(leader);
    // What the dead one had acknowledged arrives a moment later.
    killed = performance.now() + 50;
    const at = await until('a write', async () => written);
    times.push(at - killed + 50);
    writers.stop();
    await group.restart(leader);
    await until('all to agree', () => group.leader(all));
    await sleep(REST_MS);
  }
  return times;
}
