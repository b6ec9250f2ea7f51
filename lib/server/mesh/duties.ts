import { randomBytes } from 'node:crypto';
import type { Command } from '../../state/commands.js';
import type { MeshFoundCommand } from '../../state/mesh-commands.js';
import type { Commit, StateSnapshot } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import type { Node } from '../../structs/node.js';
import { rfc3339 } from '../endpoints/context.js';
import type { LeaderPart } from '../leader.js';
import { nodeEvals } from '../node-evals.js';
import { propose } from '../propose.js';
import type { ServerWorld } from '../world.js';
import type { ServerMesh } from './config.js';
import { forgottenInvites } from './invite-rules.js';
import type { Issuer } from './issuer.js';
import { membersToReissue } from './renewal-rules.js';

/** Certificates and invites end slowly. */
const LOOK_EVERY_MS = 10 * 60_000;
/** After a failure: no leader any more, a full disk. */
const RETRY_MS = 5_000;
/** Certificates in one command. */
const BATCH_MAX = 100;

/**
 * What the leader does for the mesh without being asked: tells the state of its founding, writes down tombstones that were
 * signed without it, issues certificates anew, takes the nodes of those who are out for down, forgets old invites.
 */
export function createMeshDuties(world: ServerWorld, mesh: ServerMesh, issuer: Issuer): LeaderPart {
  const log = world.log.child('mesh');
  let leads = false;
  let busy = false;
  let again = false;
  let cancel = (): void => {};

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

  async function work(): Promise<void> {
    if (busy || !leads) {
      again = busy;
      return;
    }
    busy = true;
    cancel();
    let waitMs = LOOK_EVERY_MS;
    try {
      for (let command = next(); command !== undefined && leads; command = next()) {
        await propose(world.consensus, command);
        if (command.type === 'mesh-found') mesh.home.remove('founding');
        log.info('done for the mesh', { what: command.type });
      }
    } catch (error) {
      waitMs = RETRY_MS;
      if (error instanceof MeshError) log.warn('the mesh has to wait', { why: error.message });
      else log.error('a duty for the mesh failed', { reason: (error as Error).stack ?? String(error) });
    } finally {
      busy = false;
      if (leads) cancel = world.timers.setTimeout(again ? 0 : waitMs, look);
      again = false;
    }
  }

  const look = (): void => void work();
  // Tombstones come by gossip and from this server's own operators.
  mesh.roster.onChange(look);

  return {
    name: 'mesh',
    begin() {
      leads = true;
      look();
    },
    end() {
      leads = false;
      cancel();
    },
    saw({ changes }: Commit) {
      if (changes.some(({ table }) => table === 'mesh_tombstones' || table === 'mesh_members')) {
        world.timers.soon(look);
      }
    },
  };
}

/** A node that is not down, of a member that is out. */
function orphan(state: StateSnapshot): Node | undefined {
  for (const { Status, NodeID } of state.meshMembers()) {
    const node = Status === 'revoked' || Status === 'left' ? state.nodeById(NodeID) : undefined;
    if (node && node.Status !== 'down') return node;
  }
  return undefined;
}
