import type { StateSnapshot } from '../../state/store.js';
import type {
  ArchiveCore,
  VolumeArchive,
  VolumeArchiveStub,
  VolumeArchiveView,
  VolumeSnapshot,
} from '../../structs/volume-data.js';
import { type Millis, toMillis, toNanos } from '../../util/clock.js';
import { formatDuration } from '../../util/duration.js';
import type { Archivist } from './archivist.js';
import { AWAY_MS } from './copies.js';
import { dueMs } from './schedule.js';

/** An archive as everybody may see it: its key stays with the servers. */
export function archiveView(archive: VolumeArchive, state: StateSnapshot, archivist: Archivist): VolumeArchiveView {
  const { Key: _, ...rest } = archive;
  const { progress, waits } = archivist.progress(archive.ID);
  const due = dueMs(archive);
  const Copies = copiesOf(archive, state);
  const Operation = archive.Operation && { ...archive.Operation, Message: waits || archive.Operation.Message };
  return {
    ...rest,
    Operation,
    Progress: archive.Operation ? progress : null,
    Copies,
    Health: healthOf(archive, Copies, (core) => copyingOf(core, state, archivist)),
    NextTime: due === undefined ? 0 : toNanos(due),
  };
}

export function archiveStub(archive: VolumeArchive, state: StateSnapshot, archivist: Archivist): VolumeArchiveStub {
  const {
    Snapshots,
    Cores: _,
    Progress: __,
    Leftovers: ___,
    EarlierOperations: ____,
    ...rest
  } = archiveView(archive, state, archivist);
  return { ...rest, SnapshotCount: Snapshots.length, Newest: Snapshots.at(-1) ?? null };
}

/** How old a backup is, in words. */
export function ageOf({ CreateTime }: Pick<VolumeSnapshot, 'CreateTime'>, nowMs: Millis): string {
  const seconds = Math.max(0, Math.round((nowMs - toMillis(CreateTime)) / 1_000));
  return formatDuration(toNanos(seconds * 1_000));
}

function copiesOf({ Snapshots, Cores }: VolumeArchive, state: StateSnapshot): Record<string, string[]> {
  const isThere = (id: string): boolean => state.nodeById(id)?.Status === 'ready';
  const found = Snapshots.map(({ ID, Core, Length }): [string, string[]] => {
    const core = Cores.find(({ Key }) => Key === Core);
    const whole = (core?.Holders ?? []).filter((holder) => holder.Length >= Length).map(({ NodeID }) => NodeID);
    return [ID, [...new Set([core?.NodeID ?? '', ...whole])].filter(isThere)];
  });
  return Object.fromEntries(found);
}

/** What is known of nodes that hold no whole copy of a core yet: ` (n2: 4 of 9 blocks are copied; n3 is down: from 12:00 on …)`. */
function copyingOf({ Key, Holders }: ArchiveCore, state: StateSnapshot, archivist: Archivist): string {
  const said = [...archivist.copying(Key)].map(([id, why]) => `${state.nodeById(id)?.Name ?? id}: ${why}`);
  const away = Holders.flatMap(({ NodeID }) => {
    const node = state.nodeById(NodeID);
    if (!node || node.Status === 'ready') return [];
    return [
      `${node.Name} is ${node.Status}: from ${timeText(node.StatusUpdatedAt * 1_000 + AWAY_MS)} on another node takes its place`,
    ];
  });
  const all = [...said, ...away];
  return all.length === 0 ? '' : ` (${all.join('; ')})`;
}

const timeText = (ms: Millis): string => new Date(ms).toISOString().replace(/\.\d+/, '');

function healthOf(
  { Snapshots, Plan, Cores }: VolumeArchive,
  copies: Record<string, string[]>,
  copying: (core: ArchiveCore) => string,
): string {
  const newest = Snapshots.at(-1);
  if (!newest) return 'there is no backup yet';
  const lost = Snapshots.filter(({ ID }) => (copies[ID] ?? []).length === 0).length;
  if (lost > 0) return `${lost} of ${Snapshots.length} backups are on no node that is there`;
  const core = Cores.find(({ Key }) => Key === newest.Core);
  const others = (copies[newest.ID] ?? []).filter((id) => id !== core?.NodeID).length;
  if (others < Plan.Replicas)
    return `the newest backup is on ${others} of ${Plan.Replicas} other nodes${core ? copying(core) : ''}`;
  return '';
}
