import type { Millis } from '../util/clock.js';

// The words of the mesh: who belongs to it, who may come in, who is out. Keys are ed25519 public keys, 64 hexadecimal
// digits; a member's key is its name to everybody, whatever its address is.

/** An ed25519 public key: 64 hexadecimal digits. */
export type NodeKey = string;

/** `server`: may hold the state and vote; `client`: runs work; `operator`: asks, runs nothing. A server may also be a client. */
export type MeshRole = 'server' | 'client' | 'operator';

export const MESH_ROLES: readonly MeshRole[] = ['server', 'client', 'operator'];

/** What a certificate says. It is signed by `By`: the mesh's root, or a server whose own certificate has `Issuer`. */
export interface CertificateClaims {
  readonly Version: 1;
  /** The mesh's root key: its name. */
  readonly Mesh: NodeKey;
  readonly Key: NodeKey;
  readonly Name: string;
  readonly Role: MeshRole;
  readonly Tags: Readonly<Record<string, string>>;
  /** Counts up with every certificate of the mesh. */
  readonly Serial: number;
  readonly NotBefore: Millis;
  /** An expired certificate that is not revoked may be renewed, and nothing else: never a lock-out. */
  readonly NotAfter: Millis;
  /** May admit others. */
  readonly Issuer: boolean;
  readonly By: NodeKey;
}

/** Certificates as they travel (`base64url(claims).base64url(signature)`), the member's own first, the last one signed by the root. */
export type CertificateChain = readonly string[];

export type MemberStatus = 'pending' | 'admitted' | 'left' | 'revoked';

/** A member as the servers' state knows it. Durable; no address stands in it. */
export interface MeshMember {
  Key: NodeKey;
  /** The id of its node in the API, derived from its key. */
  NodeID: string;
  Name: string;
  Role: MeshRole;
  Tags: Record<string, string>;
  /** Waits for `meshnomad approve` while pending. */
  Status: MemberStatus;
  Serial: number;
  Chain: CertificateChain;
  NotAfter: Millis;
  /** Four words that both sides show before an approval. */
  Words: string;
  /** Id of the invite it came with; '' for the founder. */
  InviteID: string;
  AdmittedAt: Millis;
  /** The server that admitted it. */
  AdmittedBy: NodeKey;
  /** What it told of its machine when it joined: `os`, `arch`, `version` and the like. */
  Facts: Record<string, string>;
  CreateIndex: number;
  ModifyIndex: number;
}

/** A right to join, as the state knows it: the secret seed is not in it, only the public key that derives from it. */
export interface MeshInvite {
  ID: string;
  /** Whoever connects with this key may speak join/1. */
  Key: NodeKey;
  Role: MeshRole;
  /** The name the new member gets; '' = the one it brings. */
  Name: string;
  Tags: Record<string, string>;
  Uses: number;
  Used: { Key: NodeKey; Name: string; At: Millis }[];
  NeedsApproval: boolean;
  CreatedAt: Millis;
  ExpiresAt: Millis;
  Revoked: boolean;
  CreateIndex: number;
  ModifyIndex: number;
}

/** Signed by an issuer or the root; wins over every certificate, needs no quorum, is kept and passed on for ever. */
export interface Tombstone {
  readonly Key: NodeKey;
  readonly At: Millis;
  readonly Reason: string;
  readonly By: NodeKey;
  /** Over `meshnomad/tombstone/1`, the mesh's root and the fields above; base64url. */
  readonly Signature: string;
  /** The signer's certificates; empty when the root signed. */
  readonly Chain: CertificateChain;
}

/** The mesh itself, as the servers' state knows it. */
export interface MeshInfo {
  /** The root key: the mesh's identity for ever. */
  Root: NodeKey;
  /** A name for people. */
  Name: string;
  CreatedAt: Millis;
  /** Counts up with every rotation of the discovery secret. */
  DiscoveryEpoch: number;
  /** The present discovery secret and the one before it, hexadecimal: members find each other by them, nobody enters by them. */
  DiscoverySecrets: string[];
  NextSerial: number;
  /** The root's private key under the recovery code, as text, so that it does not die with the founder's disk. */
  SealedRoot: string;
  CreateIndex: number;
  ModifyIndex: number;
}

/** How two members are linked at the moment. */
export interface LinkPath {
  /** `local`: on one network; `direct`: through NATs; `relayed`: by way of another member; `memory`: within one process. */
  readonly Kind: 'local' | 'direct' | 'relayed' | 'memory';
  /** `host:port` of the far side, or of the relay. */
  readonly Address: string;
  /** The member that relays, when known. */
  readonly Relay?: NodeKey;
}

/** One row of the link matrix: how `From` sees `To`. */
export interface LinkReport {
  From: NodeKey;
  To: NodeKey;
  Path: LinkPath;
  /** Median of the latest heartbeats. */
  RttMs: number;
  SinceMs: number;
  SentBytes: number;
  ReceivedBytes: number;
}

/** What a member knows of its own network. */
export interface NetReport {
  Key: NodeKey;
  /** `open`: reachable by everybody; `consistent`: one mapping (cone); `random`: a new one for each destination (symmetric). */
  Nat: 'open' | 'consistent' | 'random' | 'blocked' | 'unknown';
  /** Where others see it, `host:port`; '' when nobody told. */
  PublicAddress: string;
  LocalAddresses: string[];
  /** `none`: it is configured to use none, and keeps to the local network and known addresses. */
  Dht: 'answers' | 'silent' | 'none';
  /** Whether others' traffic may pass through it. */
  Relays: boolean;
  Links: LinkReport[];
  /** What is wrong, and what to do: a line each. */
  Problems: string[];
}
