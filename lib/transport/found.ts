import { randomBytes } from 'node:crypto';
import type { MeshFoundCommand } from '../state/mesh-commands.js';
import { MeshError } from '../structs/errors.js';
import type { MeshInfo } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';
import { issue, nodeIdOf } from './certificate.js';
import type { MeshHome } from './mesh-home.js';
import { newRoot } from './root-key.js';
import { isMember, saveMembership } from './roster.js';
import type { SigningKey } from './signature.js';

/** So long the root's word for the founder counts, and with it every certificate that follows from it. */
export const ROOT_WORD_MS = 3650 * 86_400_000;

export interface Founded {
  readonly info: MeshInfo;
  /** To be shown once, and written down: it is kept nowhere. */
  readonly recoveryCode: string;
}

/**
 * Founds a mesh on this machine: makes its root, certifies this machine as the first server, and puts on the disk what the
 * servers' state has to be told once this server leads. Throws E_CONFLICT on a machine that is in a mesh.
 */
export function foundMesh(options: {
  home: MeshHome;
  identity: SigningKey;
  /** The founder's own name, and the mesh's. */
  name: string;
  meshName: string;
  facts?: Record<string, string>;
  nowMs: Millis;
}): Founded {
  const { home, identity, name, meshName, nowMs } = options;
  if (isMember(home))
    throw new MeshError('E_CONFLICT', 'this machine is in a mesh already; "meshnomad leave" it first');
  const root = newRoot();
  const key = identity.publicKey;
  const member = { Key: key, Name: name, Role: 'server', Tags: {}, Serial: 1, NotAfter: nowMs + ROOT_WORD_MS } as const;
  const claims = { ...member, Version: 1, Mesh: root.key.publicKey, NotBefore: nowMs, Issuer: true } as const;
  const chain = [issue({ ...claims, By: root.key.publicKey }, root.key)];
  const info: MeshInfo = {
    Root: root.key.publicKey,
    Name: meshName,
    CreatedAt: nowMs,
    DiscoveryEpoch: 1,
    DiscoverySecrets: [randomBytes(32).toString('hex')],
    NextSerial: 2,
    SealedRoot: root.sealed,
    CreateIndex: 0,
    ModifyIndex: 0,
  };
  const founding: MeshFoundCommand = {
    type: 'mesh-found',
    info,
    founder: {
      ...member,
      NodeID: nodeIdOf(key),
      Status: 'admitted',
      Chain: chain,
      Words: '',
      InviteID: '',
      AdmittedAt: nowMs,
      AdmittedBy: key,
      Facts: options.facts ?? {},
    },
  };
  home.write('root.sealed', root.sealed);
  home.write('founding', founding);
  saveMembership(home, {
    Mesh: info,
    Chain: chain,
    Members: [{ Key: key, Name: name, Role: 'server', Status: 'admitted' }],
  });
  return { info, recoveryCode: root.code };
}
