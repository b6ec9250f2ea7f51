import { rmSync } from 'node:fs';
import type { Consensus, ConsensusGroup } from '../../server/ports.js';
import { err, ok, type Result } from '../../util/result.js';
import type { AgentMesh } from './agent-mesh.js';

/** How long another server may take to take the own one's place. */
const HAND_OVER_MS = 10_000;
const LOOK_MS = 100;

export interface LeaveOptions {
  mesh: AgentMesh;
  /** Of the own server; absent on a client. */
  consensus: (Consensus & ConsensusGroup) | undefined;
  /** Allocations that run here. */
  running: number;
  /** What is removed at the end: the files of the mesh. */
  folder: string;
}

/**
 * Takes this machine out of its mesh: another server takes its place first, then the servers write down that it left, then
 * everybody hears it, then its files are removed. The agent has to be ended afterwards.
 */
export async function leaveMesh({ mesh, consensus, running, folder }: LeaveOptions): Promise<Result<void, string>> {
  const { member, gossip, servers } = mesh;
  if (running > 0) {
    return err(
      `${running} allocations run on this machine: move them first with "meshnomad node drain -self -enable", or stop their jobs`,
    );
  }
  try {
    if (consensus?.membership().voters.includes(consensus.id)) {
      const handed = await handOver(consensus);
      if (!handed.ok) return handed;
    }
    await servers.call('Mesh.Leave', { Key: member.peers.key }, { timeoutMs: HAND_OVER_MS });
  } catch (error) {
    return err(`The servers did not let it go: ${(error as Error).message}`);
  }
  await gossip.leave();
  // It hears of its own leave like of any other, and would write that down: a roster on the disk is a membership.
  member.roster.forget();
  rmSync(folder, { recursive: true, force: true });
  return ok(undefined);
}

/** A voter goes only where the others can decide without it. */
async function handOver(consensus: Consensus & ConsensusGroup): Promise<Result<void, string>> {
  const { voters, learners } = consensus.membership();
  const others = voters.filter((id) => id !== consensus.id);
  if (others.length === 0 && learners.length === 0) {
    return err(
      'This is the only server: with it the mesh would end. Let another one in first ("meshnomad invite -role server"), and give it half a minute.',
    );
  }
  if (!consensus.isLeader) return ok(undefined);
  let heir = others[0];
  if (heir === undefined) {
    heir = learners[0] as string;
    await consensus.change({ type: 'addVoter', id: heir });
  }
  await consensus.transferLeadership(heir);
  const end = performance.now() + HAND_OVER_MS;
  while (consensus.isLeader || consensus.leader === '') {
    if (performance.now() > end)
      return err('No other server took over in time: try again, or see "meshnomad server why".');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return ok(undefined);
}
