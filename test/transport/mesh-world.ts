import { randomBytes } from 'node:crypto';
import type { CertificateClaims, MeshInfo } from '../../lib/structs/mesh.js';
import { issue } from '../../lib/transport/certificate.js';
import { keyFromSeed, type SigningKey } from '../../lib/transport/signature.js';

export const NOW = Date.parse('2026-05-01T10:00:00Z');
export const DAY_MS = 86_400_000;

export const newKey = (): SigningKey => keyFromSeed(randomBytes(32));

export function claims(
  mesh: string,
  key: string,
  by: string,
  changes: Partial<CertificateClaims> = {},
): CertificateClaims {
  return {
    Version: 1,
    Mesh: mesh,
    Key: key,
    Name: 'nas',
    Role: 'client',
    Tags: {},
    Serial: 1,
    NotBefore: NOW,
    NotAfter: NOW + 30 * DAY_MS,
    Issuer: false,
    By: by,
    ...changes,
  };
}

/** A root, a founder certified by it, and certificates that the founder signs. */
export function smallMesh() {
  const root = newKey();
  const founder = newKey();
  const founderCertificate = issue(
    claims(root.publicKey, founder.publicKey, root.publicKey, {
      Name: 'founder',
      Role: 'server',
      Issuer: true,
      NotAfter: NOW + 3650 * DAY_MS,
    }),
    root,
  );
  return {
    root,
    founder,
    mesh: root.publicKey,
    founderChain: [founderCertificate],
    /** The chain of a member that the founder admits. */
    admit: (key: SigningKey, changes: Partial<CertificateClaims> = {}): string[] => [
      issue(claims(root.publicKey, key.publicKey, founder.publicKey, changes), founder),
      founderCertificate,
    ],
  };
}

export function meshInfo(mesh: string, changes: Partial<MeshInfo> = {}): MeshInfo {
  return {
    Root: mesh,
    Name: 'home',
    CreatedAt: NOW,
    DiscoveryEpoch: 1,
    DiscoverySecrets: ['11'.repeat(32)],
    NextSerial: 2,
    SealedRoot: '',
    CreateIndex: 1,
    ModifyIndex: 1,
    ...changes,
  };
}
