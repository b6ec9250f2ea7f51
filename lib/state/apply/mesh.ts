import { MeshError } from '../../structs/errors.js';
import type { MeshInfo, MeshInvite, MeshMember, Tombstone } from '../../structs/mesh.js';
import { assertNever } from '../../util/assert.js';
import { err, ok } from '../../util/result.js';
import type { CommandResult } from '../commands.js';
import type { IssuedCertificate, MeshCommand, MeshFoundCommand, MeshRedeemCommand } from '../mesh-commands.js';
import type { Transaction } from '../transaction.js';

/** The present discovery secret and the one before it: who sleeps through two rotations asks a server for the newest. */
const SECRETS_KEPT = 2;

export function applyMesh(txn: Transaction, command: MeshCommand): CommandResult<MeshCommand['type']> {
  if (command.type === 'mesh-found') return applyFound(txn, command);
  const mesh = txn.tables.mesh.value;
  if (mesh === null) return err(new MeshError('E_NOT_FOUND', 'no mesh was founded here: "meshnomad init"'));
  switch (command.type) {
    case 'mesh-invite':
      if (txn.tables.mesh_invites.get(command.invite.ID)) return conflict('an invite with this id exists');
      txn.putMeshInvite({ ...command.invite, CreateIndex: txn.index, ModifyIndex: txn.index });
      return ok(null);
    case 'mesh-invite-revoke': {
      const invite = txn.tables.mesh_invites.get(command.id);
      if (!invite) return err(new MeshError('E_NOT_FOUND', `invite ${command.id} not found`));
      txn.putMeshInvite({ ...invite, Revoked: true, ModifyIndex: txn.index });
      return ok(null);
    }
    case 'mesh-redeem':
      return applyRedeem(txn, mesh, command);
    case 'mesh-approve': {
      const { certificate, time, by } = command;
      const member = txn.tables.mesh_members.get(certificate.key);
      if (member?.Status !== 'pending' || certificate.serial < mesh.NextSerial) return conflict('it waits no more');
      takeSerial(txn, certificate.serial);
      return ok({ member: putMember(txn, { ...certified(member, certificate), AdmittedAt: time, AdmittedBy: by }) });
    }
    case 'mesh-renew':
      return applyRenew(txn, mesh, command.certificates);
    case 'mesh-bury': {
      const buried = command.tombstones.filter((tombstone) => bury(txn, tombstone)).length;
      if (buried > 0) rotate(txn, command.discoverySecret);
      return ok({ buried });
    }
    case 'mesh-leave': {
      const member = txn.tables.mesh_members.get(command.key);
      if (!member || isOut(member)) return err(new MeshError('E_NOT_FOUND', 'no such member'));
      putMember(txn, { ...member, Status: 'left', Chain: [] });
      return ok(null);
    }
    case 'mesh-rotate':
      return ok({ epoch: rotate(txn, command.discoverySecret) });
    case 'mesh-seal':
      txn.setMesh({ ...mesh, SealedRoot: command.sealedRoot, ModifyIndex: txn.index });
      return ok(null);
    case 'mesh-collect':
      for (const id of command.invites) {
        const invite = txn.tables.mesh_invites.get(id);
        if (invite) txn.deleteMeshInvite(invite);
      }
      return ok(null);
    default:
      return assertNever(command);
  }
}

function applyFound(txn: Transaction, { info, founder }: MeshFoundCommand): CommandResult<'mesh-found'> {
  const mesh = txn.tables.mesh.value;
  // Proposed again by a founder that did not hear of its success.
  if (mesh !== null)
    return mesh.Root === info.Root ? ok(null) : conflict('these servers belong to another mesh already');
  txn.setMesh({ ...info, CreateIndex: txn.index, ModifyIndex: txn.index });
  putMember(txn, { ...founder, CreateIndex: txn.index, ModifyIndex: txn.index });
  return ok(null);
}

