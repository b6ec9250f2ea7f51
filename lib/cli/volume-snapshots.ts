import type { CsiSnapshot } from '../structs/csi.js';
import { formatAgo, formatBytes, formatTable, formatTime } from './format.js';

/** The table of snapshots. */
export function snapshotTable(
  snapshots: readonly CsiSnapshot[],
  { verbose, nowMs }: { verbose: boolean; nowMs: number },
): string {
  const rows = snapshots.map((snapshot) => [
    snapshot.ID,
    snapshot.ExternalSourceVolumeID,
    snapshot.SourceVolumeID,
    formatBytes(snapshot.SizeBytes),
    verbose ? formatTime(snapshot.CreateTime * 1e9) : formatAgo(snapshot.CreateTime * 1e9, nowMs),
    String(snapshot.IsReady),
  ]);
  return formatTable([['Snapshot ID', 'External ID', 'Volume ID', 'Size', 'Create Time', 'Ready?'], ...rows]);
}
