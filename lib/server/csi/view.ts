import { releaseWaitsFor } from '../../state/claims.js';
import type { StateSnapshot } from '../../state/store.js';
import type { Allocation } from '../../structs/allocation.js';
import {
  type CsiClaim,
  type CsiSecrets,
  type CsiVolume,
  type CsiVolumeListStub,
  type CsiVolumeSpec,
  REDACTED,
  type StoredCsiVolume,
} from '../../structs/csi.js';
import { allocStub } from '../stubs.js';
import { pluginsOf, whyUnschedulable } from './plugins.js';

const ZERO_TIME = '0001-01-01T00:00:00Z';

const NO_HEALTH = {
  Provider: '',
  ControllerRequired: false,
  ControllersHealthy: 0,
  ControllersExpected: 0,
  NodesHealthy: 0,
  NodesExpected: 0,
};

/** A volume as everybody may see it: secrets and mount flags show that they are there, and not what they are. */
export function volumeView(volume: StoredCsiVolume, state: StateSnapshot): CsiVolume {
  const { Claims, PastClaims, ...spec } = volume;
  const plugin = pluginsOf(state).get(volume.PluginID);
  const reason = whyUnschedulable(volume.PluginID, plugin);
  const claims = Object.values(Claims).sort((a, b) => a.Fence - b.Fence);
  const allocs = (mode: 'read' | 'write'): CsiVolume['ReadAllocs'] =>
    Object.fromEntries(
      claims.filter(({ Mode }) => Mode === mode).map(({ AllocationID }) => [AllocationID, stubOf(state, AllocationID)]),
    );
  const ReadAllocs = allocs('read');
  const WriteAllocs = allocs('write');
  return {
    ...spec,
    ...redacted(volume),
    ...(plugin?.health ?? NO_HEALTH),
    ProviderVersion: plugin?.version ?? '',
    ReadAllocs,
    WriteAllocs,
    Allocations: Object.values({ ...WriteAllocs, ...ReadAllocs }).filter((stub) => stub !== null),
    Schedulable: reason === '',
    SchedulableReason: reason,
    ResourceExhausted: ZERO_TIME,
    Claims: claims.map((claim) => shownClaim(claim, state)),
    PastClaims,
  };
}

/**
 * What a claim waits for at this moment. Before a release can begin the tasks have to end: one that was told to, and does not, is
 * what everybody waits for.
 */
function shownClaim(claim: CsiClaim, state: StateSnapshot): CsiClaim {
  if (claim.WaitsFor !== '') return claim;
  if (claim.State !== 'taken') return { ...claim, WaitsFor: releaseWaitsFor(claim), WaitsSince: claim.ReleasedAt };
  const alloc = state.allocById(claim.AllocationID);
  if (!alloc) return claim;
  if (isToldToStop(alloc))
    return {
      ...claim,
      WaitsFor: 'its tasks to end: they were told to',
      WaitsSince: Math.floor(alloc.ModifyTime / 1e6),
    };
  if (alloc.ClientStatus !== 'pending') return claim;
  const by = claim.ControllerRequired ? 'the controller to attach it, and ' : '';
  return { ...claim, WaitsFor: `${by}node ${claim.NodeID.slice(0, 8)} to mount it`, WaitsSince: claim.TakenAt };
}

/** Whether an allocation may run although it is to run no more. */
export function isToldToStop({ DesiredStatus, ClientStatus }: Allocation): boolean {
  return DesiredStatus !== 'run' && (ClientStatus === 'running' || ClientStatus === 'pending');
}

function stubOf(state: StateSnapshot, allocId: string): CsiVolume['ReadAllocs'][string] {
  const alloc = state.allocById(allocId);
  return alloc ? allocStub(alloc) : null;
}

/** What stands in the place of that which is not for the eyes of those who may see the rest. */
function redacted({ Secrets, MountOptions }: StoredCsiVolume): Pick<CsiVolumeSpec, 'Secrets' | 'MountOptions'> {
  return {
    Secrets: Secrets && hidden(Secrets.Keys),
    MountOptions: MountOptions && {
      FSType: MountOptions.FSType,
      MountFlags: MountOptions.MountFlags && [REDACTED],
    },
  };
}

/** Secrets of these names, without what they are. */
export function hidden(keys: readonly string[]): CsiSecrets {
  return Object.fromEntries(keys.map((key) => [key, REDACTED]));
}

/** A text from elsewhere (a plugin's error) in which no secret is left, cut to a length that fits a status. */
export function withoutSecrets(text: string, secrets: CsiSecrets | null): string {
  let clean = text;
  for (const value of Object.values(secrets ?? {})) {
    if (value.length > 0) clean = clean.replaceAll(value, REDACTED);
  }
  return clean.length > TEXT_MAX ? `${clean.slice(0, TEXT_MAX)}…` : clean;
}

const TEXT_MAX = 300;

export function volumeStub(volume: StoredCsiVolume, state: StateSnapshot): CsiVolumeListStub {
  const plugin = pluginsOf(state).get(volume.PluginID);
  const claims = Object.values(volume.Claims);
  return {
    ID: volume.ID,
    Namespace: volume.Namespace,
    Name: volume.Name,
    ExternalID: volume.ExternalID,
    Topologies: volume.Topologies,
    AccessMode: volume.AccessMode,
    AttachmentMode: volume.AttachmentMode,
    CurrentReaders: claims.filter(({ Mode }) => Mode === 'read').length,
    CurrentWriters: claims.filter(({ Mode }) => Mode === 'write').length,
    Schedulable: whyUnschedulable(volume.PluginID, plugin) === '',
    PluginID: volume.PluginID,
    ...(plugin?.health ?? NO_HEALTH),
    ResourceExhausted: ZERO_TIME,
    CreateIndex: volume.CreateIndex,
    ModifyIndex: volume.ModifyIndex,
    CreateTime: volume.CreateTime,
    ModifyTime: volume.ModifyTime,
  };
}
