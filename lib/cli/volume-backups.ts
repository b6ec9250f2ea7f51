import { setTimeout } from 'node:timers/promises';
import type {
  VolumeArchiveStub,
  VolumeArchiveView,
  VolumeLeftover,
  VolumeOperation,
  VolumeProgress,
  VolumeSnapshot,
} from '../structs/volume-data.js';
import { type ApiClient, ApiError } from './api.js';
import type { Flags, Output } from './command.js';
import { formatAgo, formatBytes, formatPairs, formatTable, formatTime, shortId } from './format.js';
import { LiveLine } from './live-line.js';

/** How often it is asked how far an operation is. */
const ASK_MS = 400;
/** So long nobody may answer: a leader is elected, the network is away for a moment. */
const SILENCE_MAX_MS = 60_000;
/** So long a moved volume's old place is watched until it is gone. */
const REMOVAL_MAX_MS = 10_000;
/** What shells say of a program that Ctrl-C ended. */
const INTERRUPTED = 130;

interface Shown {
  verbose: boolean;
  nowMs: number;
}

/** Which of several volumes of one name is meant. */
export interface WhichVolume {
  on: string | undefined;
  type: string | undefined;
}

/** The flags that say it. */
export const WHICH_FLAGS = {
  on: { type: 'string', value: 'node', help: 'The node of the volume, where several have one of this name.' },
  type: { type: 'string', value: 'type', help: 'csi or host, where there is one of each of this name.' },
} as const;

export const whichVolume = (flags: Flags): WhichVolume => ({ on: flags.string('on'), type: flags.string('type') });

/** The address of what is kept of a volume. */
export const backupPath = (volume: string): string => `/v1/volume/backup/${encodeURIComponent(volume)}`;

/** What a volume's backups are called when it has none. */
export async function readArchive(
  api: ApiClient,
  volume: string,
  which: Partial<WhichVolume> = {},
): Promise<VolumeArchiveView | null> {
  return (await api.get<VolumeArchiveView | null>(backupPath(volume), { ...which })).value;
}

/** An operation as the API answers it that has begun. */
export interface Begun {
  ArchiveID: string;
  Operation: VolumeOperation;
}

/**
 * Follows an operation to its end, and shows how far it is. Whoever interrupts it is told that the operation goes on. `volume` is what
 * the volume is called there; it may become ambiguous meanwhile, the archive not.
 */
export async function followOperation(
  api: ApiClient,
  { ArchiveID, Operation: operation }: Begun,
  { output, json, volume }: { output: Output; json: boolean; volume: string },
): Promise<VolumeArchiveView> {
  const screen = new ProgressLine(output, json);
  const leave = (): void => {
    screen.end();
    output.error(`The ${operation.Kind} goes on without being watched: see volume backup -list ${volume}`);
    process.exit(INTERRUPTED);
  };
  process.once('SIGINT', leave);
  try {
    return await follow(api, { archiveId: ArchiveID, operation }, screen);
  } finally {
    process.off('SIGINT', leave);
    screen.end();
  }
}

async function follow(
  api: ApiClient,
  { archiveId, operation }: { archiveId: string; operation: VolumeOperation },
  screen: ProgressLine,
): Promise<VolumeArchiveView> {
  let heardMs = Date.now();
  for (;;) {
    try {
      const archive = await readArchive(api, archiveId);
      heardMs = Date.now();
      if (!archive) throw new ApiError(0, 'the backups of this volume were forgotten meanwhile');
      if (archive.Operation?.ID !== operation.ID) return archive;
      screen.show(archive.Operation, archive.Progress);
    } catch (error) {
      const mayPass = error instanceof ApiError && (error.status === 0 || error.status >= 500);
      if (!mayPass || Date.now() - heardMs > SILENCE_MAX_MS) throw error;
    }
    await setTimeout(ASK_MS);
  }
}

export const UNKNOWN_END = 'many others followed it, and how it ended is not known any more';

/** How an operation has ended, also when others have followed it; undefined when nobody knows any more. */
export function endOf(
  { LastOperation, EarlierOperations = [] }: VolumeArchiveView,
  { ID }: VolumeOperation,
): VolumeOperation | undefined {
  return [LastOperation, ...EarlierOperations].find((operation) => operation?.ID === ID) ?? undefined;
}

/**
 * What the volume's old node could not remove after a move, or is at still after some seconds; undefined: nothing is left there.
 * Of a large tree it is at for minutes, of which nobody needs to see the end.
 */
