import { isTerminal } from '../../scheduler/usage.js';
import type { StoredCsiVolume } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import { toNanos } from '../../util/clock.js';
import { isEqual } from '../../util/equal.js';
import { err, ok, type Result } from '../../util/result.js';
import { describeClaim, grantClaim, stepClaim } from '../claims.js';
import type { CommandResult } from '../commands.js';
import type { Transaction } from '../transaction.js';
import type {
  CsiClaimCommand,
  CsiClaimStepsCommand,
  CsiPastClaimsCollectCommand,
  CsiVolumeDeregisterCommand,
  CsiVolumeRekeyCommand,
  CsiVolumeRestored,
  CsiVolumeSeed,
  CsiVolumeUpsertCommand,
} from '../volume-commands.js';
import { jobKey } from '../watch.js';

export function applyCsiVolumeUpsert(
  txn: Transaction,
  command: CsiVolumeUpsertCommand,
): CommandResult<'csi-volume-upsert'> {
  const volumes: StoredCsiVolume[] = [];
  const stamp = { ModifyIndex: txn.index, ModifyTime: toNanos(command.time) };
  for (const seed of command.volumes) {
    const existing = txn.tables.csi_volumes.get(jobKey(seed.Namespace, seed.ID));
    if (existing === undefined) {
      const fresh = { AccessMode: '', AttachmentMode: '', Claims: {}, PastClaims: [] } as const;
      const created = { CreateIndex: txn.index, CreateTime: stamp.ModifyTime };
      volumes.push({ ...seed, ...fresh, PastClaims: [], ...created, ...stamp });
      continue;
    }
    const merged = mergeVolume(existing, seed);
    if (!merged.ok) return merged;
    volumes.push({ ...merged.value, ...stamp });
  }
  for (const volume of volumes) txn.putCsiVolume(volume);
  return ok({ volumes });
}

/** The volume has other data from now on: those of a restore, which nobody has seen yet. */
export function applyCsiVolumeRestored(
  txn: Transaction,
  { volume: seed, replaces }: CsiVolumeRestored,
  timeMs: number,
): Result<null, MeshError> {
  const refuse = (why: string): Result<null, MeshError> =>
    err(new MeshError('E_CONFLICT', `volume "${seed.ID}" is not replaced: ${why}`));
  const existing = txn.tables.csi_volumes.get(jobKey(seed.Namespace, seed.ID));
  const stamp = { ModifyIndex: txn.index, ModifyTime: toNanos(timeMs) };
  if (replaces === null) {
    if (existing) return refuse('one of this id was made meanwhile');
    const fresh = { AccessMode: '', AttachmentMode: '', Claims: {}, PastClaims: [] } as const;
    const created = { CreateIndex: txn.index, CreateTime: stamp.ModifyTime };
    txn.putCsiVolume({ ...seed, ...fresh, PastClaims: [], ...created, ...stamp });
    return ok(null);
  }
  if (existing?.ExternalID !== replaces.ExternalID) return refuse('it is another one than it was');
  const claim = Object.values(existing.Claims)[0];
  if (claim) return refuse(`it is held by ${describeClaim(claim)}`);
  const past = existing.PastClaims.find(({ Fence }) => Fence > replaces.unclaimedSince);
  if (past) return refuse(`allocation ${past.AllocationID.slice(0, 8)} used it meanwhile; stop its job, and try again`);
  const { ExternalID, Context, Topologies, Capacity, CloneID, SnapshotID } = seed;
  txn.putCsiVolume({ ...existing, ExternalID, Context, Topologies, Capacity, CloneID, SnapshotID, ...stamp });
  return ok(null);
}

/** What may be changed of a volume: its identity never, what running tasks depend on only while nobody holds it. */
export function mergeVolume(existing: StoredCsiVolume, seed: CsiVolumeSeed): Result<StoredCsiVolume, MeshError> {
  const refuse = (what: string): Result<never, MeshError> =>
    err(new MeshError('E_CONFLICT', `volume "${existing.ID}" cannot be changed: ${what}`));
  for (const key of ['Name', 'PluginID', 'ExternalID', 'CloneID', 'SnapshotID'] as const) {
    if (seed[key] !== '' && seed[key] !== existing[key]) {
      return refuse(`its ${key} is ${JSON.stringify(existing[key])}, and stays so`);
    }
  }
  const topologies = seed.Topologies ?? [];
  if (topologies.length > 0 && (existing.Topologies ?? []).length > 0 && !isEqual(topologies, existing.Topologies)) {
    return refuse('its topologies stay what they are');
  }
  const inUse = Object.keys(existing.Claims).length > 0;
  const MountOptions = seed.MountOptions ?? existing.MountOptions;
  if (inUse && !isEqual(MountOptions, existing.MountOptions)) {
    return refuse('its mount options can be changed only while no allocation uses it');
  }
  const wanted = seed.RequestedCapabilities;
  const { AccessMode, AttachmentMode } = existing;
  if (inUse && !wanted.some((c) => c.AccessMode === AccessMode && c.AttachmentMode === AttachmentMode)) {
    return refuse(`it is in use as ${AccessMode} (${AttachmentMode}), which must stay among its capabilities`);
  }
  return ok({
    ...existing,
    MountOptions,
    RequestedCapabilities: wanted.length > 0 ? wanted : existing.RequestedCapabilities,
    RequestedTopologies: seed.RequestedTopologies ?? existing.RequestedTopologies,
    Topologies: (existing.Topologies ?? []).length > 0 ? existing.Topologies : seed.Topologies,
    Secrets: seed.Secrets ?? existing.Secrets,
    Parameters: seed.Parameters ?? existing.Parameters,
    Context: seed.Context ?? existing.Context,
    Capacity: seed.Capacity > 0 ? seed.Capacity : existing.Capacity,
    RequestedCapacityMin: seed.RequestedCapacityMin > 0 ? seed.RequestedCapacityMin : existing.RequestedCapacityMin,
    RequestedCapacityMax: seed.RequestedCapacityMax > 0 ? seed.RequestedCapacityMax : existing.RequestedCapacityMax,
  });
}

