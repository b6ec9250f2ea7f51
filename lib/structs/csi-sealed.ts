import type { CsiVolumeSpec } from './csi.js';

// What of a volume only its plugin may know, as the servers keep it: encrypted under a root key, for the log and snapshots are
// copied to many places. Opened in lib/server/keyring/volumes.ts.

/** A text under a root key. Data: AES-256-GCM, base64: nonce (12), text, tag (16). */
export interface SealedText {
  KeyID: string;
  Data: string;
}

/** The JSON of the secrets; their names may be seen. */
export interface SealedCsiSecrets extends SealedText {
  Keys: string[];
}

export interface SealedCsiMountOptions {
  FSType: string;
  /** The JSON of the flags; null without any. */
  MountFlags: SealedText | null;
}

export interface SealedCsiVolumeSpec extends Omit<CsiVolumeSpec, 'Secrets' | 'MountOptions'> {
  Secrets: SealedCsiSecrets | null;
  MountOptions: SealedCsiMountOptions | null;
}

type SealedParts = Pick<SealedCsiVolumeSpec, 'Secrets' | 'MountOptions'>;

/** What is sealed of a volume, and which part of it that is. */
export function sealedTexts({ Secrets, MountOptions }: SealedParts): { part: SealedCsiPart; sealed: SealedText }[] {
  const flags = MountOptions?.MountFlags;
  return [
    ...(Secrets ? [{ part: 'secrets' as const, sealed: Secrets }] : []),
    ...(flags ? [{ part: 'mount-flags' as const, sealed: flags }] : []),
  ];
}

export type SealedCsiPart = 'secrets' | 'mount-flags';
