// From one server to three, to five, and back to one, in real processes over a private DHT on loopback, while jobs are registered
// through all of them without a pause; in the middle the leader sleeps for a while and wakes. Nothing that was acknowledged is
// lost, nothing is there of which was said that it is not, and no read is stale that was not asked to be.
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import type { RaftConfiguration } from '../../lib/structs/operator.js';
import { eventually, jobJson } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { patience } from '../support/patience.js';
import { SteadyWriter } from '../support/steady-writer.js';
import { openTestnet } from '../support/testnet.js';

const NAMES = ['founder', 'two', 'last', 'four', 'five'] as const;
/** A change of the group, or of who leads it. */
const CHANGE_MS = 30_000;
/** Writes that show that things go on. */
const SOME = 40;
/** Reads that wait at a server while it sleeps. */
const READS = 16;

interface Alloc {
  ID: string;
  ClientStatus: string;
}

/** The servers of the mesh, and who writes through them. */
class Group {
  present: Machine[] = [];
  readonly writer: SteadyWriter;

  constructor(founder: Machine) {
    this.present = [founder];
    this.writer = new SteadyWriter(this.present);
  }

  async configuration(machine: Machine): Promise<RaftConfiguration['Servers']> {
    const response = await fetch(`${machine.address}/v1/operator/raft/configuration?stale`);
    return ((await response.json()) as RaftConfiguration).Servers;
  }

  /** All that are present agree on who they are, how many of them vote, and who leads. */
  async settled(voters: number): Promise<Machine> {
    const what = `${voters} of ${this.present.length} servers to vote`;
    const names = this.present.map(({ name }) => name).sort();
    return eventually(
      what,
      async () => {
        const said = await Promise.all(this.present.map((machine) => this.configuration(machine)));
        const leaders = new Set(
          said.flatMap((servers) => servers.filter(({ Leader }) => Leader).map(({ Node }) => Node)),
        );
        for (const servers of said) {
          const known = servers.map(({ Node }) => Node).sort();
          if (known.join() !== names.join()) throw new Error(`known are ${known.join()}`);
          if (servers.filter(({ Voter }) => Voter).length !== voters) throw new Error('others vote');
          if (!servers.some(({ Leader }) => Leader)) throw new Error('nobody leads');
        }
        return leaders.size === 1 ? this.present.find(({ name }) => leaders.has(name)) : undefined;
      },
      patience(CHANGE_MS),
    );
  }

  /** Another leader than that one, which gives up its office if it must. */
  async leaderBut(t: Test, machine: Machine, voters: number): Promise<Machine> {
    const leader = await this.settled(voters);
    if (leader !== machine) return leader;
    const heir = (await this.configuration(machine)).find(({ Node, Voter }) => Voter && Node !== machine.name);
    const handed = await machine.cli(['operator', 'raft', 'transfer-leadership', `-peer-id=${heir?.Node}`]);
    t.equal(handed.code, 0, `${machine.name} hands over: ${handed.err}`);
    return eventually('another to lead', async () => {
      const now = await this.settled(voters);
      return now === machine ? undefined : now;
    });
  }

  async add(machine: Machine): Promise<void> {
    const inviter = this.present.at(-1) as Machine;
    await machine.start('join', await inviter.invite('-role=server'));
    this.present = [...this.present, machine];
    this.writer.aim(this.present);
  }

  /** It is gone already; only then nobody writes through it any more. */
  drop(machine: Machine): void {
    this.present = this.present.filter((other) => other !== machine);
    this.writer.aim(this.present);
  }

  /** As a person takes a machine out, at that machine. */
  async leave(t: Test, machine: Machine): Promise<void> {
    const left = await machine.cli(['leave', '-yes']);
    t.equal(left.code, 0, `${machine.name} leaves: ${left.err}`);
    await eventually(`${machine.name} to end`, () => machine.ended || undefined, patience(CHANGE_MS));
    this.drop(machine);
  }

  /** Waits for writes that begin after this call. */
  async goesOn(writes = SOME): Promise<void> {
    const { acknowledged } = this.writer;
    const wanted = acknowledged.size + writes;
    await eventually(`${writes} writes`, () => acknowledged.size >= wanted || undefined, patience(CHANGE_MS));
  }

  /** What a consistent read that begins now does not show of what was acknowledged before; null when it was refused. */
  async missingAt(machine: Machine): Promise<string[] | null> {
    const before = [...this.writer.acknowledged];
    const response = await fetch(`${machine.address}/v1/jobs`, { signal: AbortSignal.timeout(CHANGE_MS) });
    const text = await response.text();
    if (!response.ok) return null;
    const there = new Set((JSON.parse(text) as { ID: string }[]).map(({ ID }) => ID));
    return before.filter((id) => !there.has(id));
  }
}

/**
 * Begins a read and does not end it. What woke a sleeper first it hears first: so an answer may be given before the sleeper hears that
 * another leads.
 */
function halfARead({ port }: Machine): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n');
  return socket;
}

/** Ends such a read; resolves as {@link Group.missingAt} does. */
async function otherHalf(socket: Socket, group: Group): Promise<string[] | null> {
  const before = [...group.writer.acknowledged];
  socket.write('Connection: close\r\n\r\n');
  let text = '';
  for await (const chunk of socket) text += chunk;
  if (!text.startsWith('HTTP/1.1 200 ')) return null;
  return before.filter((id) => !text.includes(`"ID":"${id}"`));
}

