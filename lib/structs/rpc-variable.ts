import type { Query, Write } from './rpc-options.js';
import type { RootKeyMeta, Variable, VariableMetadata } from './variable.js';

/** What tells a node from others, with every question of its own. */
interface OfNode {
  NodeID: string;
  SecretID: string;
  AllocID: string;
  Task: string;
}

export interface VariableRpcMethods {
  'Variables.List': Query<object, { Variables: VariableMetadata[] }>;
  'Variables.Read': Query<{ Path: string }, { Variable: Variable | null }>;
  /** `CAS`: refused with a Conflict unless the variable's ModifyIndex is this; 0 = it must not exist. */
  'Variables.Put': Write<
    { Path: string; Items: Record<string, string>; CAS?: number },
    { Variable: VariableMetadata | null; Conflict: VariableMetadata | null }
  >;
  'Variables.Delete': Write<{ Path: string; CAS?: number }, { Conflict: VariableMetadata | null }>;
  /**
   * Asked by a client for a task of an allocation on it: what lies at `nomad/jobs`, at the paths of its job, group and task
   * below that, and at any path that the job's own templates write out.
   */
  'Variables.ReadForTask': Query<OfNode & { Path: string }, { Variable: Variable | null }>;
  'Variables.ListForTask': Query<OfNode & { Prefix: string }, { Variables: VariableMetadata[] }>;
  /** The identities of a task: by name, signed (JWT, EdDSA). '' is the default one. */
  'Alloc.SignIdentities': Query<OfNode & { Identities: string[] }, { Signed: Record<string, SignedIdentity> }>;

  'Keyring.List': Query<object, { Keys: RootKeyMeta[] }>;
  /** Makes a new key the active one; every variable is then encrypted anew. */
  'Keyring.Rotate': Write<object, { Key: RootKeyMeta }>;
  /** Opens with the mesh's root, by the recovery code, what was sealed for servers that are lost, and seals it for those of now. */
  'Keyring.Open': Write<{ Code: string }, { Keys: RootKeyMeta[] }>;
  /** Refused while it is active, or a variable needs it. */
  'Keyring.Delete': Write<{ KeyID: string }, object>;
  /** The public halves, for whoever checks identities (RFC 7517). */
  'Keyring.ListPublic': Query<object, { Keys: JsonWebKey[] }>;
}

export interface SignedIdentity {
  JWT: string;
  /** Unix seconds; 0 = as long as the allocation. */
  Expiration: number;
}

/** An ed25519 key as RFC 8037 writes it. */
export interface JsonWebKey {
  kty: 'OKP';
  crv: 'Ed25519';
  alg: 'EdDSA';
  use: 'sig';
  kid: string;
  x: string;
}
