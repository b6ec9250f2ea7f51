import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { eventually } from '../support/mesh-agent.js';
import { checkRegisters } from '../support/register-history.js';
import { type SoakClients, TASK } from './clients.js';
import type { Box, FaultGroup } from './fault-group.js';

/** Whatever is well again is so after this time, also on a machine that is so busy that hardly anybody gets a turn. */
const RECOVER_MS = 600_000;

interface Alloc {
  readonly ID: string;
  readonly Name: string;
  readonly Namespace: string;
  readonly DesiredStatus: string;
  readonly ClientStatus: string;
}

/** No place of a job is taken twice in anybody's state, at any moment: of a state of the past too. */
export async function assertNoDuplicates(box: Box): Promise<void> {
  const reply = await box.machine.fetch('/v1/allocations?stale');
  if (reply.status !== 200) return;
  const seen = new Map<string, string>();
  for (const { ID, Name, DesiredStatus, ClientStatus } of JSON.parse(reply.text) as Alloc[]) {
    if (DesiredStatus !== 'run' || (ClientStatus !== 'running' && ClientStatus !== 'pending')) continue;
    const other = seen.get(Name);
    if (other !== undefined) throw new Error(`at ${box.name}: ${Name} is both ${other} and ${ID}`);
    seen.set(Name, ID);
  }
}

/** Every server takes writes again, and answers reads. */
export async function assertProgress(group: FaultGroup, clients: SoakClients): Promise<number> {
  const began = performance.now();
  const before = new Map(clients.answered);
  await eventually(
    'every server to answer',
    () =>
      group.servers.every(({ name }) => (clients.answered.get(name) ?? 0) > (before.get(name) ?? 0) + 3) || undefined,
    RECOVER_MS,
  );
  return Math.round(performance.now() - began);
}

/** All that was acknowledged is on every server, and all of them say the same. */
async function assertKept(group: FaultGroup, clients: SoakClients): Promise<void> {
  for (const box of group.servers) {
    await eventually(
      `${box.name} to have every job`,
      async () => {
        const there = new Set(
          (await box.machine.get<{ ID: string }[]>('/v1/jobs?stale&prefix=new-')).map(({ ID }) => ID),
        );
        const missing = [...clients.jobs].filter((id) => !there.has(id));
        if (missing.length > 0) throw new Error(`${missing.length} are missing: ${missing.slice(0, 5)}`);
        return true;
      },
      RECOVER_MS,
    );
  }
  for (const key of clients.keys) {
    const said = [];
    for (const box of group.servers) said.push(await clients.read('reader', box, key));
    if (said.some((found) => found === null)) throw new Error(`${key} cannot be read in the end`);
  }
}

/** The tasks there really are on the machines of the group: of each place of a job exactly one. */
function runningTasks(group: FaultGroup): string[] {
  const dirs = group.boxes.map(({ machine }) => `${machine.dir}/`);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(TASK.join('\0'))) return [];
        const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
        const name = /NOMAD_ALLOC_NAME=(work-[^\0]*)/.exec(environment)?.[1];
        return name === undefined || !dirs.some((dir) => environment.includes(dir)) ? [] : [name];
      } catch {
        return [];
      }
    })
    .sort();
}

async function assertWorkIsDone(group: FaultGroup, clients: SoakClients): Promise<void> {
  const [box] = group.servers as [Box];
  await eventually(
    'the tasks that were asked for to run, each once',
    async () => {
      const jobs = await box.machine.get<{ ID: string }[]>('/v1/jobs?prefix=work-');
      const names: string[] = [];
      for (const { ID } of jobs) {
        const { TaskGroups } = await box.machine.get<{ TaskGroups: { Count: number }[] }>(`/v1/job/${ID}`);
        const count = TaskGroups[0]?.Count ?? 0;
        const asked = clients.wanted.get(ID);
        if (asked !== undefined && asked !== count)
          throw new Error(`${ID} has a count of ${count}, ${asked} was acknowledged`);
        for (let i = 0; i < count; i++) names.push(`${ID}.g[${i}]`);
      }
      const running = runningTasks(group);
      if (running.join() !== names.sort().join())
        throw new Error(`running: ${running.join()}, wanted: ${names.join()}`);
      return true;
    },
    RECOVER_MS,
  );
}

/** All that must hold in the end; throws what does not. */
export async function assertAllHolds(group: FaultGroup, clients: SoakClients): Promise<string> {
  await assertKept(group, clients);
  await assertWorkIsDone(group, clients);
  for (const box of group.servers) await assertNoDuplicates(box);
  const verdict = checkRegisters(clients.history);
  if (verdict.kind !== 'linearizable') {
    const culprits = verdict.kind === 'violated' ? JSON.stringify(verdict.culprits) : '';
    const file = join(tmpdir(), `meshnomad-soak-${process.pid}.json`);
    writeFileSync(file, JSON.stringify(clients.history));
    throw new Error(`the history of the registers, in ${file}, is ${verdict.kind} ${culprits}`);
  }
  const unknown = clients.history.filter(({ outcome }) => outcome.kind === 'unknown').length;
  return `${clients.history.length} operations on registers (${unknown} of unknown outcome) are linearizable, ${clients.jobs.size} jobs are there`;
}
