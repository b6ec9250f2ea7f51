import { type ErrorCode, MeshError } from '../../structs/errors.js';
import type { BlockHolder, VolumeOrder, VolumeWork } from '../../structs/rpc-volume-data.js';
import type { ArchiveCore, VolumeProgress } from '../../structs/volume-data.js';
import { coreToken } from '../../transport/core-token.js';
import type { Millis } from '../../util/clock.js';
import type { NodePaths } from '../node-path.js';
import type { ServerWorld } from '../world.js';

/** How often a node is asked how far it is: at first soon, for much is done at once. */
const ASK_FIRST_MS: Millis = 100;
const ASK_MAX_MS: Millis = 1_000;
const RETRY_MS: Millis = 2_000;
const ANSWER_MS: Millis = 30_000;
/** A node that is there and gives no answer for so long will not. */
const GIVE_UP_MS: Millis = 600_000;

/** This server leads no more: whoever does goes on with it. */
export class Deposed extends Error {}

export interface NodeWorkParts {
  readonly world: ServerWorld;
  readonly paths: NodePaths;
  /** Whether the one who began still leads. */
  readonly leads: () => boolean;
}

/** What is heard of an order that is being carried out. */
export type Hear = (heard: { progress: VolumeProgress } | { waits: string }) => void;

/**
 * Has a node do something, and waits until it has. A node that cannot be reached for a while is asked again; the order is the same,
 * so nothing is done twice. Rejects with what the node refuses, with E_NO_NODE_PATH when it is down, and with Deposed.
 */
export async function carryOut(
  { world, paths, leads }: NodeWorkParts,
  nodeId: string,
  order: VolumeOrder,
  hear: Hear = () => {},
): Promise<Extract<VolumeWork, { State: 'done' }>> {
  let heardMs = world.now();
  for (let waitMs = ASK_FIRST_MS; ; ) {
    if (!leads()) throw new Deposed('this server leads no more');
    try {
      const path = await paths.find(nodeId, { forwarded: false });
      const work = await path.call('ClientVolumeData.Work', { NodeID: nodeId, Order: order }, { timeoutMs: ANSWER_MS });
      heardMs = world.now();
      if (work.State === 'done') return work;
      if (work.State === 'failed') throw new Refused(work);
      hear({ progress: work.Progress });
      await pause(world, waitMs);
      waitMs = Math.min(2 * waitMs, ASK_MAX_MS);
    } catch (error) {
      if (error instanceof Refused) throw new MeshError(error.code, error.message);
      const node = world.store.snapshot().nodeById(nodeId);
      if (node?.Status !== 'ready') {
        const how = node ? `is ${node.Status}` : 'is not known any more';
        throw new MeshError('E_NO_NODE_PATH', `node ${node?.Name ?? nodeId.slice(0, 8)} ${how}`);
      }
      const why = `node ${node.Name} does not answer: ${error instanceof Error ? error.message : String(error)}`;
      if (world.now() - heardMs > GIVE_UP_MS) throw new MeshError('E_NO_NODE_PATH', why);
      hear({ waits: why });
      await pause(world, RETRY_MS);
    }
  }
}

/** The node has done what it could, and says that it could not. */
class Refused extends Error {
  readonly code: ErrorCode;

  constructor({ Code, Message }: Extract<VolumeWork, { State: 'failed' }>) {
    super(Message);
    // Here that means that a write may have happened, which it may not.
    this.code = Code === 'E_TIMEOUT' ? 'E_NO_NODE_PATH' : (Code as ErrorCode);
  }
}

/** Who has blocks of a core, with the right of a node to copy them; the writer first. */
export function holdersFor(world: ServerWorld, core: ArchiveCore, askerId: string): BlockHolder[] {
  const state = world.store.snapshot();
  const ids = [core.NodeID, ...core.Holders.filter(({ Length }) => Length > 0).map(({ NodeID }) => NodeID)];
  return [...new Set(ids)].flatMap((NodeID) => {
    const node = NodeID === askerId ? undefined : state.nodeById(NodeID);
    return node ? [{ NodeID, Token: coreToken(node.SecretID, core.Key, askerId) }] : [];
  });
}

export const pause = (world: ServerWorld, ms: Millis): Promise<void> =>
  new Promise((resolve) => {
    world.timers.setTimeout(ms, resolve);
  });
