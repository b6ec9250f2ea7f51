import t from 'tap';
import type { Action } from '../../../lib/server/autopilot/step.js';
import { oddFloor } from '../../../lib/server/autopilot/view.js';
import { type Random, randomInt, seededRandom } from '../../../lib/util/random.js';
import { names, SimMesh, type SimServer } from './mesh.js';

const SEEDS = 3_000;
const SERVERS_MAX = 9;

/** Something happens to a server. */
function disturb(mesh: SimMesh, random: Random): void {
  const server = mesh.servers[randomInt(random, mesh.servers.length)] as SimServer;
  switch (randomInt(random, 10)) {
    case 0:
    case 1:
      server.diedMs ??= mesh.now;
      return;
    case 2:
    case 3:
    case 4:
      server.diedMs = null;
      return;
    case 5:
      if (mesh.servers.length < SERVERS_MAX) mesh.add();
      return;
    case 6:
      server.trailing = server.trailing > 0 ? 0 : 10_000;
      return;
    case 7:
      server.relayed = random.next() < 0.3;
      server.syncMs = random.next() < 0.2 ? 400 : 2;
      server.wired = random.next() < 0.5;
      return;
    case 8:
      if (random.next() < 0.3) server.belongs = false;
      return;
    default:
      server.neverVotes = random.next() < 0.15;
  }
}

/** What a change would leave, counted anew: by how the leader saw it. */
function majorityAfter(mesh: SimMesh): boolean {
  const heard = mesh.voters.filter(
    ({ id, diedMs }) => id === mesh.leader || diedMs === null || mesh.now - diedMs <= 2_000,
  );
  return heard.length * 2 > mesh.voters.length;
}

interface Outcome {
  problem: string;
  actions: number;
}

function live(seed: number): Outcome {
  const random = seededRandom(seed);
  const mesh = new SimMesh(1);
  // Where the dead are kept, a change may have to wait for them.
  mesh.config = { ...mesh.config, CleanupDeadServers: seed % 4 > 0 };
  const isVoterChange = (action: Action | null | undefined): boolean =>
    action !== null && action !== undefined && action.type !== 'standby' && action.type !== 'handOver';
  const fail = (problem: string): Outcome => ({ problem: `seed ${seed}: ${problem}`, actions: mesh.actions.length });
  for (let tick = 0; tick < 250; tick++) {
    if (random.next() < 0.1) disturb(mesh, random);
    const before = names(mesh.voters);
    const decision = mesh.tick();
    if (!decision) continue;
    if (isVoterChange(decision.action) && !majorityAfter(mesh)) {
      return fail(`${decision.action?.type} ${decision.action?.id} of ${before} leaves no majority`);
    }
    // Whoever leads an even group changes that at once, or lets another do it.
    const isEven = mesh.voters.length % 2 === 0;
    if (isEven && before === names(mesh.voters) && decision.action?.type !== 'handOver') {
      return fail(`${before} stays even under ${mesh.leader}`);
    }
  }
  // Peace: everything runs, and nothing more happens.
  for (const server of mesh.servers) Object.assign(server, { diedMs: null, trailing: 0 });
  mesh.run(150);
  const able = mesh.servers.filter(
    ({ belongs, neverVotes, group }) => belongs && !neverVotes && group !== 'none',
  ).length;
  const expected = able === 0 ? mesh.voters.length : oddFloor(Math.min(able, 5));
  if (mesh.voters.length !== expected) return fail(`${names(mesh.voters)} of ${able} able, not ${expected}`);
  const restless = mesh.run(150);
  if (restless.length > 0) return fail(`never comes to rest: ${restless.map(({ reason }) => reason).join('; ')}`);
  return { problem: '', actions: mesh.actions.length };
}

t.test(
  `in ${SEEDS} meshes where anything happens, no change costs the majority, none stays even, all come to rest`,
  async (t) => {
    let actions = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const outcome = live(seed);
      actions += outcome.actions;
      if (outcome.problem !== '') t.fail(outcome.problem);
    }
    t.ok(actions > SEEDS, 'and a lot happens in them');
  },
);
