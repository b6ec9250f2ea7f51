import { setTimeout as sleep } from 'node:timers/promises';
import { Machine } from '../support/mesh-machines.js';
import { openTestnet } from '../support/testnet.js';
import { benchJob, Caller, cpuSecondsOf, memoryOf, peakMiBOf, until } from './measure.js';
import { SERVER_CONFIG } from './raft/group.js';
import type { Row } from './run.js';

const JOBS = 10_000;
const CONNECTIONS = 16;
const SETTLE_MS = 10_000;
const LIMIT_MS = 120_000;

interface Seen {
  readonly name: string;
  readonly machine: Machine;
  readonly target: string;
  rss: number[];
}

/** What an agent of each role takes in one mesh: at rest, and with ten thousand jobs; and what the standby's copy of all that costs. */
export async function benchMemory(): Promise<Row[]> {
  const testnet = await openTestnet();
  const seen: Seen[] = [];
  const add = async (name: string, config: string, target: string): Promise<Machine> => {
    const machine = await Machine.make({ testnet, name: name.replace(' ', '-'), config });
    seen.push({ name, machine, target, rss: [] });
    return machine;
  };
  try {
    const leader = await add('leader', SERVER_CONFIG, '250 MiB with jobs');
    await leader.start('init', '-name=bench');
    for (const name of ['voter 2', 'voter 3']) {
      await (await add(name, SERVER_CONFIG, '')).start('join', await leader.invite('-role=server'));
    }
    const never = `${SERVER_CONFIG}\nmesh {\n  voter = "never"\n}`;
    const standby = await add('standby', never, '');
    await standby.start('join', await leader.invite('-role=server'));
    await (await add('client', '', '80 MiB')).start('join', await leader.invite());
    await until('all to be there', () => allThere(leader), LIMIT_MS);
    await sleep(SETTLE_MS);
    look(seen);
    const cpu = cpuSecondsOf(standby.pid);
    await register(leader);
    await until('the standby to have all', () => hasAll(standby), LIMIT_MS);
    const followMs = ((cpuSecondsOf(standby.pid) - cpu) / JOBS) * 1000;
    await sleep(SETTLE_MS);
    look(seen);
    for (let i = 0; i < 5; i++) await leader.fetch('/v1/jobs');
    return [
      ...seen.map(({ name, machine, rss: [idle = 0, full = 0], target }) => ({
        what: `RSS of a ${name}: idle / ${JOBS} jobs / peak, then listed`,
        value: `${idle.toFixed(0)} / ${full.toFixed(0)} / ${peakMiBOf(machine.pid).toFixed(0)} MiB`,
        target,
      })),
      { what: 'CPU of a standby for a job that it follows', value: `${followMs.toFixed(2)} ms`, target: '' },
    ];
  } finally {
    await Promise.all(seen.map(({ machine }) => machine.dispose()));
    await testnet.close();
  }
}

function look(seen: readonly Seen[]): void {
  for (const { machine, rss } of seen) rss.push(memoryOf(machine.pid).rssMiB);
}

async function allThere(leader: Machine): Promise<true | undefined> {
  const { Servers } = await leader.get<{ Servers: { Voter: boolean }[] }>('/v1/operator/raft/configuration');
  const nodes = await leader.get<{ Status: string }[]>('/v1/nodes');
  const isThere = Servers.filter(({ Voter }) => Voter).length === 3 && nodes.some(({ Status }) => Status === 'ready');
  return isThere || undefined;
}

async function hasAll(standby: Machine): Promise<true | undefined> {
  return (await standby.fetch(`/v1/job/bench-${JOBS - 1}?stale`)).status === 200 || undefined;
}

async function register(leader: Machine): Promise<void> {
  const caller = new Caller(leader.address, CONNECTIONS);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < JOBS) {
      const { status, text } = await caller.send('PUT', '/v1/jobs', benchJob(`bench-${next++}`, { count: 0 }));
      if (status !== 200) throw new Error(text);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  caller.close();
}
