import type { Command } from '../../lib/state/commands.js';
import type { MeshMember } from '../../lib/structs/mesh.js';

/** A member as the state keeps it; nothing in it is signed, for the state does not look at signatures. */
function meshMember(changes: Partial<MeshMember>): MeshMember {
  return {
    Key: '',
    NodeID: '',
    Name: changes.Key ?? '',
    Role: 'server',
    Tags: {},
    Status: 'admitted',
    Serial: 1,
    Chain: [],
    NotAfter: 2e12,
    Words: '',
    InviteID: '',
    AdmittedAt: 0,
    AdmittedBy: '',
    Facts: {},
    CreateIndex: 0,
    ModifyIndex: 0,
    ...changes,
  };
}

/** What brings a mesh into the state: `founder` has founded it, each of the others came by an invite of its own. */
export function meshCommands(founder: string, others: Partial<MeshMember>[]): Command[] {
  const info = {
    Root: 'root',
    Name: 'home',
    CreatedAt: 0,
    DiscoveryEpoch: 1,
    DiscoverySecrets: [],
    NextSerial: 2,
    SealedRoot: '',
  };
  const commands: Command[] = [{ type: 'mesh-found', info, founder: meshMember({ Key: founder }) }];
  for (const [i, changes] of others.entries()) {
    const invite = {
      ID: `i${i}`,
      Key: `invite${i}`,
      Role: changes.Role ?? 'server',
      Name: '',
      Tags: {},
      Uses: 1,
      Used: [],
      NeedsApproval: false,
      CreatedAt: 0,
      ExpiresAt: 2e12,
      Revoked: false,
    };
    commands.push({ type: 'mesh-invite', invite });
    const member = meshMember({ Serial: 2 + i, InviteID: `i${i}`, AdmittedBy: founder, ...changes });
    commands.push({ type: 'mesh-redeem', inviteId: `i${i}`, member, bury: null, discoverySecret: null, time: 0 });
  }
  return commands;
}
