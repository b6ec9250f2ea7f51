import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { readArchive } from '../server/snapshot-archive.js';
import { countRows } from '../state/snapshot-codec.js';
import { MeshError } from '../structs/errors.js';
import type { SnapshotMetadata } from '../structs/operator.js';

/** What a row of the state is called where people see it. */
const NAMES: Record<string, string> = {
  node: 'Node',
  body: 'Job',
  job: 'JobCurrent',
  version: 'JobVersion',
  summary: 'JobSummary',
  submission: 'JobSubmission',
  eval: 'Eval',
  alloc: 'Alloc',
  deployment: 'Deployment',
  pool: 'NodePool',
  launch: 'PeriodicLaunch',
  scaling: 'ScalingEvents',
  member: 'MeshMember',
  invite: 'MeshInvite',
  tombstone: 'MeshTombstone',
  piece: 'RestorePiece',
};

export interface SnapshotReport {
  Meta: SnapshotMetadata;
  /** Of the file, in bytes. */
  Size: number;
  /** By size, the largest first; Bytes are those of the rows as JSON. */
  Types: { Name: string; Count: number; Bytes: number }[];
}

/** Reads a snapshot to its end. Throws MeshError E_STORAGE when it is damaged, or no snapshot. */
export async function inspectSnapshot(file: string): Promise<SnapshotReport> {
  const { metadata, state } = await readArchive(readFile(file));
  const { rows } = await countRows(state);
  const types = [...rows].map(([kind, { count, bytes }]) => ({
    Name: NAMES[kind] ?? kind,
    Count: count,
    Bytes: bytes,
  }));
  return {
    Meta: metadata,
    Size: (await stat(file)).size,
    Types: types.sort((a, b) => b.Bytes - a.Bytes || (a.Name < b.Name ? -1 : 1)),
  };
}

/** The bytes of a file; what stands in the way is told for a person. */
export async function* readFile(file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(file) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw new MeshError('E_STORAGE', `cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
}
