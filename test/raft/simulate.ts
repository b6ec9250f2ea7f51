import { randomInt } from '../../lib/util/random.js';
import { checkRegisters } from '../support/register-history.js';
import { World } from './world.js';

const IDS = ['a', 'b', 'c', 'd', 'e'];
const STEPS = 450;

/**
 * One life of a cluster from one seed: faults of every kind, then healing, then it must move on, and what its clients were
 * told must be linearizable. Throws when a promise is broken; returns how often what happened.
 */
export function simulate(seed: number): World['seen'] {
  // One, three or five voters; changes of membership in every other world.
  const world = new World(seed, IDS, IDS.slice(0, 1 + 2 * (seed % 3)));
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
  requireProgress(world);
  const verdict = checkRegisters(world.clients.history);
  if (verdict.kind === 'violated') throw new Error(`not linearizable: ${JSON.stringify(verdict.culprits)}`);
  if (verdict.kind === 'undecided') throw new Error('too many ambiguous operations to tell whether it is linearizable');
  return world.seen;
}

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
    while (world.chance(0.5)) world.write(candidate);
    if (!change || !world.chance(0.05)) continue;
    const id = IDS[randomInt(random, IDS.length)] as string;
    const type = (['addVoter', 'addLearner', 'remove'] as const)[randomInt(random, 3)] as 'addVoter';
    if (candidate.proposeChange({ type, id }).ok) world.seen.changes++;
  }
}

function requireProgress(world: World): void {
  let index = 0;
  let term = 0;
  const moves = world.run(300, () => {
    // What an old leader took may be lost with it: then it is proposed again.
    const { leader } = world;
    const written = leader === undefined || leader.term === term ? null : world.write(leader);
    if (written !== null) {
      index = written;
      term = leader?.term ?? 0;
    }
    return index > 0 && isSettled(world, index);
  });
  if (!moves) throw new Error(`stuck after healing: entry ${index} is not everywhere: ${world.describe()}`);
}

/** Every member that takes part must hold what the leader has committed. */
function isSettled(world: World, index: number): boolean {
  const { leader } = world;
  const members = world.membership();
  if (leader === undefined || members === undefined || leader.committed < index) return false;
  return [...members.voters, ...members.learners].every((id) => world.server(id).applied >= index);
}
