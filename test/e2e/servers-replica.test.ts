// A server that never votes, in real processes over a private DHT on loopback: it follows the state feed of whoever leads, answers
// as every server does, says truly how old its state is, and finds out when what lies on its disk is wrong.
import { closeSync, openSync, readdirSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { RaftConfiguration } from '../../lib/structs/operator.js';
import { eventually, jobJson } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { patience } from '../support/patience.js';
import { openTestnet } from '../support/testnet.js';

const CHANGE_MS = 60_000;
/** Written while the replica is down. */
const MISSED = 1_000;

interface Stale {
  readonly ids: ReadonlySet<string>;
  readonly knownLeader: boolean;
  readonly lastContactMs: number;
}

async function staleRead({ address }: Machine): Promise<Stale> {
  const response = await fetch(`${address}/v1/jobs?stale`, { signal: AbortSignal.timeout(10_000) });
  const jobs = (await response.json()) as { ID: string }[];
  return {
    ids: new Set(jobs.map(({ ID }) => ID)),
    knownLeader: response.headers.get('x-nomad-knownleader') === 'true',
    lastContactMs: Number(response.headers.get('x-nomad-lastcontact')),
  };
}

/** A mesh of three servers that vote and one that does not. */
class Scene {
  readonly written: string[] = [];
  readonly voters: readonly Machine[];
  readonly replica: Machine;

  constructor(voters: readonly Machine[], replica: Machine) {
    this.voters = voters;
    this.replica = replica;
  }

  async write(through: Machine, count: number): Promise<void> {
    const one = async (): Promise<void> => {
      const id = `job-${this.written.length}`;
      this.written.push(id);
      await through.register(jobJson(id, { count: 0 }));
    };
    for (let left = count; left > 0; left -= 20) await Promise.all(Array.from({ length: Math.min(20, left) }, one));
  }

  /** Everything written is in the state of the replica. */
  async caughtUp(what: string): Promise<Stale> {
    return eventually(
      `the replica to have all ${what}`,
      async () => {
        const read = await staleRead(this.replica);
        return this.written.every((id) => read.ids.has(id)) ? read : undefined;
      },
      patience(CHANGE_MS),
    );
  }

  said(words: string): number {
    return this.replica.log.split(words).length - 1;
  }

  async leader(among: readonly Machine[]): Promise<Machine> {
    return eventually('one leader for all', async () => {
      const said = await Promise.all(
        among.map((machine) => machine.get<RaftConfiguration>('/v1/operator/raft/configuration?stale')),
      );
      const names = new Set(said.map(({ Servers }) => Servers.find(({ Leader }) => Leader)?.Node));
      return names.size === 1 ? among.find(({ name }) => names.has(name)) : undefined;
    });
  }
}

async function answersAsAnyServer(t: Test, scene: Scene): Promise<void> {
  const { voters, replica } = scene;
  const [a] = voters as [Machine];
  const why = await eventually('it to be told that it reads the feed', async () => {
    const { out } = await a.cli(['server', 'why']);
    return /reads what the others decide from their feed.*voter = "never"/.test(out) ? out : undefined;
  });
  t.notMatch(why, /4 servers can/, 'it does not count among those that can vote');
  await scene.write(a, 100);
  await scene.caughtUp('of the first writes');
  await eventually('the leader to be known and heard', async () => {
    const { knownLeader, lastContactMs } = await staleRead(replica);
    return (knownLeader && lastContactMs < 5_000) || undefined;
  });

  await scene.write(replica, 40);
  const ids = new Set((await replica.get<{ ID: string }[]>('/v1/jobs')).map(({ ID }) => ID));
  t.ok(
    scene.written.every((id) => ids.has(id)),
    'a consistent read shows what was written a moment ago',
  );

  const first = await fetch(`${replica.address}/v1/jobs`);
  await first.text();
  const index = first.headers.get('x-nomad-index');
  const waiting = fetch(`${replica.address}/v1/jobs?index=${index}&wait=60s`).then(async (response) => {
    t.ok(Number(response.headers.get('x-nomad-index')) > Number(index), 'a blocking query is woken');
    return (await response.text()).includes(`"${scene.written.at(-1)}"`);
  });
  await scene.write(a, 1);
  t.equal(await waiting, true, 'with what woke it');
}

async function switchesFeeds(t: Test, scene: Scene): Promise<void> {
  const restored = scene.said('restored from a snapshot of the feed');
  const leader = await scene.leader(scene.voters);
  const rest = scene.voters.filter((machine) => machine !== leader);
  await leader.end('SIGKILL');
  await scene.leader(rest);
  await scene.write(rest[0] as Machine, 100);
  await scene.caughtUp('of the next leader');
  const read = await eventually('it to know the next leader', async () => {
    const read = await staleRead(scene.replica);
    return read.knownLeader && read.lastContactMs < 5_000 ? read : undefined;
  });
  t.ok(read.knownLeader);
  t.equal(scene.said('restored from a snapshot of the feed'), restored, 'at the same index, without a snapshot');
  await scene.write(scene.replica, 10);
  await leader.start('up');
}

async function catchesUp(t: Test, scene: Scene): Promise<void> {
  await scene.replica.end('SIGTERM');
  await scene.write(await scene.leader(scene.voters), MISSED);
  await scene.replica.start('up');
  const beganMs = performance.now();
  await scene.caughtUp('that it missed');
  t.comment(`${MISSED} entries were there ${Math.round(performance.now() - beganMs)} ms after its start`);
}

/** Garbage lies over the middle of everything that the replica has of the feed. */
async function findsGarbage(t: Test, scene: Scene): Promise<void> {
  const { replica, voters } = scene;
  await replica.end('SIGTERM');
  const folder = join(replica.dir, 'data', 'cores', 'db');
  const spoiled = readdirSync(folder).filter((name) => /\.(sst|blob)$/.test(name));
  for (const name of spoiled) {
    const { size } = statSync(join(folder, name));
    const file = openSync(join(folder, name), 'r+');
    writeSync(file, Buffer.alloc(size >> 1, 0xa5), 0, undefined, size >> 2);
    closeSync(file);
  }
  t.ok(spoiled.length > 0, spoiled.join(', '));
  await replica.start('up');
  await scene.write(voters[0] as Machine, 10);
  await scene.caughtUp('after its copy was spoiled');
  t.match(replica.log, /the store of cores is damaged and begun anew|what is here of the state feed is damaged/);
}

/** Two of three are gone: what is there is shown, with words that say how old it is. */
async function outlivesTheGroup(t: Test, scene: Scene): Promise<void> {
  const [first, second] = scene.voters as [Machine, Machine];
  await Promise.all([first.end('SIGKILL'), second.end('SIGKILL')]);
  const read = await eventually('it to know of no leader', async () => {
    const read = await staleRead(scene.replica);
    return read.knownLeader ? undefined : read;
  });
  t.ok(
    scene.written.every((id) => read.ids.has(id)),
    'stale reads go on',
  );
  const later = await eventually('the age to grow', async () => {
    const later = await staleRead(scene.replica);
    return later.lastContactMs > read.lastContactMs + 1_000 ? later : undefined;
  });
  t.equal(later.knownLeader, false);
  const refused = await fetch(`${scene.replica.address}/v1/jobs`);
  t.match([refused.status, await refused.text()], [500, /leader/]);
}

t.test('a server that never votes follows the feed', { timeout: 400_000 }, async (t) => {
  const testnet = await openTestnet();
  t.teardown(() => testnet.close());
  const config = 'client {\n  enabled = false\n}\nserver {\n  enabled = true\n}';
  const machines: Machine[] = [];
  for (const name of ['a', 'b', 'c', 'r']) {
    const never = name === 'r' ? '\nmesh {\n  voter = "never"\n}' : '';
    const machine = await Machine.make({ testnet, name, config: config + never });
    t.teardown(() => machine.dispose());
    machines.push(machine);
  }
  const [a, b, c, r] = machines as [Machine, Machine, Machine, Machine];
  await a.start('init', '-name=home');
  for (const other of [b, c, r]) await other.start('join', await a.invite('-role=server'));
  const scene = new Scene([a, b, c], r);
  t.teardown(() => {
    if (!t.passing()) t.comment(r.log.slice(-6000));
  });
  await eventually(
    'three to vote, and nobody else to be in the group',
    async () => {
      const { Servers } = await a.get<RaftConfiguration>('/v1/operator/raft/configuration');
      return (Servers.length === 3 && Servers.every(({ Voter }) => Voter)) || undefined;
    },
    patience(CHANGE_MS),
  );

  await answersAsAnyServer(t, scene);
  await switchesFeeds(t, scene);
  await catchesUp(t, scene);
  await findsGarbage(t, scene);
  await outlivesTheGroup(t, scene);
});
