import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { openCsiRpc } from '../../lib/client/csi/rpc.js';
import { listMounts } from '../../lib/plugin/sdk/mounts.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import { type Random, seededRandom } from '../../lib/util/random.js';
import { fakeAlloc, fakeGroup, fakeJob, fakeTask } from '../client/fakes.js';
import { mayMount, ownMounts } from '../support/own-mounts.js';

// An allocation with a volume of csi-local comes and goes, while its agent, the plugin and the task are killed with SIGKILL
// at any moment: no mount and no loop device is left, no claim is lost or given twice, and no written line is missing.
// MESHNOMAD_KILL_ROUNDS makes it longer.

ownMounts(import.meta.url);
const ROUNDS = Number(process.env['MESHNOMAD_KILL_ROUNDS'] ?? 5);
/** The longest pause between two attempts to release a volume is a minute. */
const WAIT_MS = 90_000;
const MESHNOMAD = fileURLToPath(new URL('../../bin/meshnomad.js', import.meta.url));
const AGENT = fileURLToPath(new URL('csi-agent.js', import.meta.url));

interface State {
  ID: string;
  status: string;
  events?: string[];
}

class World {
  readonly dir = mkdtempSync(join(tmpdir(), 'ck-'));
  readonly random: Random;
  states: State[] = [];
  private children: Record<'agent' | 'plugin', ChildProcess | null> = { agent: null, plugin: null };
  private index = 10;
  private logs = '';

  constructor(seed: number) {
    this.random = seededRandom(seed);
    writeFileSync(join(this.dir, 'claims.json'), JSON.stringify({ holder: '', violations: [] }));
    this.wish([], '');
  }

