import type { VolumeArchive, VolumeOperation } from '../../structs/volume-data.js';
import { type Millis, toMillis, toNanos } from '../../util/clock.js';
import { nextLaunch, parseCron } from '../../util/cron.js';
import { randomUuid } from '../../util/random.js';
import { zoneOffset } from '../../util/time-zone.js';
import type { ServerWorld } from '../world.js';
import type { OperationParts } from './operations.js';
import { isThere } from './subject.js';

/** When the schedule of an archive is due, which may be past; undefined = never. What was missed is made up for once. */
export function dueMs({ Plan, ScheduledTime, CreateTime }: VolumeArchive): Millis | undefined {
  if (Plan.Cron === '') return undefined;
  const cron = parseCron(Plan.Cron);
  if (!cron.ok) return undefined;
  return nextLaunch(cron.value, toMillis(ScheduledTime || CreateTime), zoneOffset(Plan.TimeZone) ?? (() => 0));
}

/** A backup that nobody asked for begins. */
export async function beginScheduled({ world, archives }: OperationParts, { ID }: VolumeArchive): Promise<void> {
  await archives.update(ID, (archive) => {
    const due = dueMs(archive);
    const isGone = !isThere(world.store.snapshot(), archive);
    if (archive.Operation || due === undefined || due > world.now()) return null;
    const ScheduledTime = toNanos(world.now());
    // There is nothing to be backed up any more; what there is stays.
    if (isGone) return { ScheduledTime };
    return { ScheduledTime, Operation: newBackup(world, archive, 'schedule') };
  });
}

/** A backup that is to be made. */
export function newBackup(
  world: ServerWorld,
  archive: VolumeArchive,
  reason: VolumeOperation['Reason'],
): VolumeOperation {
  return {
    ...newOperation(world, archive),
    Kind: 'backup',
    Step: 'backup',
    Reason: reason,
    TargetNodeID: '',
    TargetVolumeID: archive.VolumeID,
    TargetName: archive.Name,
  };
}

/** What all operations begin with. */
export function newOperation(world: ServerWorld, { NodeID }: Pick<VolumeArchive, 'NodeID'>) {
  return {
    ID: randomUuid(world.random),
    Reason: 'manual' as const,
    NodeID,
    SnapshotID: '',
    Keep: false,
    Message: '',
    StartIndex: world.store.snapshot().index,
    StartTime: toNanos(world.now()),
    EndTime: 0,
  };
}