export function applyCsiVolumeRekey(
  txn: Transaction,
  command: CsiVolumeRekeyCommand,
): CommandResult<'csi-volume-rekey'> {
  const { from, to } = command;
  const volume = txn.tables.csi_volumes.get(jobKey(command.namespace, command.volumeId));
  // Nobody who reads the volume sees a change: its index stays.
  if (volume?.Secrets?.Data === from) txn.putCsiVolume({ ...volume, Secrets: { ...volume.Secrets, ...to } });
  else if (volume?.MountOptions?.MountFlags?.Data === from) {
    txn.putCsiVolume({ ...volume, MountOptions: { ...volume.MountOptions, MountFlags: to } });
  }
  return ok(null);
}

export function applyCsiVolumeDeregister(
  txn: Transaction,
  command: CsiVolumeDeregisterCommand,
): CommandResult<'csi-volume-deregister'> {
  const volumes: StoredCsiVolume[] = [];
  for (const id of command.ids) {
    const volume = txn.tables.csi_volumes.get(jobKey(command.namespace, id));
    if (volume === undefined) return err(notFound(id));
    const claim = Object.values(volume.Claims)[0];
    if (claim !== undefined && !command.force) {
      return err(new MeshError('E_CONFLICT', `volume "${id}" is in use: it is held by ${describeClaim(claim)}`));
    }
    volumes.push(volume);
  }
  for (const volume of volumes) txn.deleteCsiVolume(volume);
  return ok(null);
}

export function applyCsiClaim(txn: Transaction, command: CsiClaimCommand): CommandResult<'csi-claim'> {
  const { request } = command;
  const volume = txn.tables.csi_volumes.get(jobKey(command.namespace, command.volumeId));
  if (volume === undefined) return err(notFound(command.volumeId));
  const alloc = txn.tables.allocs.get(request.AllocationID);
  if (alloc === undefined || isTerminal(alloc) || alloc.NodeID !== request.NodeID) {
    const why = alloc === undefined ? 'is not known' : 'is not to run there any more';
    return err(new MeshError('E_NOT_FOUND', `allocation ${request.AllocationID} ${why}: it gets no volume`));
  }
  const granted = grantClaim(volume, request, { index: txn.index, time: command.time });
  if (!granted.ok) return granted;
  if (granted.value.volume !== volume) putTouched(txn, granted.value.volume, command.time);
  return ok(granted.value);
}

export function applyCsiClaimSteps(txn: Transaction, command: CsiClaimStepsCommand): CommandResult<'csi-claim-steps'> {
  for (const { namespace, volumeId, allocId, fence, step } of command.steps) {
    const volume = txn.tables.csi_volumes.get(jobKey(namespace, volumeId));
    if (volume === undefined) continue;
    const after = stepClaim(volume, { allocId, fence }, step, command.time);
    if (after !== volume) putTouched(txn, after, command.time);
  }
  return ok(null);
}

export function applyCsiPastClaimsCollect(
  txn: Transaction,
  command: CsiPastClaimsCollectCommand,
): CommandResult<'csi-past-claims-collect'> {
  for (const volume of [...txn.tables.csi_volumes.values()]) {
    const PastClaims = volume.PastClaims.filter(({ FreedAt }) => FreedAt >= command.before);
    if (PastClaims.length < volume.PastClaims.length) txn.putCsiVolume({ ...volume, PastClaims });
  }
  return ok(null);
}

function putTouched(txn: Transaction, volume: StoredCsiVolume, timeMs: number): void {
  txn.putCsiVolume({ ...volume, ModifyIndex: txn.index, ModifyTime: toNanos(timeMs) });
}

function notFound(id: string): MeshError {
  return new MeshError('E_NOT_FOUND', `volume "${id}" not found`);
}