  start(kind: 'agent' | 'plugin'): void {
    const socket = `unix://${join(this.dir, 'plugin.sock')}`;
    const plugin = [MESHNOMAD, 'plugin', 'csi-local', '-endpoint', socket, '-root', join(this.dir, 'root')];
    const args = kind === 'agent' ? [AGENT, this.dir] : plugin;
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.logs = (this.logs + chunk.toString()).slice(-6000);
    });
    this.states = [];
    if (kind === 'agent' && child.stdout)
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (this.children.agent === child) this.states = JSON.parse(line) as State[];
      });
    this.children[kind] = child;
  }

  async kill(kind: 'agent' | 'plugin'): Promise<void> {
    const child = this.children[kind];
    if (!child || child.signalCode !== null || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  wish(allocs: Allocation[], externalId: string): void {
    this.index++;
    const changed = allocs.map((alloc) => ({ ...alloc, AllocModifyIndex: this.index, ModifyIndex: this.index }));
    const text = JSON.stringify({ index: this.index, allocs: changed, externalId });
    writeFileSync(join(this.dir, 'wish.tmp'), text);
    renameSync(join(this.dir, 'wish.tmp'), join(this.dir, 'wish.json'));
  }

  get claims(): { holder: string; violations: string[] } {
    return JSON.parse(readFileSync(join(this.dir, 'claims.json'), 'utf8')) as { holder: string; violations: string[] };
  }

  /** Kills one or the other at a moment that nobody has chosen, and starts it again. */
  async disturb(): Promise<void> {
    const kind = this.random.next() < 0.7 ? 'agent' : 'plugin';
    await wait(this.random.next() * (kind === 'agent' ? 700 : 250));
    await this.kill(kind);
    this.start(kind);
  }

  async until(test: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + WAIT_MS;
    while (!test()) {
      if (Date.now() > deadline) {
        const seen = { states: this.states, claims: this.claims, left: this.leftovers() };
        throw new Error(`never came true: ${what}: ${JSON.stringify(seen)}\n${this.logs}`);
      }
      await wait(10);
    }
  }

  /** Mounts and loop devices of the volume that are there now. */
  leftovers(): string[] {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    const loops = execFileSync('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE'], { encoding: 'utf8' });
    return [...mounts, ...loops.split('\n')].filter((line) => line.includes(this.dir));
  }

  /** Leaves nothing, also when a round failed half-way. */
  async end(): Promise<void> {
    await this.kill('agent');
    await this.kill('plugin');
    const pid = existsSync(join(this.dir, 'pid')) ? readFileSync(join(this.dir, 'pid'), 'utf8').trim() : '';
    if (pid !== '' && existsSync(`/proc/${pid}/cwd`)) process.kill(Number(pid), 'SIGKILL');
    for (const { target } of (await listMounts()).reverse())
      if (target.startsWith(this.dir)) execFileSync('umount', ['--lazy', target]);
    const loops = execFileSync('losetup', ['--list', '--noheadings', '--output', 'NAME,BACK-FILE'], {
      encoding: 'utf8',
    });
    for (const line of loops.split('\n'))
      if (line.includes(this.dir)) execFileSync('losetup', ['--detach', line.split(' ')[0] ?? '']);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function allocOf(world: World, round: number): Allocation {
  const id = `${round.toString(16).padStart(8, '0')}-2222-4333-8444-555555555555`;
  // Written and synced before the task counts as started: such a line must never be missing again.
  const script = `echo $$ > ${world.dir}/pid; cd "$NOMAD_TASK_DIR/../data" && echo ${round} >> log && sync log && cp log ${world.dir}/seen.tmp && mv ${world.dir}/seen.tmp ${world.dir}/seen-${round}; exec sleep 1000`;
  const mount = { Volume: 'v', Destination: '/data', ReadOnly: false, PropagationMode: 'private', SELinuxLabel: '' };
  const task = fakeTask({
    Driver: 'raw_exec',
    Config: { command: '/bin/sh', args: ['-c', script] },
    VolumeMounts: [mount],
    KillTimeout: 1e9,
  });
  const none = { ...fakeGroup().RestartPolicy, Attempts: 0 };
  const request = {
    Name: 'v',
    Type: 'csi',
    Source: 'data',
    ReadOnly: false,
    Sticky: false,
    AccessMode: 'single-node-writer',
    AttachmentMode: 'file-system',
    MountOptions: null,
    PerAlloc: false,
  } as const;
  const job = fakeJob(fakeGroup([{ ...task, RestartPolicy: none }], { Volumes: { v: request } }));
  return fakeAlloc('', job, { ID: id });
}

if (!mayMount) t.test('csi mounts', { skip: 'needs root' }, async () => {});
else
  t.test(`${ROUNDS} rounds of kill -9 leave no mount, no claim and no gap in the data`, { timeout: 0 }, async (t) => {
    const world = new World(Number(process.env['MESHNOMAD_KILL_SEED'] ?? 11));
    t.teardown(() => world.end());
    world.start('plugin');
    await world.until(() => existsSync(join(world.dir, 'plugin.sock')), 'plugin');
    const externalId = await makeVolume(join(world.dir, 'plugin.sock'));
    world.start('agent');
    const seen: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const alloc = allocOf(world, round);
      const is = (...wanted: string[]) => wanted.includes(world.states.find(({ ID }) => ID === alloc.ID)?.status ?? '');
      world.wish([alloc], externalId);
      await world.disturb();
      await world.until(() => existsSync(join(world.dir, `seen-${round}`)) && is('running'), 'running');
      const rows = readFileSync(join(world.dir, `seen-${round}`), 'utf8')
        .trim()
        .split('\n')
        .map(Number);
      t.ok(
        seen.every((row) => rows.includes(row)),
        `round ${round}: every earlier line is there`,
      );
      seen.push(round);
      t.equal(world.claims.holder, alloc.ID);
      if (world.random.next() < 0.3) process.kill(Number(readFileSync(join(world.dir, 'pid'), 'utf8')), 'SIGKILL');
      else world.wish([{ ...alloc, DesiredStatus: 'stop' }], externalId);
      await world.disturb();
      await world.until(() => is('complete', 'failed') && world.claims.holder === '', 'ended and released');
      await world.until(() => world.leftovers().length === 0, 'nothing is left');
      world.wish([], externalId);
    }
    t.same(world.claims.violations, []);
  });

async function makeVolume(socket: string): Promise<string> {
  const rpc = await openCsiRpc('local', socket);
  const { volume } = await rpc.call(
    'Controller.CreateVolume',
    {
      name: 'data',
      capacityRange: { requiredBytes: 16 << 20, limitBytes: 0 },
      volumeCapabilities: [
        { mount: { fsType: '', mountFlags: [], volumeMountGroup: '' }, accessMode: { mode: 'SINGLE_NODE_WRITER' } },
      ],
      parameters: {},
      secrets: {},
      volumeContentSource: null,
      accessibilityRequirements: null,
    },
    { timeoutMs: 20_000 },
  );
  rpc.close();
  return volume?.volumeId ?? '';
}
