import type { Allocation } from '../structs/allocation.js';
import type { StoredCsiVolume } from '../structs/csi.js';
import type { Deployment } from '../structs/deployment.js';
import { MeshError } from '../structs/errors.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { HostVolume, TaskGroupHostVolumeClaim } from '../structs/host-volume.js';
import type { Job } from '../structs/job.js';
import type { MeshInfo, MeshInvite, MeshMember, Tombstone } from '../structs/mesh.js';
import type { Node } from '../structs/node.js';
import type { NodePool } from '../structs/node-pool.js';
import { type AutopilotConfiguration, DEFAULT_AUTOPILOT } from '../structs/operator.js';
import type { JobSummary, SchedulerConfiguration } from '../structs/rpc.js';
import type { JobScalingEvents } from '../structs/scaling.js';
import type { ServiceRegistration } from '../structs/service.js';
import type { RootKey, SealedVariable } from '../structs/variable.js';
import type { VolumeArchive } from '../structs/volume-data.js';
import { assertNever } from '../util/assert.js';
import { frame, frames } from './frames.js';
import { internAlloc, type Relatives } from './intern.js';
import {
  emptyTables,
  isScaled,
  type PeriodicLaunch,
  type RestorePiece,
  type StoredSubmission,
  type TableName,
  type Tables,
} from './schema.js';
import { jobKey } from './watch.js';

// The whole state as a stream: a header, frames of rows, and an end that counts them. Rows are JSON. A job, which its
// current row, its version and its allocations share, is written once and then meant by its number; of a job that
// differs from an earlier one of the same name only in what the server sets, only the difference is written.

const FORMAT = 'meshnomad-state';
/** Raised when older versions could not read what is written. */
const FORMAT_VERSION = 8;
/** UTF-16 units of JSON after which a frame is closed. */
const FRAME_TARGET = 64 * 1024;

type TableRow =
  | ['node', Node]
  | ['job', number]
  | ['version', number]
  | ['summary', JobSummary]
  | ['submission', StoredSubmission]
  | ['eval', Evaluation]
  | ['deployment', Deployment]
  | ['pool', NodePool]
  | ['launch', PeriodicLaunch]
  | ['scaling', JobScalingEvents]
  | ['service', ServiceRegistration]
  | ['csi-volume', StoredCsiVolume]
  | ['host-volume', HostVolume]
  | ['host-volume-claim', TaskGroupHostVolumeClaim]
  | ['volume-archive', VolumeArchive]
  | ['variable', SealedVariable]
  | ['root-key', RootKey]
  | ['member', MeshMember]
  | ['invite', MeshInvite]
  | ['tombstone', Tombstone]
  | ['piece', RestorePiece]
  | ['alloc', Omit<Allocation, 'Job'> & { Job: number | null }];

/** A job of the next number: whole, or as what differs from the job with number `base`. */
type Row = TableRow | ['body', base: number | null, fields: Partial<Job>];

interface Header {
  Format: string;
  Version: number;
  Index: number;
  /** Of a table that an older version did not know: absent. */
  TableIndexes: Partial<Record<TableName, number>> & Record<'jobs', number>;
  SchedulerConfig: SchedulerConfiguration;
  /** Absent in what older versions wrote. */
  AutopilotConfig?: AutopilotConfiguration;
  /** Absent likewise; null where no mesh was founded. */
  Mesh?: MeshInfo | null;
  /** Absent likewise. */
  IndexOffset?: number;
}

/** Streams tables that nobody writes to any more; equal histories give equal bytes. */
export async function* encodeSnapshot(
  { index, indexOffset }: { index: number; indexOffset: number },
  tables: Tables,
): AsyncGenerator<Uint8Array, void, undefined> {
  const names = Object.keys(tables) as TableName[];
  const header: Header = {
    Format: FORMAT,
    Version: FORMAT_VERSION,
    Index: index,
    TableIndexes: Object.fromEntries(names.map((name) => [name, tables[name].lastIndex])) as Header['TableIndexes'],
    SchedulerConfig: tables.scheduler_config.value,
    AutopilotConfig: tables.autopilot_config.value,
    Mesh: tables.mesh.value,
    ...(indexOffset > 0 ? { IndexOffset: indexOffset } : {}),
  };
  yield frame(JSON.stringify(header));
  let pending: string[] = [];
  let size = 0;
  let count = 0;
  for (const row of rows(tables)) {
    const text = JSON.stringify(row);
    pending.push(text);
    size += text.length;
    count++;
    if (size < FRAME_TARGET) continue;
    yield frame(`[${pending.join(',')}]`);
    pending = [];
    size = 0;
  }
  if (pending.length > 0) yield frame(`[${pending.join(',')}]`);
  yield frame(JSON.stringify({ Rows: count }));
}

