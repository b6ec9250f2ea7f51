import type { CertificateChain, MeshInfo, MeshInvite, MeshMember, NodeKey, Tombstone } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';

// What the log carries about the mesh itself. Certificates and tombstones were signed and checked by the leader; the state
// holds them to what only the order of the log can decide: who used an invite first, who has a name, which serial is next.
// Whatever has moved on since the leader looked is refused with E_CONFLICT, and the leader looks again.

type Unindexed<T> = Omit<T, 'CreateIndex' | 'ModifyIndex'>;

/** A certificate that was issued to a member. */
export interface IssuedCertificate {
  readonly key: NodeKey;
  readonly serial: number;
  readonly chain: CertificateChain;
  readonly notAfter: Millis;
}

/** The mesh is founded, once; the same again changes nothing, another one is refused. */
export interface MeshFoundCommand {
  readonly type: 'mesh-found';
  readonly info: Unindexed<MeshInfo>;
  readonly founder: Unindexed<MeshMember>;
}

/** Keeps a new invite. */
export interface MeshInviteCommand {
  readonly type: 'mesh-invite';
  readonly invite: Unindexed<MeshInvite>;
}

/** Nobody comes in by this invite any more; who did so stays. */
export interface MeshInviteRevokeCommand {
  readonly type: 'mesh-invite-revoke';
  readonly id: string;
}

/** An invite is used and its user admitted (or put among those who wait for approval), both or neither. */
export interface MeshRedeemCommand {
  readonly type: 'mesh-redeem';
  readonly inviteId: string;
  readonly member: Unindexed<MeshMember>;
  /** What the joiner's machine was before: put out in the same step. */
  readonly bury: Tombstone | null;
  /** With `bury`. */
  readonly discoverySecret: string | null;
  readonly time: Millis;
}

/** One who waited is admitted. */
export interface MeshApproveCommand {
  readonly type: 'mesh-approve';
  readonly certificate: IssuedCertificate;
  readonly time: Millis;
  /** The server that signed. */
  readonly by: NodeKey;
}

/** New certificates for members that have one; those who are members no more are passed over. */
export interface MeshRenewCommand {
  readonly type: 'mesh-renew';
  readonly certificates: readonly IssuedCertificate[];
}

/** Keys are out, for ever, members or not; those that are out already are passed over, and so is who was put out by one. */
export interface MeshBuryCommand {
  readonly type: 'mesh-bury';
  readonly tombstones: readonly Tombstone[];
  /** The discovery secret from now on, 64 hexadecimal digits; taken when a tombstone was new. */
  readonly discoverySecret: string;
}

/** A member goes of its own will. */
export interface MeshLeaveCommand {
  readonly type: 'mesh-leave';
  readonly key: NodeKey;
}

/** Another discovery secret. */
export interface MeshRotateCommand {
  readonly type: 'mesh-rotate';
  readonly discoverySecret: string;
}

/** The root's private key under another recovery code. */
export interface MeshSealCommand {
  readonly type: 'mesh-seal';
  readonly sealedRoot: string;
}

/** Forgets invites that ended long ago; unknown ones are passed over. */
export interface MeshCollectCommand {
  readonly type: 'mesh-collect';
  readonly invites: readonly string[];
}

export type MeshCommand =
  | MeshFoundCommand
  | MeshInviteCommand
  | MeshInviteRevokeCommand
  | MeshRedeemCommand
  | MeshApproveCommand
  | MeshRenewCommand
  | MeshBuryCommand
  | MeshLeaveCommand
  | MeshRotateCommand
  | MeshSealCommand
  | MeshCollectCommand;

/** What applying each of them answers when it is accepted. */
export interface MeshCommandValues {
  'mesh-found': null;
  'mesh-invite': null;
  'mesh-invite-revoke': null;
  'mesh-redeem': { readonly member: MeshMember };
  'mesh-approve': { readonly member: MeshMember };
  'mesh-renew': null;
  'mesh-bury': { readonly buried: number };
  'mesh-leave': null;
  'mesh-rotate': { readonly epoch: number };
  'mesh-seal': null;
  'mesh-collect': null;
}