export async function followRemoval(
  api: ApiClient,
  { ID, Leftovers: first }: VolumeArchiveView,
  { NodeID, TargetVolumeID }: VolumeOperation,
): Promise<VolumeLeftover | undefined> {
  const untilMs = Date.now() + REMOVAL_MAX_MS;
  for (let leftovers = first; ; leftovers = (await readArchive(api, ID))?.Leftovers ?? []) {
    const left = leftovers.find((one) => one.NodeID === NodeID && one.VolumeID === TargetVolumeID);
    if (!left || left.Message !== undefined || Date.now() >= untilMs) return left;
    await setTimeout(ASK_MS);
  }
}

/** What stays where a volume was, and what to do about it. */
export function leftoverText({ NodeID, HostPath, Keep, Message }: VolumeLeftover, verbose: boolean): string {
  const node = shortId(NodeID, verbose);
  const what = Keep ? 'put aside' : 'removed';
  if (Message === undefined) return `${HostPath} on node ${node} is still to be ${what}`;
  return `${HostPath} on node ${node} could not be ${what}: ${Message}. Put that right there, or remove it by hand (chattr -i makes files mutable again); until then it is tried again and again, and the volume cannot come back to that node`;
}

/** How far an operation is: in a line that lives, or as JSON. */
class ProgressLine {
  readonly #output: Output;
  readonly #json: boolean;
  readonly #line: LiveLine;
  #last = '';

  constructor(output: Output, json: boolean) {
    this.#output = output;
    this.#json = json;
    this.#line = new LiveLine(output, (line) => output.out(line));
  }

