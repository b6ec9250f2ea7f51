import type { ScalerRpc } from '../../lib/plugin/sdk/autoscaler.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { NodeListStub } from '../../lib/structs/rpc.js';
import { heldBy } from './select.js';

export interface ProtectWorld {
  allocs: ReadonlyMap<string, readonly Allocation[]>;
  /** Whether nodes at rest are switched off: a vote needs no more than that its server is up. */
  switched: boolean;
  rpc: ScalerRpc;
  call: { signal: AbortSignal };
}

/** What keeps each of the nodes at work, by its id: a vote, a volume in use, a person at one of its tasks. */
export async function protectedOf(nodes: readonly NodeListStub[], world: ProtectWorld): Promise<Map<string, string>> {
  const voters = world.switched ? await votersOf(world) : new Set();
  const found = new Map<string, string>();
  for (const node of nodes) {
    const why = voters.has(node.Name) ? 'the servers need its vote' : await whyAwake(node, world);
    if (why !== undefined) found.set(node.ID, why);
  }
  return found;
}

/** The names of nodes with a vote. */
async function votersOf({ rpc, call }: ProtectWorld): Promise<Set<string>> {
  const { Configuration } = await rpc.call('Operator.RaftGetConfiguration', {}, call);
  const voters = Configuration.Servers.filter(({ Voter }) => Voter);
  // A server is named NODE, or NODE.REGION.
  return new Set(voters.flatMap(({ Node: name }) => [name, name.replace(/\.[^.]*$/, '')]));
}

async function whyAwake({ ID }: NodeListStub, { allocs, rpc, call }: ProtectWorld): Promise<string | undefined> {
  const held = heldBy(allocs.get(ID) ?? []);
  if (held !== undefined) return held;
  const { Volumes } = await rpc.call('CSIVolume.List', { Namespace: '*', NodeID: ID }, call);
  const [volume] = Volumes;
  if (volume) return `volume "${volume.ID}" is in use there`;
  try {
    const { Sessions } = await rpc.call('ClientPower.Sessions', { NodeID: ID }, call);
    return Sessions[0];
  } catch (error) {
    // Whom one cannot ask one cannot put to sleep in good conscience either.
    return `it cannot be asked who is at its tasks: ${error instanceof Error ? error.message : String(error)}`;
  }
}
