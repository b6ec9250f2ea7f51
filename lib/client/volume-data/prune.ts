import { BlockSet, type Range, rangesOf } from '../../archive/index.js';
import type { SnapshotPlace } from '../../structs/volume-data.js';
import type { BlockSource } from './block-source.js';
import { manifestOf, readRoot } from './snapshot-root.js';

/** The blocks below `length` that snapshots need: their roots, their manifests, and what these name. */
export async function neededBlocks(
  source: BlockSource,
  snapshots: readonly SnapshotPlace[],
  length: number,
): Promise<Range[]> {
  const needed = new BlockSet();
  for (const { Block, Digest } of snapshots) {
    needed.add(Block);
    const root = await readRoot(source, Block, Digest);
    for (const { block } of root.manifest) needed.add(block);
    for await (const record of manifestOf(source, root)) {
      if (record.type === 'refs') for (const { block } of record.refs) needed.add(block);
    }
  }
  return rangesOf(length, (block) => needed.has(block));
}
