import { createHash } from 'node:crypto';
import type { NodeKey } from '../structs/mesh.js';
import type { RosterReply } from '../structs/rpc-mesh.js';

interface Listed extends Pick<RosterReply, 'Members'> {
  readonly Tombstones: readonly { readonly Key: NodeKey }[];
}

/**
 * What two who have the same members and tombstones agree in: who was told only of changes finds out by it whether anything was
 * missed. Invites are not in it: they go by time, at each end for itself.
 */
export function rosterDigest({ Members, Tombstones }: Listed): string {
  const lines = [
    ...Members.map(({ Key, Name, Role, Status }) => `${Key} ${Role} ${Status} ${JSON.stringify(Name)}`),
    ...Tombstones.map(({ Key }) => `${Key} out`),
  ];
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex').slice(0, 32);
}
