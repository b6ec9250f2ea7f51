import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchMember, Cluster } from './gossip/cluster.js';
import { hasSerf, meshCluster, serfCluster } from './gossip/cluster.js';
import { cpuSecondsOf, memoryOf, quantile } from './measure.js';
import type { Row } from './run.js';

const SIZES = [10, 30];
const TRIALS = 3;
const IDLE_MS = 60_000;
const FIRST_MS = 1_500;
const SETTLE_MS = 3_000;
/** After so many have started at once they compare what they know for a while: that is not idleness yet. */
const QUIET_MS = 15_000;
const LIMIT_MS = 180_000;
/** A fifth of the members is stopped for up to so long, runs for `RUN_MS`, and so on. */
const STARVED_MS = 40_000;
const STALL_MAX_MS = 3_000;
const RUN_MS = 200;

interface Figures {
  what: string;
  formMs: number;
  wordMs: number;
  joinMs: number;
  deathMs: number;
  cpuPercent: number;
  rssMiB: number;
  /** Members that ran well, and were found dead by somebody that ran well. */
  healthyDead: number;
  /** How often a starved member was found dead, all starved ones together, as the one that saw it most often saw it. */
  starvedDead: number;
}

/** Members of a mesh in processes of their own on loopback, and serf doing the same where it is installed. */
export async function benchGossip(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const size of SIZES) {
    const spare = TRIALS;
    const ours = await measure(meshCluster(size + spare, 10 + size), size);
    const theirs = hasSerf() ? await measure(serfCluster(100 + size), size) : undefined;
    rows.push(...compare(size, ours, theirs));
  }
  return rows;
}

function compare(size: number, ours: Figures, theirs: Figures | undefined): Row[] {
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;
  const row = (what: string, key: keyof Figures, show: (value: number) => string, target: string): Row => ({
    what: `gossip, ${size} members: ${what}`,
    value: `${show(ours[key] as number)} (serf ${theirs ? show(theirs[key] as number) : 'not installed'})`,
    target,
  });
  const count = (value: number): string => String(value);
  return [
    row('all others started know each other', 'formMs', seconds, ''),
    row('all hear a word', 'wordMs', seconds, '0.5 s'),
    row('all see a join', 'joinMs', seconds, '0.5 s'),
    row('all see a killed member', 'deathMs', seconds, '4 s'),
    row('idle CPU a member', 'cpuPercent', (value) => `${value.toFixed(2)} %`, '0.5 %'),
    row('idle RSS a member', 'rssMiB', (value) => `${value.toFixed(0)} MiB`, ''),
    row('a fifth starved: healthy ones found dead', 'healthyDead', count, '0'),
    row('a fifth starved: starved ones found dead', 'starvedDead', count, 'at most serf’s'),
  ];
}

async function measure(cluster: Cluster, size: number): Promise<Figures> {
  const members: BenchMember[] = [];
  try {
    members.push(cluster.start(0));
    // serf ends when the one it should join by does not listen yet.
    await sleep(FIRST_MS);
    const started = performance.now();
    for (let index = 1; index < size; index++) members.push(cluster.start(index));
    const everybody = (): boolean =>
      members.every((a) => members.every((b) => a === b || a.heard.has(`alive ${b.name}`)));
    await until(`${cluster.what}: all know each other`, everybody);
    const formMs = performance.now() - started;
    await sleep(QUIET_MS);
    const idle = await measureIdle(members);
    const words = await repeat((trial) => measureWord(cluster, members, trial));
    const joins: number[] = [];
    const deaths = await repeat(async (trial) => {
      joins.push(await measureJoin(cluster, members, size + trial));
      await sleep(SETTLE_MS);
      const death = await measureDeath(members);
      await sleep(SETTLE_MS);
      return death;
    });
    const median = (samples: number[]): number => quantile(samples, 0.5);
    const starved = await measureStarved(members);
    return {
      what: cluster.what,
      formMs,
      wordMs: median(words),
      joinMs: median(joins),
      deathMs: median(deaths),
      ...idle,
      ...starved,
    };
  } finally {
    cluster.close();
  }
}