function applyRedeem(txn: Transaction, mesh: MeshInfo, command: MeshRedeemCommand): CommandResult<'mesh-redeem'> {
  const invite = txn.tables.mesh_invites.get(command.inviteId);
  const fault = redeemFault(txn, mesh, invite, command);
  if (fault !== undefined) return conflict(fault);
  const { member, time } = command;
  if (command.bury !== null && bury(txn, command.bury) && command.discoverySecret !== null) {
    rotate(txn, command.discoverySecret);
  }
  const used = { Key: member.Key, Name: member.Name, At: time };
  txn.putMeshInvite({
    ...(invite as MeshInvite),
    Used: [...(invite as MeshInvite).Used, used],
    ModifyIndex: txn.index,
  });
  if (member.Status === 'admitted') takeSerial(txn, member.Serial);
  const before = txn.tables.mesh_members.get(member.Key);
  return ok({ member: putMember(txn, { ...member, CreateIndex: before?.CreateIndex ?? txn.index, ModifyIndex: 0 }) });
}

/** What has changed since the leader looked; undefined when nothing has that matters. */
function redeemFault(
  txn: Transaction,
  mesh: MeshInfo,
  invite: MeshInvite | undefined,
  { member, time, bury }: MeshRedeemCommand,
): string | undefined {
  if (!invite || invite.Revoked || invite.ExpiresAt <= time) return 'the invite is no longer good';
  if (invite.Used.length >= invite.Uses) return 'the invite was used meanwhile';
  if (invite.Used.some(({ Key }) => Key === member.Key)) return 'this machine has used the invite already';
  if (txn.tables.mesh_tombstones.get(member.Key)) return 'the key was signed out';
  if (member.Status === 'admitted' && member.Serial < mesh.NextSerial) return 'the serial number is taken';
  if (bury && (bury.Key === member.Key || txn.tables.mesh_tombstones.get(bury.By)))
    return 'nobody is to be replaced so';
  const namesakes = txn.tables.mesh_members.under('name', member.Name);
  const other = namesakes.find(({ Key }) => Key !== member.Key && Key !== bury?.Key);
  return other === undefined ? undefined : 'the name is taken';
}

function applyRenew(
  txn: Transaction,
  mesh: MeshInfo,
  certificates: readonly IssuedCertificate[],
): CommandResult<'mesh-renew'> {
  if (certificates.some(({ serial }) => serial < mesh.NextSerial)) return conflict('a serial number is taken');
  for (const certificate of certificates) {
    takeSerial(txn, certificate.serial);
    const member = txn.tables.mesh_members.get(certificate.key);
    if (member?.Status === 'admitted') putMember(txn, certified(member, certificate));
  }
  return ok(null);
}

const certified = (member: MeshMember, { serial, chain, notAfter }: IssuedCertificate): MeshMember => ({
  ...member,
  Status: 'admitted',
  Serial: serial,
  Chain: chain,
  NotAfter: notAfter,
});

/** False when the key is out already, or the one who put it out was out before. */
function bury(txn: Transaction, tombstone: Tombstone): boolean {
  const { mesh_tombstones: tombstones, mesh_members: members } = txn.tables;
  if (tombstones.get(tombstone.Key) || tombstones.get(tombstone.By)) return false;
  txn.putTombstone(tombstone);
  const member = members.get(tombstone.Key);
  if (member) putMember(txn, { ...member, Status: 'revoked', Chain: [] });
  return true;
}

function putMember(txn: Transaction, member: MeshMember): MeshMember {
  const stored = { ...member, ModifyIndex: txn.index };
  txn.putMeshMember(stored);
  return stored;
}

function rotate(txn: Transaction, secret: string): number {
  const mesh = txn.tables.mesh.value as MeshInfo;
  const DiscoverySecrets = [secret, ...mesh.DiscoverySecrets].slice(0, SECRETS_KEPT);
  const DiscoveryEpoch = mesh.DiscoveryEpoch + 1;
  txn.setMesh({ ...mesh, DiscoverySecrets, DiscoveryEpoch, ModifyIndex: txn.index });
  return DiscoveryEpoch;
}

function takeSerial(txn: Transaction, serial: number): void {
  const mesh = txn.tables.mesh.value as MeshInfo;
  txn.setMesh({ ...mesh, NextSerial: Math.max(mesh.NextSerial, serial + 1), ModifyIndex: txn.index });
}

const isOut = ({ Status }: MeshMember): boolean => Status === 'left' || Status === 'revoked';

const conflict = (why: string): { ok: false; error: MeshError } => err(new MeshError('E_CONFLICT', why));
