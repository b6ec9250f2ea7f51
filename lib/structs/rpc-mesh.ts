import type { LinkReport, MeshInfo, MeshInvite, MeshMember, MeshRole, NetReport, NodeKey, Tombstone } from './mesh.js';
import type { Query, Write } from './rpc-options.js';

/** A member as lists show it: what the state knows, and how the one asked sees it now. */
export interface MeshMemberStub extends Omit<MeshMember, 'Chain'> {
  /** By gossip, as the server asked sees it. */
  Health: 'alive' | 'suspect' | 'dead' | 'left' | 'unknown';
  /** Its link to the server asked, when there is one. */
  Link: LinkReport | null;
  /** Raft: leader, voter, standby; '' for others. */
  ServerState: string;
}

/** What every member keeps a copy of, to know whom to link with and whom to refuse. */
export interface RosterReply {
  Mesh: MeshInfo;
  Members: { Key: NodeKey; Name: string; Role: MeshRole; Status: MeshMember['Status'] }[];
  /** Keys that may come in to speak join/1; for servers only, empty for others. */
  InviteKeys: { Key: NodeKey; ExpiresAt: number }[];
  Tombstones: Tombstone[];
}

/** Methods about the mesh itself, all extensions of Nomad's. */
export interface MeshRpcMethods {
  'Mesh.Info': Query<object, { Mesh: Omit<MeshInfo, 'DiscoverySecrets'>; Members: number; Leader: NodeKey }>;
  'Mesh.Members': Query<object, { Members: MeshMemberStub[] }>;
  /** Blocks like any query; asked by agents, for their own copy. */
  'Mesh.Roster': Query<object, RosterReply>;
  /** Answers the invite itself, once: only what derives from its seed is kept. */
  'Mesh.CreateInvite': Write<
    { Role?: MeshRole; TTLMs?: number; Uses?: number; Name?: string; Tags?: Record<string, string> },
    { Invite: string; ID: string; ExpiresAt: number; NeedsApproval: boolean }
  >;
  'Mesh.ListInvites': Query<object, { Invites: MeshInvite[] }>;
  'Mesh.RevokeInvite': Write<{ ID: string }, object>;
  /** By the leader, exactly once: {invite used, member admitted}. Asked by the server that the joiner talks to. */
  'Mesh.Redeem': Write<
    { InviteKey: NodeKey; Key: NodeKey; Name: string; Replace?: string },
    { Member: MeshMember; Mesh: MeshInfo }
  >;
  /** A member asks for a new certificate before the old one ends; also for one that has ended. */
  'Mesh.Renew': Write<{ Key: NodeKey }, { Member: MeshMember }>;
  'Mesh.Approve': Write<{ Member: string }, { Member: MeshMember }>;
  /** By key, name or prefix of either. Answers what secrets the node had seen. */
  'Mesh.Revoke': Write<{ Member: string; Reason?: string }, { Tombstone: Tombstone; Exposed: string[] }>;
  'Mesh.Leave': Write<{ Key: NodeKey }, object>;
  /** A new discovery secret. */
  'Mesh.Rotate': Write<object, { Epoch: number }>;
  /** Answered by every agent for itself. */
  'Mesh.NetReport': { args: object; reply: { Report: NetReport } };
  /** The reports of all members that a server can reach. */
  'Mesh.Net': Query<object, { Reports: NetReport[]; Unreached: { Key: NodeKey; Name: string; Why: string }[] }>;
}

export type MeshRpcStreams = object;
