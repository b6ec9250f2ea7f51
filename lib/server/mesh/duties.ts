import { randomBytes } from 'node:crypto';
import type { Command } from '../../state/commands.js';
import type { MeshFoundCommand } from '../../state/mesh-commands.js';
import type { StateSnapshot } from '../../state/store.js';
import type { Node } from '../../structs/node.js';
import { createDuty } from '../duty.js';
import { rfc3339 } from '../endpoints/context.js';
import type { LeaderPart } from '../leader.js';
import { nodeEvals } from '../node-evals.js';
import type { ServerWorld } from '../world.js';
import type { ServerMesh } from './config.js';
import { forgottenInvites } from './invite-rules.js';
import type { Issuer } from './issuer.js';
import { membersToReissue } from './renewal-rules.js';

/** Certificates in one command. */
const BATCH_MAX = 100;

/**
 * What the leader does for the mesh without being asked: tells the state of its founding, writes down tombstones that were
 * signed without it, issues certificates anew, takes the nodes of those who are out for down, forgets old invites.
 */
export function createMeshDuties(world: ServerWorld, mesh: ServerMesh, issuer: Issuer): LeaderPart {
  /** What is to be done next; undefined when nothing is. */
  function next(): Command | undefined {
    const state = world.store.snapshot();
    if (!state.mesh()) return mesh.home.read('founding') as MeshFoundCommand | undefined;
    const tombstones = mesh.roster
      .tombstones()
      .filter(({ Key, By }) => !state.meshTombstone(Key) && !state.meshTombstone(By));
    if (tombstones.length > 0) {
      return { type: 'mesh-bury', tombstones, discoverySecret: randomBytes(32).toString('hex') };
    }
    const now = world.now();
    const own = state.meshMember(mesh.identity.publicKey);
    if (own?.Status === 'admitted') {
      const leader = { key: own.Key, chain: own.Chain, notAfter: own.NotAfter };
      const due = membersToReissue(state, leader, now).slice(0, BATCH_MAX);
      if (due.length > 0) return { type: 'mesh-renew', certificates: due.map((member) => issuer.issue(member)) };
    }
    const node = orphan(state);
    if (node) return downed(node, state);
    const invites = forgottenInvites(state, now);
    return invites.length > 0 ? { type: 'mesh-collect', invites } : undefined;
  }

  /** Its work goes elsewhere at once, also what could wait for a machine that only lost its way. */
  function downed(node: Node, state: StateSnapshot): Command {
    const now = world.now();
    return {
      type: 'node-status',
      id: node.ID,
      status: 'down',
      updatedAt: Math.floor(now / 1_000),
      event: {
        Message: 'Node is no member of the mesh any more',
        Subsystem: 'Cluster',
        Details: null,
        Timestamp: rfc3339(now),
        CreateIndex: 0,
      },
      evals: nodeEvals(state, { ...node, Status: 'down' }, 'node-update', { random: world.random, now }),
    };
  }

  const duty = createDuty(world, {
    name: 'mesh',
    next,
    done: ({ type }) => {
      if (type === 'mesh-found') mesh.home.remove('founding');
    },
    minds: ({ table }) => table === 'mesh_tombstones' || table === 'mesh_members',
  });
  // Tombstones come by gossip and from this server's own operators.
  mesh.roster.onChange(duty.look);
  return duty;
}

/** A node that is not down, of a member that is out. */
function orphan(state: StateSnapshot): Node | undefined {
  for (const { Status, NodeID } of state.meshMembers()) {
    const node = Status === 'revoked' || Status === 'left' ? state.nodeById(NodeID) : undefined;
    if (node && node.Status !== 'down') return node;
  }
  return undefined;
}
