import { randomBytes } from 'node:crypto';
import type { MeshFoundCommand } from '../state/mesh-commands.js';
import { MeshError } from '../structs/errors.js';
import type { CertificateChain, MeshInfo } from '../structs/mesh.js';
import { assert } from '../util/assert.js';
import type { Millis } from '../util/clock.js';
import { claimsOf, issue, nodeIdOf } from './certificate.js';
import type { MeshHome } from './mesh-home.js';
import { newRoot, unsealRoot } from './root-key.js';
import { isMember, saveMembership } from './roster.js';
import type { SigningKey } from './signature.js';

/** So long the root's word for the founder counts, and with it every certificate that follows from it. */
export const ROOT_WORD_MS = 3650 * 86_400_000;

interface FounderOptions {
  readonly home: MeshHome;
  readonly identity: SigningKey;
  /** This machine's own name, and the mesh's. */
  readonly name: string;
  readonly meshName: string;
  readonly facts?: Record<string, string>;
  readonly nowMs: Millis;
}

export interface Founded {
  readonly info: MeshInfo;
  /** To be shown once, and written down: it is kept nowhere. */
  readonly recoveryCode: string;
}

/**
 * Founds a mesh on this machine: makes its root, certifies this machine as the first server, and puts on the disk what the
 * servers' state has to be told once this server leads. Throws E_CONFLICT on a machine that is in a mesh.
 */
export function foundMesh(options: FounderOptions): Founded {
  const { key, code, sealed } = newRoot();
  return { info: found(options, { key, sealed, nextSerial: 2 }), recoveryCode: code };
}

/**
 * Founds a mesh again after all its servers were lost: from its sealed root and the recovery code. Its members know this machine
 * for one of their servers by the root's word; who they are comes with a snapshot. Throws E_PERMISSION_DENIED for another code.
 */
export function refoundMesh(options: FounderOptions & { sealed: string; code: string }): MeshInfo {
  const opened = unsealRoot(options.sealed, options.code);
  if (!opened.ok) throw opened.error;
  // Nobody knows how many certificates there were: the seconds since 1970 are more.
  const nextSerial = Math.floor(options.nowMs / 1000);
  return found(options, { key: opened.value, sealed: options.sealed.trim(), nextSerial });
}

function found(
  { home, identity, name, meshName, facts, nowMs }: FounderOptions,
  { key: root, sealed, nextSerial }: { key: SigningKey; sealed: string; nextSerial: number },
): MeshInfo {
  if (isMember(home))
    throw new MeshError('E_CONFLICT', 'this machine is in a mesh already; "meshnomad leave" it first');
  const { publicKey: Root } = root;
  const info: MeshInfo = {
    Root,
    Name: meshName,
    CreatedAt: nowMs,
    DiscoveryEpoch: 1,
    DiscoverySecrets: [randomBytes(32).toString('hex')],
    NextSerial: nextSerial,
    SealedRoot: sealed,
    CreateIndex: 0,
    ModifyIndex: 0,
  };
  const certificate = issue(
    {
      Version: 1,
      Mesh: Root,
      Key: identity.publicKey,
      Name: name,
      Role: 'server',
      Tags: {},
      Serial: nextSerial - 1,
      NotBefore: nowMs,
      NotAfter: nowMs + ROOT_WORD_MS,
      Issuer: true,
      By: Root,
    },
    root,
  );
  home.write('root.sealed', sealed);
  home.write('founding', founding(info, [certificate], facts ?? {}));
  const own = { Key: identity.publicKey, Name: name, Role: 'server', Status: 'admitted' } as const;
  saveMembership(home, { Mesh: info, Chain: [certificate], Members: [own] });
  return info;
}

/** What the servers' state is told of a mesh and of the one whom its root has certified. */
function founding(info: MeshInfo, chain: CertificateChain, facts: Record<string, string>): MeshFoundCommand {
  const claims = claimsOf(chain[0]);
  assert(claims, 'the root has certified the founder');
  const { Key, Name, Role, Tags, Serial, NotBefore, NotAfter } = claims;
  const founder = {
    Key,
    NodeID: nodeIdOf(Key),
    Name,
    Role,
    Tags,
    Status: 'admitted',
    Serial,
    Chain: chain,
    NotAfter,
    Words: '',
    InviteID: '',
    AdmittedAt: NotBefore,
    AdmittedBy: Key,
    Facts: facts,
  } as const;
  return { type: 'mesh-found', info, founder };
}
