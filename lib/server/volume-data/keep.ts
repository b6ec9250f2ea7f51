import { keptSnapshots } from '../../archive/index.js';
import type { VolumeArchive, VolumeSnapshot } from '../../structs/volume-data.js';
import { toMillis } from '../../util/clock.js';
import { zoneOffset } from '../../util/time-zone.js';

type Kept = Pick<VolumeArchive, 'Cores' | 'Snapshots'>;

/**
 * What is left of an archive when the plan's rules are followed. The newest that another node has whole stays until a newer one is
 * there: or the loss of one node would take all. Cores that lost a snapshot have garbage from then on.
 */
export function letGo(archive: Pick<VolumeArchive, 'Cores' | 'Snapshots' | 'Plan'>): Kept {
  const { Snapshots, Plan } = archive;
  const kept = keptSnapshots(
    Snapshots.map(({ ID, CreateTime }) => ({ id: ID, at: toMillis(CreateTime) })),
    Plan.Keep,
    zoneOffset(Plan.TimeZone) ?? (() => 0),
  );
  const safe = Plan.Replicas > 0 ? Snapshots.findLast((snapshot) => isElsewhere(snapshot, archive))?.ID : undefined;
  return withoutSnapshots(archive, (id) => !kept.has(id) && id !== safe);
}

/** Whether another node than the one that wrote it has all of a snapshot. */
function isElsewhere({ Core, Length }: VolumeSnapshot, { Cores }: Pick<VolumeArchive, 'Cores'>): boolean {
  return Cores.some(({ Key, Holders }) => Key === Core && Holders.some((holder) => holder.Length >= Length));
}

/** An archive without some of its snapshots. */
export function withoutSnapshots({ Cores, Snapshots }: Kept, isGone: (id: string) => boolean): Kept {
  const lost = new Set(Snapshots.filter(({ ID }) => isGone(ID)).map(({ Core }) => Core));
  return {
    Cores: Cores.map((core) => (lost.has(core.Key) ? { ...core, HasGarbage: true } : core)),
    Snapshots: Snapshots.filter(({ ID }) => !isGone(ID)),
  };
}
