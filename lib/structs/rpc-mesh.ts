import type {
  CertificateChain,
  LinkReport,
  MeshInfo,
  MeshInvite,
  MeshMember,
  MeshRole,
  NetReport,
  NodeKey,
  Tombstone,
} from './mesh.js';
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
  /** Keys that may come in to speak join/1, if only to be told why not, or to be carried to a server; empty for people. */
  InviteKeys: { Key: NodeKey; ExpiresAt: number }[];
  Tombstones: Tombstone[];
  /** The certificates of the one who asks, the newest; empty when it has none, or no newer ones. */
  Chain: CertificateChain;
  /** Of all members and tombstones: see lib/transport/roster-digest.ts. */
  Digest: string;
  /** Members, invites and tombstones are only those that changed after this index; absent: they are all. */
  Since?: number;
}

/** What a joiner says of itself, besides proving its key. */
export interface RedeemRequest {
  InviteKey: NodeKey;
  Key: NodeKey;
  /** Wanted; the invite's own name goes before it. */
  Name: string;
  /** A number may be put behind the name when another member has it: nobody has chosen it. */
  Rename: boolean;
  Facts: Record<string, string>;
  /** Name or key of the member that this machine was before it was installed anew: buried. */
  Replace?: string;
}

/** Methods about the mesh itself, all extensions of Nomad's. */
export interface MeshRpcMethods {
  'Mesh.Info': Query<
    object,
    { Mesh: Omit<MeshInfo, 'DiscoverySecrets' | 'SealedRoot'>; Members: number; Leader: NodeKey; Problems: string[] }
  >;
  'Mesh.Members': Query<object, { Members: MeshMemberStub[] }>;
  /** Blocks like any query; asked by agents, for their own copy. */
  'Mesh.Roster': Query<
    {
      Key?: NodeKey;
      /** The asker has everything up to this index, and needs only what changed since. */
      Since?: number;
    },
    RosterReply
  >;
  /** Answers the invite itself, once: only what derives from its seed is kept. */
  'Mesh.CreateInvite': Write<
    {
      Role?: MeshRole;
      TTLMs?: number;
      Uses?: number;
      Name?: string;
      Tags?: Record<string, string>;
      /** Somebody has to approve also of a single use. */
      Approve?: boolean;
    },
    { Invite: string; ID: string; ExpiresAt: number; NeedsApproval: boolean }
  >;
  'Mesh.ListInvites': Query<object, { Invites: MeshInvite[] }>;
  'Mesh.RevokeInvite': Write<{ ID: string }, object>;
  /** By the leader, exactly once: {invite used, member admitted}. Asked by the server that the joiner talks to. */
  'Mesh.Redeem': Write<RedeemRequest, { Member: MeshMember; Mesh: MeshInfo }>;
  /** One member as the servers know it; blocks like any query. */
  'Mesh.Member': Query<{ Key: NodeKey }, { Member: MeshMember | null }>;
  /** A member asks for a new certificate before the old one ends; also for one that has ended. */
  'Mesh.Renew': Write<{ Key: NodeKey }, { Member: MeshMember }>;
  'Mesh.Approve': Write<{ Member: string }, { Member: MeshMember }>;
  /** By key, name or prefix of either. Answers what secrets the node had seen. */
  'Mesh.Revoke': Write<
    { Member: string; Reason?: string },
    {
      Tombstone: Tombstone;
      Exposed: string[];
      /** False: no server leads, so only the members reached so far know; it is written down as soon as one does. */
      Recorded: boolean;
    }
  >;
  /** Passes tombstones on to the agent asked; false when one does not verify. */
  'Mesh.Bury': { args: { Tombstones: Tombstone[] }; reply: { Taken: boolean } };
  'Mesh.Leave': Write<{ Key: NodeKey }, object>;
  /** A new discovery secret. */
  'Mesh.Rotate': Write<object, { Epoch: number }>;
  /** The sealed root key, to be kept elsewhere; with `Code` (the recovery code) sealed anew under a new one. */
  'Mesh.ExportRecovery': Write<{ Code?: string }, { Sealed: string; Root: NodeKey; Code: string }>;
  /** Has the root certify all servers again, with the recovery code: when no server is left that may issue. */
  'Mesh.Reissue': Write<{ Code: string }, { Names: string[] }>;
  /** Answered by every agent for itself. */
  'Mesh.NetReport': { args: object; reply: { Report: NetReport } };
  /** The reports of all members that a server can reach. */
  'Mesh.Net': Query<
    object,
    {
      Reports: NetReport[];
      Unreached: { Key: NodeKey; Name: string; Why: string }[];
      /** Of all members, by key. */
      Names: Record<NodeKey, string>;
    }
  >;
}

export interface MeshRpcStreams {
  /**
   * A connection to the HTTP API of the agent asked, as bytes: so that an operator's command line reaches it wherever it is.
   * For operators and servers only; whoever asks has all rights there.
   */
  'Mesh.Http': { args: object; input: { Data: Uint8Array }; output: { Data: Uint8Array } };
  /** Has the member asked pass bytes on to another one that it is linked with: a connection where none can be had directly. */
  'Mesh.Carry': { args: { To: NodeKey }; input: { Data: Uint8Array }; output: { Data: Uint8Array } };
  /** The other half: the member asked is to take a connection from `From`, who is yet to prove itself over these bytes. */
  'Mesh.Carried': { args: { From: NodeKey }; input: { Data: Uint8Array }; output: { Data: Uint8Array } };
}
