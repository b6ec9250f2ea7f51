import t from 'tap';
import { CHUNK_MAX } from '../../lib/archive/index.js';
import { ArchiveCipher } from '../../lib/client/volume-data/archive-cipher.js';
import type { ArchiveCore } from '../../lib/client/volume-data/archive-core.js';
import { ChunkWriter } from '../../lib/client/volume-data/chunk-writer.js';
import { KnownChunks } from '../../lib/client/volume-data/previous-tree.js';

/** What a content is cut into, by address and size, and how many bytes were hashed for it. */
async function cutOf(content: Buffer): Promise<{ chunks: string[]; hashed: number }> {
  const cipher = new ArchiveCipher('archive', Buffer.alloc(32, 1));
  let hashed = 0;
  const counted = {
    chunker: cipher.chunker,
    address(bytes: Uint8Array): Uint8Array {
      hashed += bytes.length;
      return cipher.address(bytes);
    },
  } as ArchiveCipher;
  const core = { length: 0, append: async () => 0 } as unknown as ArchiveCore;
  const writer = new ChunkWriter(core, counted, new KnownChunks());
  const read = async (into: Uint8Array, position: number): Promise<number> =>
    content.copy(into, 0, position, position + into.length);
  const chunks: string[] = [];
  for await (const refs of writer.content(read, () => {}))
    for (const { address, size } of refs) chunks.push(`${Buffer.from(address).toString('hex')} ${size}`);
  return { chunks, hashed };
}

/** The same without any short cut. */
function plainCutOf(content: Buffer): string[] {
  const { chunker, address } = plain();
  const chunks: string[] = [];
  for (let from = 0; from < content.length; ) {
    const to = chunker.cut(content, from, content.length);
    const chunk = content.subarray(from, to);
    chunks.push(`${Buffer.from(address(chunk)).toString('hex')} ${chunk.length}`);
    from = to;
  }
  return chunks;
}

function plain() {
  const cipher = new ArchiveCipher('archive', Buffer.alloc(32, 1));
  return { chunker: cipher.chunker, address: (bytes: Uint8Array) => cipher.address(bytes) };
}

t.test('holes are cut as any other content is, and hardly anything of them is hashed', async (t) => {
  const size = 32 * CHUNK_MAX;
  const hole = Buffer.alloc(size + 12_345);
  const seen = await cutOf(hole);
  t.same(seen.chunks, plainCutOf(hole));
  t.ok(seen.hashed <= 3 * CHUNK_MAX, `${seen.hashed} bytes were hashed`);

  const mixed = Buffer.alloc(size);
  for (const at of [3, 1_000_000, 5 * CHUNK_MAX, 11 * CHUNK_MAX + 77]) mixed.write('something', at);
  for (let at = 20 * CHUNK_MAX; at < 23 * CHUNK_MAX; at++) mixed[at] = (at * 2_654_435_761) >>> 24;
  const other = await cutOf(mixed);
  t.same(other.chunks, plainCutOf(mixed));
  t.ok(other.hashed < size / 2);
});
