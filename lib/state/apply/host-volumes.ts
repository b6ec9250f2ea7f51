import { isClientTerminal } from '../../scheduler/usage.js';
import type { Allocation } from '../../structs/allocation.js';
import { MeshError } from '../../structs/errors.js';
import { groupOf } from '../../structs/group-of.js';
import type { HostVolume, HostVolumeState } from '../../structs/host-volume.js';
import type { Node } from '../../structs/node.js';
import { volumeSource } from '../../structs/volume.js';
import { toNanos } from '../../util/clock.js';
import { err, ok } from '../../util/result.js';
import type { CommandResult } from '../commands.js';
import { stickyKey } from '../schema.js';
import type { Transaction } from '../transaction.js';
import type {
  HostVolumeClaimDeleteCommand,
  HostVolumeDeleteCommand,
  HostVolumeUpsertCommand,
} from '../volume-commands.js';

export function applyHostVolumeUpsert(
  txn: Transaction,
  command: Omit<HostVolumeUpsertCommand, 'type'>,
): CommandResult<'host-volume-upsert'> {
  const { volume: wanted } = command;
  const existing = txn.tables.host_volumes.get(wanted.ID);
  for (const other of txn.tables.host_volumes.under('node', wanted.NodeID)) {
    if (other.ID === wanted.ID || other.Name !== wanted.Name) continue;
    const where = `node ${wanted.NodeID.slice(0, 8)}`;
    return err(
      new MeshError('E_CONFLICT', `${where} has a host volume "${wanted.Name}" already: ${other.ID.slice(0, 8)}`),
    );
  }
  const user = existing && existing.NodeID !== wanted.NodeID ? userOf(txn, existing) : undefined;
  if (user !== undefined && command.unlessUsed === true) return err(inUse(existing as HostVolume, user));
  const ModifyTime = toNanos(command.time);
  const volume: HostVolume = {
    ...wanted,
    State: stateOn(txn.tables.nodes.get(wanted.NodeID), wanted.ID, existing?.State ?? 'pending'),
    CreateIndex: existing?.CreateIndex ?? txn.index,
    CreateTime: existing?.CreateTime ?? ModifyTime,
    ModifyIndex: txn.index,
    ModifyTime,
  };
  txn.putHostVolume(volume);
  return ok({ volume });
}

/** A volume is ready as long as its node shows it. */
function stateOn(node: Node | undefined, id: string, before: HostVolumeState): HostVolumeState {
  const shown = Object.values(node?.HostVolumes ?? {}).some(({ ID }) => ID === id);
  if (shown && node?.Status !== 'down') return 'ready';
  return before === 'pending' && node !== undefined ? 'pending' : 'unavailable';
}

/** After a change of a node: its volumes become ready, or are out of reach. */
export function settleHostVolumes(txn: Transaction, nodeId: string): void {
  const node = txn.tables.nodes.get(nodeId);
  for (const volume of txn.tables.host_volumes.under('node', nodeId)) {
    const State = stateOn(node, volume.ID, volume.State);
    if (State !== volume.State) txn.putHostVolume({ ...volume, State, ModifyIndex: txn.index });
  }
}

export function applyHostVolumeDelete(
  txn: Transaction,
  command: HostVolumeDeleteCommand,
): CommandResult<'host-volume-delete'> {
  const volume = txn.tables.host_volumes.get(command.id);
  if (volume === undefined) return err(new MeshError('E_NOT_FOUND', `volume "${command.id}" not found`));
  const user = userOf(txn, volume);
  if (user !== undefined && !command.force) return err(inUse(volume, user));
  txn.deleteHostVolume(volume);
  for (const claim of [...txn.tables.host_volume_claims.values()]) {
    if (claim.VolumeID === volume.ID) txn.deleteHostVolumeClaim(claim);
  }
  return ok(null);
}

export function applyHostVolumeClaimDelete(
  txn: Transaction,
  command: HostVolumeClaimDeleteCommand,
): CommandResult<'host-volume-claim-delete'> {
  const claim = txn.tables.host_volume_claims.get(command.id);
  if (claim !== undefined) txn.deleteHostVolumeClaim(claim);
  return ok(null);
}

function userOf(txn: Transaction, { NodeID, Name }: HostVolume): Allocation | undefined {
  return txn.tables.allocs.under('node', NodeID).find((alloc) => usesHostVolume(alloc, Name));
}

const inUse = (volume: HostVolume, user: Allocation): MeshError =>
  new MeshError(
    'E_CONFLICT',
    `volume "${volume.Name}" is in use by allocation ${user.ID.slice(0, 8)} of job "${user.JobID}": stop it first`,
  );

/** Whether an allocation that may still run uses the host volume of its node with this name. */
function usesHostVolume(alloc: Allocation, name: string): boolean {
  if (isClientTerminal(alloc)) return false;
  const group = groupOf(alloc.Job, alloc.TaskGroup);
  return Object.values(group?.Volumes ?? {}).some((request) => {
    return request.Type === 'host' && volumeSource(request, alloc.Name) === name;
  });
}

/** A new allocation with a sticky volume: its successors are held to the volume that it gets. */
export function holdToVolumes(txn: Transaction, alloc: Allocation): void {
  const group = groupOf(alloc.Job, alloc.TaskGroup);
  if (!group?.Volumes) return;
  for (const request of Object.values(group.Volumes)) {
    if (request.Type !== 'host' || !request.Sticky) continue;
    const volumes = txn.tables.host_volumes.under('node', alloc.NodeID);
    const volume = volumes.find(({ Name }) => Name === request.Source);
    if (volume === undefined) continue;
    const held = txn.tables.host_volume_claims
      .under('group', stickyKey(alloc.Namespace, alloc.JobID, alloc.TaskGroup))
      .find(({ AllocName, VolumeName }) => AllocName === alloc.Name && VolumeName === request.Source);
    txn.putHostVolumeClaim({
      ID: held?.ID ?? `${alloc.ID}-${volume.ID}`,
      Namespace: alloc.Namespace,
      JobID: alloc.JobID,
      TaskGroupName: alloc.TaskGroup,
      AllocID: alloc.ID,
      AllocName: alloc.Name,
      VolumeID: volume.ID,
      VolumeName: volume.Name,
      CreateIndex: held?.CreateIndex ?? txn.index,
      ModifyIndex: txn.index,
    });
  }
}
