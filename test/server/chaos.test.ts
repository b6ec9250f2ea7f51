import t from 'tap';
import { allocsFit } from '../../lib/scheduler/fit.js';
import { schedule } from '../../lib/scheduler/index.js';
import type { Schedule } from '../../lib/server/worker.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { Node } from '../../lib/structs/node.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';
import { naiveScheduler } from './naive-scheduler.js';
import { createTestWorld, type TestWorld, webJob } from './world.js';

const NODES = 4;
const JOBS = 6;
const STEPS = 60;

const isLive = (status: string): boolean => status === 'pending' || status === 'running' || status === 'unknown';

/** Registers, stops, kills nodes, loses leaders and disks at random; then lets the world calm down. */
async function storm(
  seed: number,
  schedule: Schedule,
): Promise<{ world: TestWorld; acknowledged: Map<string, number> }> {
  const random = seededRandom(seed);
  const world = createTestWorld({ seed, schedule });
  const nodes: Node[] = [];
  const acknowledged = new Map<string, number>();
  world.store.onCommit(({ index }) => {
    const state = world.store.snapshot();
    for (const node of state.nodes()) {
      const { fits, dimension } = allocsFit(node, state.allocsByNode(node.ID));
      if (!fits) t.fail(`seed=${seed} index=${index}: ${node.ID} is overfull (${dimension})`);
    }
  });
  for (let i = 1; i <= NODES; i++) nodes.push(await world.addNode(i));
  const say = (node: Node, Status: Node['Status']) =>
    world.call('Node.UpdateStatus', { NodeID: node.ID, SecretID: node.SecretID, Status });
  const step = async (): Promise<void> => {
    const ID = `job${randomInt(random, JOBS)}`;
    const node = nodes[randomInt(random, NODES)] as Node;
    const dice = random.next();
    if (dice < 0.35) {
      const count = randomInt(random, 5);
      await world.call('Job.Register', { Job: webJob({ ID, Name: ID, count, cpu: 300 }) });
      acknowledged.set(ID, count);
    } else if (dice < 0.45) {
      await world.call('Job.Deregister', { JobID: ID });
      acknowledged.set(ID, 0);
    } else if (dice < 0.55) await say(node, 'down');
    else if (dice < 0.65) await say(node, 'ready');
    else if (dice < 0.7) {
      world.consensus.lead(false);
      world.consensus.lead(true);
    } else if (dice < 0.75) world.consensus.failWith = new MeshError('E_STORAGE', 'disk full');
    else if (dice < 0.85) world.consensus.failWith = null;
    else await world.time.advance(randomInt(random, 30_000));
  };
  for (let i = 0; i < STEPS; i++) {
    // A refusal is an answer: nothing was acknowledged.
    await step().catch((error: unknown) => {
      if (!(error instanceof MeshError) || error.code === 'E_INTERNAL') throw error;
    });
    if (random.next() < 0.5) await world.time.advance(20);
    for (const node of nodes) if (random.next() < 0.3) await world.obey(node).catch(() => {});
  }
  world.consensus.failWith = null;
  for (const node of nodes) await say(node, 'ready');
  for (let round = 0; round < 20; round++) {
    await world.time.advance(60_000);
    for (const node of nodes) await world.obey(node);
  }
  return { world, acknowledged };
}

t.test('after any storm every acknowledged job runs as it was last asked for, and no evaluation is left', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const { world, acknowledged } = await storm(seed, seed % 2 === 0 ? naiveScheduler : schedule);
    const state = world.store.snapshot();
    for (const [id, count] of acknowledged) {
      const live = state
        .allocsByJob('default', id)
        .filter(({ ClientStatus, DesiredStatus }) => DesiredStatus === 'run' && isLive(ClientStatus));
      t.equal(live.length, count, `seed=${seed}: ${id}`);
    }
    t.equal(state.evalsByStatus('pending').length, 0, `seed=${seed}: nothing is pending`);
    t.equal(state.evalsByStatus('blocked').length, 0, `seed=${seed}: nothing is blocked`);
    const { broker, plansInFlight } = world.server.counts();
    t.same(
      [broker, plansInFlight],
      [{ ready: 0, outstanding: 0, pending: 0, delayed: 0, failed: 0 }, 0],
      `seed=${seed}`,
    );
  }
});
