import { Worker } from 'node:worker_threads';
import { createHttpServer } from '../../../lib/http/server.js';
import type { Node } from '../../../lib/structs/node.js';
import { localCaller } from '../../../lib/transport/local.js';
import { silentLog } from '../../../lib/util/log.js';
import { type TurnFacts, watchTurns } from '../../simulation/cluster/turn-watch.js';
import { simNode } from '../../simulation/cluster/workload.js';
import { type ClusterWorld, createClusterWorld } from '../../simulation/cluster/world.js';
import { createPacedConsensus } from './paced-consensus.js';
import type { Answer, Ask, FromPulse, ToPulse } from './pulse.js';
import { watchWhere } from './where.js';

/** What one work cost those who wanted the thread meanwhile. */
export interface Held extends TurnFacts {
  readonly what: string;
  readonly wallMs: number;
  /** Of the processor, the collector's and the compiler's threads included. */
  readonly cpuMs: number;
  /** The longest that a node waited for the answer to its heartbeat, and a person for that to a small question. */
  readonly beatMs: number;
  readonly readMs: number;
  /** Where the longest turns were, if asked for. */
  readonly where: readonly string[];
}

/** A server core with its HTTP API, and somebody who beats and asks. */
export interface Stage {
  readonly world: ClusterWorld;
  /** Asks the API and resolves once the answer is there. */
  ask(path: string, more?: Partial<Ask>): Promise<Answer>;
  /** Does it, and measures. */
  measure(what: string, act: () => Promise<unknown>): Promise<Held>;
  close(): Promise<void>;
}

/** Allocations are placed with so much room to spare, for what is done later. */
const SPARE = 1.6;

/** Registers so many machines for so many allocations; the first is so large that a hundredth of all fit there alone. */
export async function createStage(options: { nodes: number; allocs: number; where: boolean }): Promise<Stage> {
  const { nodes, allocs } = options;
  const world = createClusterWorld(1, Number.MAX_SAFE_INTEGER, createPacedConsensus);
  const rpc = localCaller(world.server.handlers, world.server.streamHandlers);
  const agent = { version: 'bench', metrics: () => [], health: () => ({}) } as never;
  const server = createHttpServer({ rpc, agent, log: silentLog, connectionsPerAddressMax: 0 });
  const httpPort = await server.listen({ host: '127.0.0.1', port: 0 });
  for (let i = 0; i < nodes; i++) {
    const node = simNode(i, { count: nodes, allocs: allocs * SPARE }, world.random);
    world.nodes.set(node.ID, node);
    await world.call('Node.Register', { Node: node });
  }
  // As in life, no two reports come at once.
  world.clients.turns = nodes;
  await world.idle();
  const [first] = [...world.nodes.values()] as [Node];
  const pulse = new Worker(new URL('./pulse.js', import.meta.url), {
    workerData: { httpPort, readPath: `/v1/node/${first.ID}` },
  });
  const tell = (message: ToPulse): void => pulse.postMessage(message);
  const answers = new Map<number, (answer: Answer) => void>();
  let asked = 0;
  let delays: (told: { beatMs: number; readMs: number }) => void = () => {};
  pulse.on('message', async (message: FromPulse) => {
    switch (message.is) {
      case 'beat': {
        const { ID, SecretID } = first;
        await world.call('Node.UpdateStatus', { NodeID: ID, SecretID, Status: 'ready' });
        return tell({ do: 'heard', beat: message.beat });
      }
      case 'delays':
        return delays(message);
      case 'answer':
        answers.get(message.id)?.(message.answer);
        answers.delete(message.id);
    }
  });
  return {
    world,
    ask: (path, more = {}) =>
      new Promise((resolve) => {
        const id = asked++;
        answers.set(id, resolve);
        tell({ do: 'ask', id, ask: { method: 'GET', body: '', times: 1, ...more, path } });
      }),
    async measure(what, act) {
      await quiet();
      const where = options.where ? await watchWhere() : null;
      tell({ do: 'begin' });
      const turns = watchTurns();
      const cpu = process.cpuUsage();
      const began = performance.now();
      await act();
      const wallMs = performance.now() - began;
      const { user, system } = process.cpuUsage(cpu);
      const facts = await turns.end();
      const heard = new Promise<{ beatMs: number; readMs: number }>((resolve) => {
        delays = resolve;
      });
      tell({ do: 'end' });
      const { beatMs, readMs } = await heard;
      const lines = where ? await where.end(facts.longTurns) : [];
      return { ...facts, what, wallMs, cpuMs: (user + system) / 1000, beatMs, readMs, where: lines };
    },
    async close() {
      await pulse.terminate();
      await server.close();
      world.stop();
    },
  };
}

/** What the work before has left to do (streams that close, garbage) is not the next one's. */
const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));