  show(operation: VolumeOperation, progress: VolumeProgress | null): void {
    if (this.#json) {
      const line = JSON.stringify({ Operation: operation, Progress: progress });
      if (line !== this.#last) this.#output.out(line);
      this.#last = line;
      return;
    }
    this.#line.show(progressText(operation, progress), operation.Message || (progress?.Phase ?? ''));
  }

  end(): void {
    this.#line.end();
  }
}

function progressText({ Message, Step }: VolumeOperation, progress: VolumeProgress | null): string {
  if (Message !== '') return `waits: ${Message}`;
  if (!progress) return `${Step}: begins`;
  const { Phase, Files, Bytes, BytesTotal, NewBytes, Skipped } = progress;
  const share =
    BytesTotal > 0 ? ` of ${formatBytes(BytesTotal)} (${Math.min(100, Math.floor((100 * Bytes) / BytesTotal))} %)` : '';
  const parts = [`${Files} files`, `${formatBytes(Bytes)}${share}`];
  if (NewBytes > 0) parts.push(`${formatBytes(NewBytes)} new`);
  if (Skipped > 0) parts.push(`${Skipped} left out`);
  return `${Phase}: ${parts.join(', ')}`;
}

/** The table of volumes that have backups. */
export function archiveTable(archives: readonly VolumeArchiveStub[], { verbose, nowMs }: Shown): string {
  const rows = archives.map((archive) => [
    archive.Name,
    archive.Namespace,
    shortId(archive.NodeID, verbose),
    String(archive.SnapshotCount),
    archive.Newest ? formatAgo(archive.Newest.CreateTime, nowMs) : '',
    archive.Newest ? formatBytes(archive.Newest.Bytes) : '',
    archive.Plan.Cron,
    standing(archive),
  ]);
  return formatTable([
    ['Volume', 'Namespace', 'Node ID', 'Backups', 'Newest', 'Size', 'Schedule', 'Standing'],
    ...rows,
  ]);
}

function standing({
  Operation,
  LastOperation,
  Health,
  Progress = null,
}: Pick<VolumeArchiveView, 'Operation' | 'LastOperation' | 'Health'> &
  Partial<Pick<VolumeArchiveView, 'Progress'>>): string {
  if (Operation) {
    const isHeardOf = Progress !== null || Operation.Message !== '';
    return `${Operation.Kind} under way${isHeardOf ? ` (${progressText(Operation, Progress)})` : ''}`;
  }
  if (LastOperation?.Step === 'failed') return `${LastOperation.Kind} failed: ${LastOperation.Message}`;
  return Health === '' ? 'all copies are whole' : Health;
}

/** The backups of a volume in one line. */
export function backupSummary(archive: VolumeArchiveView, nowMs: number): string {
  const newest = archive.Snapshots.at(-1);
  const made = newest ? `${archive.Snapshots.length}, the newest made ${formatAgo(newest.CreateTime, nowMs)}; ` : '';
  const next = archive.NextTime > 0 ? `; the next ${nextText(archive, nowMs)}` : '';
  const left = archive.Leftovers.map((one) => `\n${leftoverText(one, false)}`).join('');
  return `${made}${standing(archive)}${next}${left}`;
}

/** The backups of one volume. */
export function archiveText(archive: VolumeArchiveView, shown: Shown): string {
  const { Plan } = archive;
  const facts: [string, string | number][] = [
    ['Volume', archive.Name],
    ['Volume ID', archive.VolumeID === '' ? '<of the configuration>' : archive.VolumeID],
    ['Namespace', archive.Namespace],
    ['Node ID', shortId(archive.NodeID, shown.verbose)],
    ['Schedule', Plan.Cron === '' ? '<none>' : `${Plan.Cron} (${Plan.TimeZone})`],
    ...(archive.NextTime > 0 ? ([['Next', nextText(archive, shown.nowMs)]] as [string, string][]) : []),
    ['Kept', keepText(archive)],
    ['Replicas', Plan.Replicas],
    ['Standing', standing(archive)],
    ...archive.Leftovers.map((left): [string, string] => ['Left Behind', leftoverText(left, shown.verbose)]),
  ];
  const parts = [formatPairs(facts), `Backups\n${snapshotTable(archive, shown)}`];
  if (shown.verbose && archive.Cores.length > 0) parts.push(`Copies\n${copyTable(archive)}`);
  return parts.join('\n\n');
}

/** A schedule that is behind has a node that is away, or is just about to begin. */
function nextText({ NextTime }: VolumeArchiveView, nowMs: number): string {
  return NextTime > nowMs * 1e6 ? formatTime(NextTime) : 'as soon as its node is ready: it is overdue';
}

function keepText({ Plan }: VolumeArchiveView): string {
  const words = Object.entries(Plan.Keep).filter(([, count]) => count > 0);
  return words.length === 0 ? 'all' : words.map(([name, count]) => `${count} ${name.toLowerCase()}`).join(', ');
}

function snapshotTable({ Snapshots, Copies }: VolumeArchiveView, { verbose, nowMs }: Shown): string {
  if (Snapshots.length === 0) return 'None';
  const rows = Snapshots.toReversed().map((snapshot) => [
    shortId(snapshot.ID, verbose),
    verbose ? formatTime(snapshot.CreateTime) : formatAgo(snapshot.CreateTime, nowMs),
    snapshot.Reason,
    String(snapshot.Files),
    formatBytes(snapshot.Bytes),
    formatBytes(snapshot.StoredBytes),
    (Copies[snapshot.ID] ?? []).map((id) => shortId(id, verbose)).join(', ') || '<nobody has it>',
    remarks(snapshot).join(', '),
  ]);
  return formatTable([['ID', 'Made', 'Why', 'Files', 'Size', 'Stored', 'On Nodes', 'Remarks'], ...rows]);
}

function copyTable({ Cores }: VolumeArchiveView): string {
  const rows = Cores.flatMap((core) => [
    [core.Key.slice(0, 8), core.NodeID, 'writes it', `${core.Length} blocks`],
    ...core.Holders.map(({ NodeID, Length }) => [
      core.Key.slice(0, 8),
      NodeID,
      'has a copy',
      `${Length} of ${core.Length}`,
    ]),
  ]);
  return formatTable([['Core', 'Node ID', 'Part', 'Blocks'], ...rows]);
}

/** What whoever restores a snapshot should know. */
function remarks({ InUse, Changed, Skipped }: VolumeSnapshot): string[] {
  return [
    ...(InUse ? ['in use'] : []),
    ...(Changed > 0 ? [`${Changed} files changed meanwhile`] : []),
    ...(Skipped > 0 ? [`${Skipped} names left out`] : []),
  ];
}

/** What was made, in a few lines. */
export function snapshotText(snapshot: VolumeSnapshot, { verbose }: { verbose: boolean }): string[] {
  const { ID, Files, Bytes, NewBytes, StoredBytes, InUse, Notes } = snapshot;
  const lines = [
    `Backup ${shortId(ID, verbose)}: ${Files} files, ${formatBytes(Bytes)}, of which ${formatBytes(NewBytes)} were new (${formatBytes(StoredBytes)} stored)`,
  ];
  if (InUse) {
    lines.push('Allocations used the volume meanwhile: the backup has what a power cut would have left of their files');
  }
  return [...lines, ...Notes.map((note) => `  ${note}`)];
}