/** The leader sleeps while another takes over, and is asked things that it answers when it wakes. */
async function sleepOfTheLeader(t: Test, group: Group, leader: Machine): Promise<void> {
  const others = group.present.filter((machine) => machine !== leader);
  process.kill(leader.pid, 'SIGSTOP');
  const halves = Array.from({ length: READS }, () => halfARead(leader));
  const reads: Promise<string[] | null>[] = [];
  try {
    await eventually(
      'another to lead',
      async () => {
        const said = await Promise.all(others.map((machine) => group.configuration(machine)));
        return said.every((servers) => servers.some(({ Node, Leader }) => Leader && Node !== leader.name)) || undefined;
      },
      patience(CHANGE_MS),
    );
    await group.goesOn();
    for (const half of halves) reads.push(otherHalf(half, group), group.missingAt(leader));
    await group.goesOn();
  } finally {
    process.kill(leader.pid, 'SIGCONT');
  }
  const answers = await Promise.all(reads);
  t.comment(`${answers.filter((answer) => answer !== null).length} of ${2 * READS} reads were answered on waking`);
  t.strictSame(answers.flat().filter(Boolean), [], 'the one that slept shows all that was acknowledged, or refuses');
  const later: (string[] | null)[] = [];
  for (let i = 0; i < READS; i++) later.push(await group.missingAt(leader));
  t.strictSame(later.flat().filter(Boolean), [], 'nor is it stale after that');
  await eventually('it to answer again', async () => (await group.missingAt(leader))?.length === 0 || undefined);
}

t.test('1 → 3 → 5 → 3 → 1 servers while jobs are registered', { timeout: 400_000 }, async (t) => {
  const testnet = await openTestnet();
  t.teardown(() => testnet.close());
  const machines = new Map<string, Machine>();
  for (const name of NAMES) {
    const config = [
      'autopilot {\n  server_stabilization_time = "1s"\n}',
      'limits {\n  http_max_conns_per_client = 0\n}',
      `client {\n  enabled = ${name === 'last'}\n}`,
      'server {\n  enabled = true\n}',
    ];
    const machine = await Machine.make({ testnet, name, config: config.join('\n') });
    t.teardown(() => machine.dispose());
    machines.set(name, machine);
  }
  const [founder, two, last, four, five] = [...machines.values()] as [Machine, Machine, Machine, Machine, Machine];
  await founder.start('init', '-name=home');

  const group = new Group(founder);
  t.teardown(() => group.writer.stop());
  let beganMs = performance.now();
  const phase = (what: string): void => {
    const ms = Math.round(performance.now() - beganMs);
    t.comment(
      `${what}: ${ms} ms, ${group.writer.acknowledged.size} jobs, at most ${group.writer.takeGapMs()} ms without one`,
    );
    beganMs = performance.now();
  };
  await group.goesOn();
  phase('one server');

  await group.add(two);
  await group.add(last);
  await group.settled(3);
  await last.register(jobJson('stays'));
  const alloc = await eventually('the task to run', async () => {
    const allocs = await last.get<Alloc[]>('/v1/job/stays/allocations');
    return allocs.find(({ ClientStatus }) => ClientStatus === 'running');
  });
  await group.goesOn();
  phase('three servers');

  await group.add(four);
  await group.add(five);
  const leader = await group.settled(5);
  await group.goesOn();
  phase('five servers');

  await sleepOfTheLeader(t, group, leader);
  await group.settled(5);
  await group.goesOn();
  phase('the leader slept');

  // The one that leads leaves by itself, the next that leads is put out by the one that stays.
  await group.leave(t, await group.leaderBut(t, last, 5));
  const put = await group.leaderBut(t, last, 3);
  const revoked = await last.cli(['revoke', '-yes', put.name]);
  t.equal(revoked.code, 0, `${put.name} is put out: ${revoked.err}`);
  await put.end('SIGTERM');
  group.drop(put);
  const third = await group.settled(3);
  await group.goesOn();
  phase('three servers again');

  const [next, final] = group.present.filter((machine) => machine !== last).sort((a) => (a === third ? 1 : -1)) as [
    Machine,
    Machine,
  ];
  const removed = await last.cli(['operator', 'raft', 'remove-peer', `-peer-id=${next.name}`]);
  t.equal(removed.code, 0, `${next.name} is removed, and comes again as a standby: ${removed.err}`);
  await group.leave(t, next);
  await group.settled(1);
  await group.leave(t, final);
  t.equal(await group.settled(1), last);
  await group.goesOn();
  phase('one server again');

  await group.writer.stop();
  for (const [text, times] of group.writer.refusals) t.comment(`${times} × ${text}`);
  t.strictSame(group.writer.lies, [], 'what was said not to be done was not done');
  t.strictSame(await group.missingAt(last), [], 'all that was acknowledged is there');
  t.ok(group.writer.acknowledged.size > 10 * SOME, `${group.writer.acknowledged.size} jobs`);
  const allocs = await last.get<Alloc[]>('/v1/allocations');
  t.match(allocs, [{ ID: alloc.ID, ClientStatus: 'running' }], 'the task ran on, and only once');
  t.equal(allocs.length, 1);
  t.match(await last.cli(['job', 'stop', '-purge', '-detach', 'stays']), { code: 0 });
  await eventually('the task to end', async () => {
    const now = await last.get<Alloc[]>('/v1/allocations');
    return now.every(({ ClientStatus }) => ClientStatus !== 'running') || undefined;
  });
});
