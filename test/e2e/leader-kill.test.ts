// What the leader acknowledged is there after its kill -9, on every server: three real agents, invited as a person does. What its
// autoscaler was about is done once.
import t from 'tap';
import type { ScalingStandings } from '../../lib/structs/rpc-scaling.js';
import type { JobScaleStatus } from '../../lib/structs/scaling.js';
import { Caller, until } from '../bench/measure.js';
import type { BenchGroup } from '../bench/raft/group.js';
import { meshGroup } from '../bench/raft/group.js';

const KILLS = 4;
const WRITERS = 4;
const ALL = [0, 1, 2];
const GROWING = ['grown', 'growing'];

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

/** Work that finds no machine, and of which every evaluation wants one more: only the cooldown keeps it from growing. */
function growing(id: string): string {
  const check = {
    query: 'node_wanted/node_pool=default',
    strategy: [{ threshold: [{ lower_bound: 0, upper_bound: 9, within_bounds_trigger: 1, delta: 1 }] }],
  };
  const Policy = { cooldown: '1h', evaluation_interval: '1s', check: [{ more: [check] }] };
  const group = { Name: 'g', Count: 1, Scaling: { Min: 1, Max: 9, Enabled: true, Policy } };
  const task = { Name: 't', Driver: 'raw_exec', Config: { command: 'true' } };
  return JSON.stringify({
    Job: { ID: id, Name: id, Type: 'batch', Datacenters: ['*'], TaskGroups: [{ ...group, Tasks: [task] }] },
  });
}

async function registerGrowing(address: string, id: string): Promise<void> {
  const response = await fetch(`${address}/v1/jobs`, { method: 'PUT', body: growing(id) });
  if (!response.ok) throw new Error(await response.text());
}

/** How the count of the group was changed. */
async function changes(address: string, id: string, query = ''): Promise<string[]> {
  const response = await fetch(`${address}/v1/job/${id}/scale${query}`);
  const { TaskGroups } = (await response.json()) as JobScaleStatus;
  return (TaskGroups['g']?.Events ?? []).map(({ PreviousCount, Count }) => `${PreviousCount} to ${Count}`);
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
    const follower = group.addresses[(leader + 1) % ALL.length] as string;
    // The first dies when what its autoscaler did is heard of, the second when there is something to be done.
    if (kill < 2) await registerGrowing(follower, GROWING[kill] as string);
    if (kill === 0)
      await until('an action', async () => (await changes(follower, 'grown', '?stale')).length > 0 || undefined);
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
  const [address = ''] = group.addresses;
  const looked = await until('the last leader to have looked at both', async () => {
    const response = await fetch(`${address}/v1/autoscaler/status`);
    const { Policies } = (await response.json()) as ScalingStandings;
    return Policies.length === 2 && Policies.every(({ Last }) => Last?.Count === 2) ? Policies : undefined;
  });
  t.match(looked, [{ Last: { Result: 'cooldown', Action: { count: 3 } } }, { Last: { Result: 'cooldown' } }]);
  for (const id of GROWING) t.same(await changes(address, id), ['1 to 2'], 'the autoscalers of all leaders acted once');
  t.ok(acknowledged.size > KILLS * 40, `${acknowledged.size} writes were acknowledged`);
});
