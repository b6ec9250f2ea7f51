import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { seededRandom } from '../../lib/util/random.js';
import { fakeAlloc, fakeGroup, fakeJob, fakeTask, until } from '../client/fakes.js';

// A real client over raw_exec, killed with SIGKILL at any moment: its tasks go on, and the next client has them again.

const TASKS = 10;
const KILLS = 6;

interface Line {
  attachedMs?: number;
  states?: { ID: string; status?: string; exit?: number }[];
}

class Agent {
  private readonly child: ChildProcess;
  private readonly lines: Line[] = [];
  log = '';

  constructor(dir: string) {
    const script = fileURLToPath(new URL('client-agent.js', import.meta.url));
    this.child = spawn(process.execPath, [script, dir], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.log += chunk.toString();
    });
    if (this.child.stdout) {
      createInterface({ input: this.child.stdout }).on('line', (line) => this.lines.push(JSON.parse(line) as Line));
    }
  }

  get states(): NonNullable<Line['states']> {
    return this.lines.findLast(({ states }) => states)?.states ?? [];
  }

  get isUp(): boolean {
    return this.lines.length > 0;
  }

  async kill(): Promise<void> {
    if (this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await ended;
  }
}

interface World {
  dir: string;
  ids: string[];
  agent: () => Agent;
  restart: () => Promise<void>;
  /** The processes that were started for an allocation, oldest first. */
  pidsOf: (id: string) => string[];
}

/** A directory with ten allocations wished for; each task appends its pid to a file, and ends when the file `go` appears. */
function world(t: Test): World {
  const dir = mkdtempSync(join(tmpdir(), 'client-kill-'));
  const ids = Array.from({ length: TASKS }, (_, i) => `${i}1111111-2222-4333-8444-555555555555`);
  // $$ is the task itself: a second line in its file shows a second start.
  const script = `echo $$ >> ${dir}/$NOMAD_SHORT_ALLOC_ID.pids; while ! [ -e ${dir}/go ]; do sleep 0.1; done; exit 7`;
  const task = fakeTask({ Driver: 'raw_exec', Config: { command: '/bin/sh', args: ['-c', script] } });
  const none = { ...fakeGroup().RestartPolicy, Attempts: 0 };
  const job = fakeJob(fakeGroup([{ ...task, RestartPolicy: none }]));
  const wish = ids.map((ID) => ({ ...fakeAlloc('', job, { ID }), AllocModifyIndex: 50 }));
  writeFileSync(join(dir, 'wish.json'), JSON.stringify(wish));
  const pidsOf = (id: string): string[] => {
    const path = join(dir, `${id.slice(0, 8)}.pids`);
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  };
  let agent = new Agent(dir);
  t.teardown(async () => {
    writeFileSync(join(dir, 'go'), '');
    await agent.kill();
    await until(() => !ids.some((id) => pidsOf(id).some(alive)), 'tasks ended');
    rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
  const restart = async (): Promise<void> => {
    await agent.kill();
    agent = new Agent(dir);
  };
  return { dir, ids, agent: () => agent, restart, pidsOf };
}

function alive(pid: string | undefined): boolean {
  return existsSync(`/proc/${pid}`);
}

async function allAre(status: string, agent: () => Agent): Promise<void> {
  const are = (): boolean => agent().states.length === TASKS && agent().states.every((s) => s.status === status);
  await until(are, `all ${status}`).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(agent().states)} ${agent().log}`);
  });
}

t.test('ten tasks survive kill -9 of their agent with the same pids, whenever it comes', async (t) => {
  const { dir, ids, agent, restart, pidsOf } = world(t);
  await allAre('running', agent);
  const before = ids.map(pidsOf);
  for (let kill = 0; kill < KILLS; kill++) {
    await restart();
    // Every other kill comes while the client is attaching its tasks, or does not yet know them.
    if (kill % 2 === 0) await until(() => agent().isUp, 'up');
  }
  await allAre('running', agent);
  t.same(ids.map(pidsOf), before, 'each task was started once');
  t.ok(before.flat().every(alive), 'and lives');
  await agent().kill();
  writeFileSync(join(dir, 'go'), '');
  await until(() => !before.flat().some(alive), 'ended without an agent');
  await restart();
  await allAre('failed', agent);
  t.ok(
    agent().states.every(({ exit }) => exit === 7),
    'with the exit code',
  );
});

t.test('kills while the tasks are being started leave each of them running once', async (t) => {
  const { ids, agent, restart, pidsOf } = world(t);
  const random = seededRandom(5);
  for (let kill = 0; kill < KILLS; kill++) {
    await until(() => agent().isUp, 'up');
    // The tasks are started within the first tenth of a second from here: the kills fall all over it.
    await wait(100 * random.next());
    await restart();
  }
  await allAre('running', agent);
  const living = ids.map((id) => pidsOf(id).filter(alive).length);
  t.same(
    living,
    ids.map(() => 1),
  );
});
