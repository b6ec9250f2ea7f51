import { MeshError } from '../../structs/errors.js';
import type { ArchiveCore, VolumeArchive, VolumeLeftover } from '../../structs/volume-data.js';
import { assertNever } from '../../util/assert.js';
import { toNanos } from '../../util/clock.js';
import { randomUuid } from '../../util/random.js';
import { type CopyAction, sourcesOf } from './copies.js';
import { letGo } from './keep.js';
import { carryOut, type Hear, holdersFor } from './node-work.js';
import { type OperationParts, placeOf } from './operations.js';

/** Does one thing about the copies of an archive, and records it; `hear` is told how far it is. Rejects with what a node refuses. */
export async function doCopyAction(
  parts: OperationParts,
  archive: VolumeArchive,
  action: CopyAction,
  hear: Hear,
): Promise<void> {
  const { archives } = parts;
  switch (action.kind) {
    case 'choose':
      await changeCore(parts, archive, action.core, (core) => ({
        // What was learnt meanwhile stays.
        Holders: action.holders.map((holder) => core.Holders.find(({ NodeID }) => NodeID === holder.NodeID) ?? holder),
      }));
      return;
    case 'prune':
      await prune(parts, archive, action.core);
      return;
    case 'hold':
      await hold(parts, archive, action, hear);
      return;
    case 'drop': {
      await carryOut(parts, action.nodeId, {
        ...orderOf(parts, archive),
        Kind: 'drop',
        Core: action.core.Key,
        Length: action.core.Length,
      });
      await changeCore(parts, archive, action.core.Key, (core) => ({
        NodeID: core.NodeID === action.nodeId ? '' : core.NodeID,
        Holders: core.Holders.filter(({ NodeID }) => NodeID !== action.nodeId),
      }));
      return;
    }
    case 'forget':
      await archives.update(archive.ID, ({ Cores }) => ({ Cores: Cores.filter(({ Key }) => Key !== action.core) }));
      return;
    default:
      assertNever(action);
  }
}

/** The writer lets go what no snapshot needs; whoever has copies learns it when it copies the next time. */
async function prune(parts: OperationParts, archive: VolumeArchive, core: ArchiveCore): Promise<void> {
  const Snapshots = archive.Snapshots.filter(({ Core }) => Core === core.Key).map(placeOf);
  const Key = await parts.archives.keyOf(archive);
  const order = {
    ...orderOf(parts, archive),
    Kind: 'prune' as const,
    Key,
    Core: core.Key,
    Length: core.Length,
    Snapshots,
  };
  await carryOut(parts, core.NodeID, order);
  await changeCore(parts, archive, core.Key, ({ Holders }) => ({
    HasGarbage: false,
    // Each is to look again at what it needs: it has all that is left, and too much.
    Holders: Holders.map((holder) => ({ ...holder, Length: Math.min(holder.Length, core.Length - 1) })),
  }));
}

async function hold(
  parts: OperationParts,
  archive: VolumeArchive,
  { core, nodeId }: { core: ArchiveCore; nodeId: string },
  hear: Hear,
): Promise<void> {
  const { world } = parts;
  const sources = sourcesOf(core, nodeId, { node: (id) => world.store.snapshot().nodeById(id) });
  const listed = await firstAnswer(sources, (source) =>
    carryOut(parts, source, { ...orderOf(parts, archive), Kind: 'list', Core: core.Key, Length: core.Length }),
  );
  // What was appended since the core was looked at belongs to a backup that is under way.
  const Ranges = (listed.Ranges ?? []).flatMap(([start, end]): [number, number][] =>
    start < core.Length ? [[start, Math.min(end, core.Length)]] : [],
  );
  const Holders = holdersFor(world, core, nodeId);
  await carryOut(parts, nodeId, { ...orderOf(parts, archive), Kind: 'hold', Core: core.Key, Ranges, Holders }, hear);
  await changeCore(parts, archive, core.Key, (now) => ({
    Holders: now.Holders.map((holder) =>
      holder.NodeID === nodeId ? { ...holder, Length: core.Length, ModifyTime: toNanos(world.now()) } : holder,
    ),
  }));
  // One that was kept only until this copy was made may go.
  await parts.archives.update(archive.ID, (now) => {
    const left = letGo(now);
    return left.Snapshots.length < now.Snapshots.length ? left : null;
  });
}

/** What lies where the volume was goes, now that its node is there again. */
export async function retire(parts: OperationParts, archive: VolumeArchive, leftover: VolumeLeftover): Promise<void> {
  const { NodeID, VolumeID, HostPath, Keep } = leftover;
  const others = ({ Leftovers }: VolumeArchive): VolumeLeftover[] =>
    Leftovers.filter((other) => other.NodeID !== NodeID || other.HostPath !== HostPath);
  try {
    await carryOut(parts, NodeID, { ...orderOf(parts, archive), Kind: 'retire', VolumeID, HostPath, Keep });
  } catch (error) {
    if (!(error instanceof MeshError) || error.code === 'E_NO_NODE_PATH' || error.message === leftover.Message)
      throw error;
    // Who moved it is told. It comes last from now on: others are not to wait for what only a person can do.
    const { message: Message } = error;
    await parts.archives.update(archive.ID, (now) => ({ Leftovers: [...others(now), { ...leftover, Message }] }));
    throw error;
  }
  await parts.archives.update(archive.ID, (now) => ({ Leftovers: others(now) }));
}

/** What the first of several nodes answers that has an answer. */
async function firstAnswer<T>(nodeIds: readonly string[], ask: (nodeId: string) => Promise<T>): Promise<T> {
  let why: unknown = new MeshError('E_NO_NODE_PATH', 'no node that has all of it is there');
  for (const nodeId of nodeIds) {
    try {
      return await ask(nodeId);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      why = error;
    }
  }
  throw why;
}

const orderOf = ({ world }: OperationParts, { ID }: VolumeArchive) => ({ ID: randomUuid(world.random), ArchiveID: ID });

async function changeCore(
  { archives }: OperationParts,
  { ID }: VolumeArchive,
  key: string,
  change: (core: ArchiveCore) => Partial<ArchiveCore>,
): Promise<void> {
  await archives.update(ID, ({ Cores }) => {
    if (!Cores.some(({ Key }) => Key === key)) return null;
    return { Cores: Cores.map((core) => (core.Key === key ? { ...core, ...change(core) } : core)) };
  });
}
