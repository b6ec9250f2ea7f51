// What the leader acknowledged is there after its kill -9, on every server: three real agents, invited as a person does.
import t from 'tap';
import { Caller, until } from '../bench/measure.js';
import type { BenchGroup } from '../bench/raft/group.js';
import { meshGroup } from '../bench/raft/group.js';

const KILLS = 4;
const WRITERS = 4;
const ALL = [0, 1, 2];

/** Registers jobs at one server until it is told to stop; notes what was acknowledged. */
async function write(group: BenchGroup, address: string, run: { stopped: boolean; acknowledged: Set<string> }) {
  const caller = new Caller(address, WRITERS);
  const writer = async (): Promise<void> => {
    while (!run.stopped) {
      const [method, path, body] = group.write();
      const { ID } = (JSON.parse(body) as { Job: { ID: string } }).Job;
      const reply = await caller.send(method, path, body).catch(() => undefined);
      if (reply?.status === 200) run.acknowledged.add(ID);
      else await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
  caller.close();
}

t.test('a leader is killed while it is written to, again and again', { timeout: 280_000 }, async (t) => {
  const group = await meshGroup(3);
  t.teardown(() => group.close());
  const acknowledged = new Set<string>();
  for (let kill = 0; kill < KILLS; kill++) {
    const leader = await until('one leader for all', () => group.leader(ALL));
    const run = { stopped: false, acknowledged: new Set<string>() };
    const writing = group.addresses.map((address) => write(group, address, run));
    await until('some writes', async () => run.acknowledged.size > 20 || undefined);
    await group.kill(leader);
    const before = run.acknowledged.size;
    await until('writes after it', async () => run.acknowledged.size > before + 20 || undefined);
    run.stopped = true;
    await Promise.all(writing);
    for (const id of run.acknowledged) acknowledged.add(id);
    await group.restart(leader);
  }
  await until('one leader for all', () => group.leader(ALL));
  for (const address of group.addresses) {
    const missing = await until(`${address} to have everything`, async () => {
      const response = await fetch(`${address}/v1/jobs?stale`);
      const there = new Set(((await response.json()) as { ID: string }[]).map(({ ID }) => ID));
      const lost = [...acknowledged].filter((id) => !there.has(id));
      return lost.length === 0 ? lost : undefined;
    });
    t.same(missing, []);
  }
  t.ok(acknowledged.size > KILLS * 40, `${acknowledged.size} writes were acknowledged`);
});
