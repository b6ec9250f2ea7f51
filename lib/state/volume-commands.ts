import type { CsiClaim, StoredCsiVolume } from '../structs/csi.js';
import type { SealedCsiVolumeSpec, SealedText } from '../structs/csi-sealed.js';
import type { HostVolume } from '../structs/host-volume.js';
import type { VolumeArchive } from '../structs/volume-data.js';
import type { Millis } from '../util/clock.js';
import type { ClaimRequest, ClaimStep } from './claims.js';

// What the log carries about volumes. Whether a claim can be granted, and how far its release has come, only the order of the
// log can decide: see claims.ts.

type Unstamped<T> = Omit<T, 'CreateIndex' | 'ModifyIndex' | 'CreateTime' | 'ModifyTime'>;

/** A volume as it is asked for: what is in use, and how, is not the asker's to say. */
export type CsiVolumeSeed = Omit<Unstamped<SealedCsiVolumeSpec>, 'AccessMode' | 'AttachmentMode'>;

/**
 * Keeps volumes, or changes what may be changed of them. Refused with E_CONFLICT for a change of what cannot change, or not while it
 * is in use; then nothing of the command is done.
 */
export interface CsiVolumeUpsertCommand {
  readonly type: 'csi-volume-upsert';
  readonly volumes: readonly CsiVolumeSeed[];
  readonly time: Millis;
}

/** What is sealed of a volume is sealed anew, and says the same; passed over when `from` (its Data) is there no more. */
export interface CsiVolumeRekeyCommand {
  readonly type: 'csi-volume-rekey';
  readonly namespace: string;
  readonly volumeId: string;
  readonly from: string;
  readonly to: SealedText;
}

/** Forgets volumes; refused with E_CONFLICT while one of them is claimed, unless forced. */
export interface CsiVolumeDeregisterCommand {
  readonly type: 'csi-volume-deregister';
  readonly namespace: string;
  readonly ids: readonly string[];
  readonly force: boolean;
}

/** Grants a claim. Refused as `grantClaim` says, and with E_NOT_FOUND when the volume, or an allocation that lives there, is not. */
export interface CsiClaimCommand {
  readonly type: 'csi-claim';
  readonly namespace: string;
  readonly volumeId: string;
  readonly request: ClaimRequest;
  readonly time: Millis;
}

/** Steps of claims, each on its own; what says nothing new is passed over. */
export interface CsiClaimStepsCommand {
  readonly type: 'csi-claim-steps';
  readonly steps: readonly {
    readonly namespace: string;
    readonly volumeId: string;
    readonly allocId: string;
    readonly fence: number;
    readonly step: ClaimStep;
  }[];
  readonly time: Millis;
}

/** Garbage collection: forgets the claims that ended before this. */
export interface CsiPastClaimsCollectCommand {
  readonly type: 'csi-past-claims-collect';
  readonly before: Millis;
}

/** Keeps a host volume, or replaces what is known of it; refused with E_CONFLICT when its node has another of that name. */
export interface HostVolumeUpsertCommand {
  readonly type: 'host-volume-upsert';
  readonly volume: Omit<Unstamped<HostVolume>, 'State'>;
  readonly time: Millis;
  /** Onto another node: refused with E_CONFLICT while an allocation uses it where it was, if this says so. */
  readonly unlessUsed?: boolean;
}

/**
 * Keeps what is known of the copies of a volume's data, with the volume that a restore brought to a node if there is one. Refused
 * with E_CONFLICT when the archive is not what it was at `ifIndex` (0: there is none), or the volume cannot be kept; then nothing
 * of the command is done.
 */
export interface VolumeArchivePutCommand {
  readonly type: 'volume-archive-put';
  readonly archive: Unstamped<VolumeArchive>;
  readonly ifIndex: number;
  readonly time: Millis;
  readonly volume?: Pick<HostVolumeUpsertCommand, 'volume' | 'unlessUsed'>;
  readonly csi?: CsiVolumeRestored;
}

/** A CSI volume whose data came back into a volume of its plugin that was made for it. */
export interface CsiVolumeRestored {
  /** Named by its namespace and id. */
  readonly volume: CsiVolumeSeed;
  /**
   * What the plugin calls the one in whose place it comes: refused with E_CONFLICT when that is not so, while it is claimed, and when
   * somebody claimed it after an entry of the log. Null: refused with E_CONFLICT when there is one.
   */
  readonly replaces: { readonly ExternalID: string; readonly unclaimedSince: number } | null;
}

/** The key of an archive is sealed anew, and says the same; passed over when `from` (its Data) is there no more. */
export interface VolumeArchiveRekeyCommand {
  readonly type: 'volume-archive-rekey';
  readonly id: string;
  readonly from: string;
  readonly to: SealedText;
}

/** Forgets an archive: without its key nobody can read what is left of it. Unknown ids are passed over. */
export interface VolumeArchiveDeleteCommand {
  readonly type: 'volume-archive-delete';
  readonly id: string;
}

/** Forgets a host volume, and who was held to it. Refused with E_CONFLICT while allocations use it, unless forced. */
export interface HostVolumeDeleteCommand {
  readonly type: 'host-volume-delete';
  readonly id: string;
  readonly force: boolean;
}

/** An allocation's successor need not have its volume any more. Unknown ids are passed over. */
export interface HostVolumeClaimDeleteCommand {
  readonly type: 'host-volume-claim-delete';
  readonly id: string;
}

export type VolumeCommand =
  | CsiVolumeUpsertCommand
  | CsiVolumeRekeyCommand
  | CsiVolumeDeregisterCommand
  | CsiClaimCommand
  | CsiClaimStepsCommand
  | CsiPastClaimsCollectCommand
  | HostVolumeUpsertCommand
  | HostVolumeDeleteCommand
  | HostVolumeClaimDeleteCommand
  | VolumeArchivePutCommand
  | VolumeArchiveRekeyCommand
  | VolumeArchiveDeleteCommand;

/** What applying each of them answers when it is accepted. */
export interface VolumeCommandValues {
  'csi-volume-upsert': { readonly volumes: readonly StoredCsiVolume[] };
  'csi-volume-rekey': null;
  'csi-volume-deregister': null;
  'csi-claim': { readonly volume: StoredCsiVolume; readonly claim: CsiClaim };
  'csi-claim-steps': null;
  'csi-past-claims-collect': null;
  'host-volume-upsert': { readonly volume: HostVolume };
  'host-volume-delete': null;
  'host-volume-claim-delete': null;
  'volume-archive-put': { readonly archive: VolumeArchive };
  'volume-archive-rekey': null;
  'volume-archive-delete': null;
}