/** What is referred to comes before what refers to it. */
function* rows(tables: Tables): Generator<Row, void, undefined> {
  const bodies = new JobBodies();
  for (const node of tables.nodes.values()) yield ['node', node];
  for (const job of tables.job_versions.values()) {
    const { number, body } = bodies.refer(job);
    if (body !== null) yield body;
    yield ['version', number];
  }
  for (const job of tables.jobs.values()) {
    const { number, body } = bodies.refer(job);
    if (body !== null) yield body;
    yield ['job', number];
  }
  for (const row of tables.job_submissions.values()) yield ['submission', row];
  for (const summary of tables.job_summaries.values()) yield ['summary', summary];
  for (const evaluation of tables.evals.values()) yield ['eval', evaluation];
  for (const deployment of tables.deployments.values()) yield ['deployment', deployment];
  for (const pool of tables.node_pools.values()) yield ['pool', pool];
  for (const row of tables.periodic_launches.values()) yield ['launch', row];
  for (const row of tables.scaling_events.values()) yield ['scaling', row];
  for (const service of tables.services.values()) yield ['service', service];
  for (const volume of tables.csi_volumes.values()) yield ['csi-volume', volume];
  for (const volume of tables.host_volumes.values()) yield ['host-volume', volume];
  for (const claim of tables.host_volume_claims.values()) yield ['host-volume-claim', claim];
  for (const archive of tables.volume_archives.values()) yield ['volume-archive', archive];
  for (const variable of tables.variables.values()) yield ['variable', variable];
  for (const key of tables.root_keys.values()) yield ['root-key', key];
  for (const member of tables.mesh_members.values()) yield ['member', member];
  for (const invite of tables.mesh_invites.values()) yield ['invite', invite];
  for (const tombstone of tables.mesh_tombstones.values()) yield ['tombstone', tombstone];
  for (const piece of tables.restores.values()) yield ['piece', piece];
  for (const alloc of tables.allocs.values()) {
    if (alloc.Job === null) {
      yield ['alloc', { ...alloc, Job: null }];
      continue;
    }
    const { number, body } = bodies.refer(alloc.Job);
    if (body !== null) yield body;
    yield ['alloc', { ...alloc, Job: number }];
  }
}

/** Numbers the jobs that were written. */
class JobBodies {
  #numbers = new Map<Job, number>();
  /** The first job that was written with these groups, by name. */
  #bases = new Map<Job['TaskGroups'], Map<string, Job>>();

