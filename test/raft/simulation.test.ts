import t from 'tap';
import { randomInt } from '../../lib/util/random.js';
import { World } from './world.js';

const IDS = ['a', 'b', 'c', 'd', 'e'];
// TAP_TIMEOUT=600 MESHNOMAD_SIM_SEEDS=20000 for a long look.
const SEEDS = Number(process.env['MESHNOMAD_SIM_SEEDS'] ?? 400);
const STEPS = 450;

let written = 0;

function disturb(world: World, change: boolean): void {
  const { random } = world;
  const up = world.up;
  const any = up[randomInt(random, up.length)];
  if (any === undefined) return;
  const { server, raft } = any;
  if (world.chance(0.02)) world.partition();
  if (world.chance(0.02)) world.cut.clear();
  if (world.chance(0.02)) world.crash(server);
  if (world.chance(0.08)) {
    const down = [...world.servers.values()].find((candidate) => candidate.raft === null);
    if (down !== undefined) world.start(down);
  }
  if (world.chance(0.05)) world.takeSnapshot(server, randomInt(random, 4));
  if (world.chance(0.1)) world.read(raft);
  if (world.chance(0.01)) world.leader?.transferLeadership(server.id);
  for (const { raft: candidate } of up) {
    if (candidate.role !== 'leader') continue;
    while (world.chance(0.5)) candidate.propose(new TextEncoder().encode(String(written++)));
    if (!change || !world.chance(0.05)) continue;
    const id = IDS[randomInt(random, IDS.length)] as string;
    const type = (['addVoter', 'addLearner', 'remove'] as const)[randomInt(random, 3)] as 'addVoter';
    if (candidate.proposeChange({ type, id }).ok) world.seen.changes++;
  }
}

/** Every member that takes part must hold what the leader has committed. */
function isSettled(world: World, index: number): boolean {
  const { leader } = world;
  const members = world.membership();
  if (leader === undefined || members === undefined || leader.committed < index) return false;
  return [...members.voters, ...members.learners].every((id) => world.server(id).applied >= index);
}

t.test('whatever fails, Raft keeps its promises, and after healing it moves on', { timeout: 300_000 }, async (t) => {
  const seen = { elections: 0, commits: 0, snapshots: 0, reads: 0, crashes: 0, changes: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new World(seed, IDS, IDS.slice(0, 1 + 2 * randomIntOf(seed)));
    try {
      world.faults = {
        loss: world.chance(0.5) ? 0.1 : 0,
        duplicate: 0.05,
        delayMax: 1 + randomInt(world.random, 5),
        diskDone: 0.3 + 0.7 * world.random.next(),
      };
      for (let step = 0; step < STEPS; step++) {
        disturb(world, seed % 2 === 0);
        world.step();
      }
      world.heal();
      if (!world.run(300, () => world.leader !== undefined))
        throw new Error(`no leader after healing: ${world.describe()}`);
      let index = 0;
      let term = 0;
      const moves = world.run(300, () => {
        // What an old leader took may be lost with it: then it is proposed again.
        const proposed = world.leader?.term !== term ? world.leader?.propose(new Uint8Array([1])) : undefined;
        if (proposed?.ok) {
          index = proposed.value;
          term = world.leader?.term ?? 0;
        }
        return index > 0 && isSettled(world, index);
      });
      if (!moves) throw new Error(`stuck after healing: entry ${index} is not everywhere: ${world.describe()}`);
    } catch (error) {
      t.fail(`seed=${seed}: ${(error as Error).stack}`);
      return;
    }
    for (const key of Object.keys(seen) as (keyof typeof seen)[]) seen[key] += world.seen[key];
  }
  t.comment(JSON.stringify(seen));
  // A simulation in which nothing happens proves nothing.
  for (const [what, count] of Object.entries(seen)) t.ok(count > SEEDS / 4, `${count} ${what}`);
});

/** 0, 1 or 2: one, three or five voters. */
function randomIntOf(seed: number): number {
  return seed % 3;
}
