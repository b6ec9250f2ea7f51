import { createHash } from 'node:crypto';
import { type ChunkRef, encodeRefs, ManifestReader, type ManifestRecord, REFS_MAX } from '../../archive/index.js';
import { MeshError } from '../../structs/errors.js';
import { MalformedBytes } from '../../util/bytes.js';
import type { BlockSource } from './block-source.js';

/** What begins with this is the root of a snapshot. */
const ROOT = 2;
/** 2: with extended attributes. */
const FORMATS = [1, 2];
const FORMAT = 2;

/** What a snapshot hangs from: one block. Everything below is named by keyed hash. */
export interface SnapshotRoot {
  /** When the walk began, in nanoseconds since 1970. */
  readonly startedNs: bigint;
  readonly files: number;
  readonly bytes: number;
  /** How many of them are of files with holes. */
  readonly sparseBytes: number;
  /** The chunks of the manifest. */
  readonly manifest: readonly ChunkRef[];
}

/** The block's bytes in clear, and the digest by which the servers know it. */
export function encodeRoot(root: SnapshotRoot): { body: Uint8Array; digest: string } {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < root.manifest.length; at += REFS_MAX)
    frames.push(encodeRefs(root.manifest.slice(at, at + REFS_MAX)));
  const { startedNs, files, bytes, sparseBytes } = root;
  const head = Buffer.from(
    JSON.stringify({
      Format: FORMAT,
      StartedNs: String(startedNs),
      Files: files,
      Bytes: bytes,
      SparseBytes: sparseBytes,
    }),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  const body = Buffer.concat([Buffer.of(ROOT), length, head, ...frames]);
  return { body, digest: digestOf(body) };
}

/** Reads the root at a place. Throws E_STORAGE when it is not the one with that digest. */
export async function readRoot(source: BlockSource, block: number, digest: string): Promise<SnapshotRoot> {
  const body = Buffer.from(await source.body(block));
  if (digestOf(body) !== digest)
    throw new MeshError('E_STORAGE', `block ${block} is not the snapshot that it should be`);
  if (body[0] !== ROOT || body.length < 5) throw new MeshError('E_STORAGE', `block ${block} is no snapshot`);
  const end = 5 + body.readUInt32BE(1);
  const head = JSON.parse(body.subarray(5, end).toString()) as Record<string, unknown>;
  if (!FORMATS.includes(Number(head['Format']))) {
    throw new MeshError(
      'E_NOT_SUPPORTED',
      `the snapshot has format ${String(head['Format'])}; this version reads ${FORMATS.join(' and ')}`,
    );
  }
  const manifest: ChunkRef[] = [];
  for (const record of recordsOf(body.subarray(end))) if (record.type === 'refs') manifest.push(...record.refs);
  return {
    startedNs: BigInt(String(head['StartedNs'])),
    files: Number(head['Files']),
    bytes: Number(head['Bytes']),
    sparseBytes: Number(head['SparseBytes']),
    manifest,
  };
}

/** The records of a snapshot, in the order of their paths. */
export async function* manifestOf(source: BlockSource, root: SnapshotRoot): AsyncGenerator<ManifestRecord> {
  const reader = new ManifestReader();
  try {
    for (const ref of root.manifest) yield* reader.take(await source.content(ref));
    reader.end();
  } catch (error) {
    throw readable(error);
  }
}

function recordsOf(bytes: Uint8Array): ManifestRecord[] {
  try {
    return [...new ManifestReader().take(bytes)];
  } catch (error) {
    throw readable(error);
  }
}

function readable(error: unknown): unknown {
  if (!(error instanceof MalformedBytes)) return error;
  return new MeshError('E_STORAGE', `the snapshot cannot be read: ${error.message}`, { cause: error });
}

const digestOf = (body: Uint8Array): string => createHash('sha256').update(body).digest('hex');
