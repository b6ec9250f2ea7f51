/**
 * How the data of a volume is told in blocks: cut into chunks by content, packed, listed in a manifest, kept or let go by a
 * policy. Comes from client/volume-data, which reads directories and writes cores; knows no disk, no clock and no key.
 */

export { BlockSet, type Range, rangesOf } from './block-set.js';
export { ADDRESS_BYTES, type ChunkRef, ChunkTable } from './chunk-table.js';
export { CHUNK_MAX, Chunker } from './chunker.js';
export {
  type Attribute,
  type Entry,
  type EntryKind,
  encodeAttribute,
  encodeEntry,
  encodeNote,
  encodeRefs,
  ManifestReader,
  type ManifestRecord,
  PATH_BYTES_MAX,
  pathOrder,
  REFS_MAX,
} from './manifest.js';
export { decodePack, type PackedChunk, PackWriter, SLOT_BYTES } from './pack.js';
export { KEEP_ALL, type KeepPolicy, keptSnapshots } from './retention.js';
