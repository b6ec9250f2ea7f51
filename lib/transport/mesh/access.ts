import type { MeshRole } from '../../structs/mesh.js';
import type { DatagramChannel } from '../peers.js';

// Who may ask what of an agent over a link: the one place where this is decided. What is not named here is refused.
// Finer questions (is this the asker's own node? does its token allow it?) are for the handlers, which learn who asks.

export interface Asker {
  readonly role: MeshRole;
  /** Its certificate has ended: it may get a new one, and nothing else. */
  readonly expired: boolean;
  /** Whether a machine that only runs work may ask for the people and tasks on it: see `PeersOptions.clientApi`. */
  readonly clientApi: boolean;
}

/** What every member may ask, whatever its role. */
const MEMBER = new Set([
  'Status.Ping',
  'Status.Leader',
  'Status.Peers',
  'Mesh.Info',
  'Mesh.Roster',
  'Mesh.Renew',
  'Mesh.Leave',
  'Mesh.Bury',
  'Mesh.NetReport',
  'Mesh.Carry',
  'Mesh.Carried',
]);

/** What a machine says about itself, and pulls for itself. */
const CLIENT = new Set([
  'Variables.ReadForTask',
  'Variables.ListForTask',
  'Alloc.SignIdentities',
  'Alloc.GetMigrateToken',
  'FileSystem.Snapshot',
  'VolumeData.Replicate',
  'ServiceRegistration.List',
  'ServiceRegistration.GetService',
  'Node.Register',
  'Node.UpdateStatus',
  'Node.GetClientAllocs',
  'Node.UpdateAlloc',
  'Node.DrainSelf',
  'Node.OwnDrain',
  'Node.GetNode',
  'Alloc.GetAllocs',
  'CSIVolume.Claim',
  'CSIVolume.Unpublish',
]);

/**
 * What a client never asks, however open its API: who is in the mesh and who leads it is for servers and operators to say,
 * or one machine that was taken over could let in others and lock out the rest. Secrets are for the tasks they are meant for
 * (Variables.ReadForTask), and a snapshot holds all of them. And a connection to the HTTP API itself: a client has its own,
 * and asks for what stands behind it.
 */
const NOT_FOR_CLIENTS = new Set([
  'Agent.Monitor',
  'Mesh.Http',
  'Mesh.CreateInvite',
  'Mesh.ListInvites',
  'Mesh.RevokeInvite',
  'Mesh.Approve',
  'Mesh.Revoke',
  'Mesh.Rotate',
  'Mesh.ExportRecovery',
  'Mesh.Reissue',
  'Keyring.Rotate',
  'Keyring.Open',
  'Keyring.Delete',
  'Variables.List',
  'Variables.Read',
  'Variables.Put',
  'Variables.Delete',
  'Operator.RaftRemovePeer',
  'Operator.TransferLeadership',
  'Operator.AutopilotSetConfiguration',
  'Operator.SnapshotSave',
  'Operator.SnapshotRestore',
  'Operator.Recover',
]);

/** Between servers, or of a machine about itself: no person asks this. */
const NOT_FOR_OPERATORS = new Set([
  'Alloc.GetMigrateToken',
  'FileSystem.Snapshot',
  'VolumeData.Replicate',
  'Variables.ReadForTask',
  'Variables.ListForTask',
  'Alloc.SignIdentities',
  'Mesh.Redeem',
  'Node.Register',
  'Node.UpdateStatus',
  'Node.GetClientAllocs',
  'Node.UpdateAlloc',
  'Node.DrainSelf',
  'Node.OwnDrain',
  'Alloc.GetAllocs',
  'CSIVolume.Claim',
  'CSIVolume.Unpublish',
]);

/**
 * What the HTTP API is made of: an operator may ask it over the mesh as it may at a server's own API. Not ClientCSI,
 * ClientHostVolume and ClientVolumeData: those only servers ask, of nodes.
 */
const OPERATOR_ROOMS = new Set([
  'Status',
  'Job',
  'Periodic',
  'Scaling',
  'Node',
  'NodePool',
  'Alloc',
  'Eval',
  'Deployment',
  'CSIVolume',
  'CSIPlugin',
  'HostVolume',
  'VolumeData',
  'ServiceRegistration',
  'Variables',
  'Keyring',
  'ACL',
  'Namespace',
  'Event',
  'Search',
  'System',
  'Operator',
  'Mesh',
  'ClientStats',
  'NodeMeta',
  'Allocations',
  'FileSystem',
]);

const EXPIRED = new Set(['Status.Ping', 'Mesh.Renew']);

/** What servers need to elect a leader: see maySend. */
const AGREEMENT = 'Raft.';

/** Whether a member may ask this. */
export function mayAsk(method: string, { role, expired, clientApi }: Asker): boolean {
  if (expired) return EXPIRED.has(method) || (role === 'server' && method.startsWith(AGREEMENT));
  switch (role) {
    case 'server':
      return true;
    case 'operator':
      return MEMBER.has(method) || isOperators(method);
    case 'client':
      if (MEMBER.has(method) || CLIENT.has(method)) return true;
      return clientApi && isOperators(method) && !NOT_FOR_CLIENTS.has(method);
    default:
      return false;
  }
}

/**
 * Whether a member may send datagrams about this. An expired server still votes: were all certificates to end while the power
 * was off, nobody could be elected to renew them.
 */
export function maySend(channel: DatagramChannel, role: MeshRole): boolean {
  return channel === 'gossip' || role === 'server';
}

function isOperators(method: string): boolean {
  if (NOT_FOR_OPERATORS.has(method)) return false;
  const dot = method.indexOf('.');
  return dot > 0 && OPERATOR_ROOMS.has(method.slice(0, dot));
}