async function repeat(trial: (index: number) => Promise<number>): Promise<number[]> {
  const samples: number[] = [];
  for (let index = 0; index < TRIALS; index++) samples.push(await trial(index));
  return samples;
}

async function measureIdle(members: BenchMember[]): Promise<Pick<Figures, 'cpuPercent' | 'rssMiB'>> {
  const cpu = (): number => members.reduce((sum, { pid }) => sum + cpuSecondsOf(pid), 0);
  const before = cpu();
  await sleep(IDLE_MS);
  return {
    cpuPercent: ((cpu() - before) / members.length / (IDLE_MS / 1_000)) * 100,
    rssMiB: quantile(
      members.map(({ pid }) => memoryOf(pid).rssMiB),
      0.5,
    ),
  };
}

async function measureWord(cluster: Cluster, members: BenchMember[], trial: number): Promise<number> {
  const started = performance.now();
  await cluster.speak(members[(trial * 7) % members.length] as BenchMember, `w${trial}`);
  await until('all hear the word', () => members.every(({ heard }) => heard.has(`word w${trial}`)));
  await sleep(1_000);
  return lastAt(members, `word w${trial}`) - started;
}

async function measureJoin(cluster: Cluster, members: BenchMember[], index: number): Promise<number> {
  const started = performance.now();
  const joiner = cluster.start(index);
  const others = [...members];
  members.push(joiner);
  await until('all see the join', () => others.every(({ heard }) => heard.has(`alive ${joiner.name}`)));
  return lastAt(others, `alive ${joiner.name}`) - started;
}

async function measureDeath(members: BenchMember[]): Promise<number> {
  const victim = members.pop() as BenchMember;
  const started = performance.now();
  victim.process.kill('SIGKILL');
  await until('all see the death', () => members.every(({ heard }) => heard.has(`dead ${victim.name}`)));
  return lastAt(members, `dead ${victim.name}`) - started;
}

function lastAt(members: BenchMember[], what: string): number {
  return Math.max(...members.map(({ heard }) => heard.get(what) ?? Number.NaN));
}

async function measureStarved(members: BenchMember[]): Promise<Pick<Figures, 'healthyDead' | 'starvedDead'>> {
  // The last ones: no servers, none that others joined by.
  const starved = members.slice(-Math.floor(members.length / 5));
  const healthy = members.slice(0, -starved.length);
  const before = healthy.map(({ count }) => new Map(count));
  const end = performance.now() + STARVED_MS;
  // The same stops for each system that is measured.
  await Promise.all(starved.map((member, index) => starve(member, index + 1, end)));
  await sleep(SETTLE_MS);
  const deaths = (at: number, of: BenchMember): number => {
    const what = `dead ${of.name}`;
    return ((healthy[at] as BenchMember).count.get(what) ?? 0) - ((before[at] as Map<string, number>).get(what) ?? 0);
  };
  const most = (of: BenchMember): number => Math.max(...healthy.map((_, at) => deaths(at, of)));
  return {
    healthyDead: healthy.filter((member) => most(member) > 0).length,
    starvedDead: starved.reduce((sum, member) => sum + most(member), 0),
  };
}

async function starve(member: BenchMember, seed: number, end: number): Promise<void> {
  // Halton's sequence: spread over the whole range, the same each time, with no two members in step.
  for (let turn = seed; performance.now() < end; turn++) {
    member.process.kill('SIGSTOP');
    await sleep(halton(turn) * STALL_MAX_MS);
    member.process.kill('SIGCONT');
    await sleep(RUN_MS);
  }
}

function halton(index: number): number {
  let result = 0;
  for (let part = 0.5, rest = index; rest > 0; rest = Math.floor(rest / 2), part /= 2) result += part * (rest % 2);
  return result;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`gave up waiting: ${what}`);
    await sleep(5);
  }
}