  refer(job: Job): { number: number; body: Row | null } {
    const known = this.#numbers.get(job);
    if (known !== undefined) return { number: known, body: null };
    const number = this.#numbers.size;
    this.#numbers.set(job, number);
    const name = jobKey(job.Namespace, job.ID);
    const byName = this.#bases.get(job.TaskGroups) ?? new Map<string, Job>();
    this.#bases.set(job.TaskGroups, byName);
    const base = byName.get(name);
    if (base === undefined || Object.keys(base).length !== Object.keys(job).length) {
      byName.set(name, job);
      return { number, body: ['body', null, job] };
    }
    const keys = Object.keys(base) as (keyof Job)[];
    const fields = Object.fromEntries(keys.filter((key) => base[key] !== job[key]).map((key) => [key, job[key]]));
    return { number, body: ['body', this.#numbers.get(base) ?? null, fields] };
  }
}

/** What a snapshot holds. */
export interface Decoded {
  readonly index: number;
  /** How far the index of the state is ahead of the log's. */
  readonly indexOffset: number;
  readonly tables: Tables;
}

/**
 * Reads a stream into new tables. Rejects with E_STORAGE when it is damaged, cut short or of a newer format.
 * `epoch` is the one the tables are then written in.
 */
export async function decodeSnapshot(stream: AsyncIterable<Uint8Array>, epoch: number): Promise<Decoded> {
  const decoder = new SnapshotDecoder(epoch);
  for await (const text of frames(stream)) decoder.take(text);
  return decoder.end();
}

/** How many rows of each kind a snapshot holds, and their bytes of JSON; jobs count where their bodies are. */
export async function countRows(
  stream: AsyncIterable<Uint8Array>,
): Promise<{ index: number; rows: Map<string, { count: number; bytes: number }> }> {
  const rows = new Map<string, { count: number; bytes: number }>();
  let index = 0;
  let isFirst = true;
  for await (const text of frames(stream)) {
    const value = JSON.parse(text) as Row[] | Header | { Rows: number };
    if (isFirst) index = checkHeader(value as Header).Index;
    isFirst = false;
    if (!Array.isArray(value)) continue;
    for (const row of value) {
      const seen = rows.get(row[0]) ?? { count: 0, bytes: 0 };
      rows.set(row[0], { count: seen.count + 1, bytes: seen.bytes + JSON.stringify(row).length });
    }
  }
  return { index, rows };
}

/** Reads a snapshot frame by frame. Throws MeshError E_STORAGE as decodeSnapshot does. */
export class SnapshotDecoder {
  readonly #restoring: Restoring;
  #header: Header | null = null;
  #count = 0;
  #complete = false;

  constructor(epoch: number) {
    this.#restoring = { tables: emptyTables(), bodies: [], siblings: new Map(), epoch };
  }

  /** The payload of the next frame. */
  take(text: string): void {
    const value = JSON.parse(text) as Row[] | Header | { Rows: number };
    if (this.#complete) throw broken('something follows its end');
    if (this.#header === null) {
      this.#header = checkHeader(value as Header);
    } else if (Array.isArray(value)) {
      for (const row of value) restoreRow(row, this.#restoring);
      this.#count += value.length;
    } else {
      const { Rows } = value as { Rows: number };
      if (Rows !== this.#count) throw broken(`it has ${this.#count} rows, and should have ${Rows}`);
      this.#complete = true;
    }
  }

  end(): Decoded {
    const header = this.#header;
    const { tables } = this.#restoring;
    if (header === null || !this.#complete) throw broken('it is cut short');
    tables.scheduler_config.value = header.SchedulerConfig;
    tables.autopilot_config.value = header.AutopilotConfig ?? DEFAULT_AUTOPILOT;
    tables.mesh.value = header.Mesh ?? null;
    for (const name of Object.keys(tables) as TableName[]) tables[name].lastIndex = header.TableIndexes[name] ?? 0;
    // Older versions kept no index of it: it may have changed with any job.
    tables.scaled_jobs.lastIndex = header.TableIndexes.scaled_jobs ?? header.TableIndexes.jobs;
    return { index: header.Index, indexOffset: header.IndexOffset ?? 0, tables };
  }
}

function checkHeader(header: Header): Header {
  if (header.Format !== FORMAT) throw broken('it is not a snapshot of the state');
  if (header.Version > FORMAT_VERSION) {
    throw new MeshError(
      'E_NOT_SUPPORTED',
      `a newer version of meshnomad wrote this snapshot: its format is ${header.Version}, and this program reads those up to ${FORMAT_VERSION}. Use the newer version`,
    );
  }
  return header;
}

interface Restoring {
  readonly tables: Tables;
  readonly bodies: Job[];
  readonly siblings: Map<string, Relatives>;
  readonly epoch: number;
}

function restoreRow(row: Row, { tables, bodies, siblings, epoch }: Restoring): void {
  const body = (number: number): Job => {
    const job = bodies[number];
    if (job === undefined) throw broken(`job number ${number} comes before its definition`);
    return job;
  };
  switch (row[0]) {
    case 'body':
      bodies.push(row[1] === null ? (row[2] as Job) : { ...body(row[1]), ...row[2] });
      return;
    case 'node':
      tables.nodes.put(row[1], epoch);
      return;
    case 'version':
      tables.job_versions.put(body(row[1]), epoch);
      return;
    case 'job':
      restoreJob(tables, body(row[1]), epoch);
      return;
    case 'submission':
      tables.job_submissions.put(row[1], epoch);
      return;
    case 'summary':
      tables.job_summaries.put(row[1], epoch);
      return;
    case 'eval':
      tables.evals.put(row[1], epoch);
      return;
    case 'deployment':
      tables.deployments.put(row[1], epoch);
      return;
    case 'pool':
      tables.node_pools.put(row[1], epoch);
      return;
    case 'launch':
      tables.periodic_launches.put(row[1], epoch);
      return;
    case 'scaling':
      tables.scaling_events.put(row[1], epoch);
      return;
    case 'service':
      tables.services.put(row[1], epoch);
      return;
    case 'csi-volume':
      tables.csi_volumes.put(row[1], epoch);
      return;
    case 'host-volume':
      tables.host_volumes.put(row[1], epoch);
      return;
    case 'host-volume-claim':
      tables.host_volume_claims.put(row[1], epoch);
      return;
    case 'volume-archive':
      tables.volume_archives.put(row[1], epoch);
      return;
    case 'variable':
      tables.variables.put(row[1], epoch);
      return;
    case 'root-key':
      tables.root_keys.put(row[1], epoch);
      return;
    case 'member':
      tables.mesh_members.put(row[1], epoch);
      return;
    case 'invite':
      tables.mesh_invites.put(row[1], epoch);
      return;
    case 'tombstone':
      tables.mesh_tombstones.put(row[1], epoch);
      return;
    case 'piece':
      tables.restores.put(row[1], epoch);
      return;
    case 'alloc': {
      const whole: Allocation = { ...row[1], Job: row[1].Job === null ? null : body(row[1].Job) };
      const group = `${jobKey(whole.Namespace, whole.JobID)}\0${whole.TaskGroup}`;
      const known = siblings.get(group) ?? { sibling: undefined, told: new Map(), scores: new Map() };
      const sibling = internAlloc(tables, whole, whole, known);
      siblings.set(group, { ...known, sibling });
      tables.allocs.put(sibling, epoch);
      return;
    }
    default:
      assertNever(row);
  }
}

function restoreJob(tables: Tables, job: Job, epoch: number): void {
  tables.jobs.put(job, epoch);
  if (isScaled(job)) tables.scaled_jobs.put(job, epoch);
}

function broken(why: string): MeshError {
  return new MeshError('E_STORAGE', `the snapshot cannot be read: ${why}`);
}
