import type { Duplex } from 'node:stream';
import { frames } from '../../state/frames.js';
import { MeshError } from '../../structs/errors.js';
import type { SnapshotMetadata } from '../../structs/operator.js';
import type { QueryOptions } from '../../structs/rpc.js';
import type { RpcStreamHandlers } from '../../transport/rpc.js';
import { randomUuid } from '../../util/random.js';
import { joinStreams, roomIn } from '../node-path.js';
import { propose } from '../propose.js';
import { ARCHIVE_VERSION, readArchive, writeArchive } from '../snapshot-archive.js';
import type { EndpointContext } from './context.js';

/** Pieces that may be on their way to the disk at once. */
const PIECES_UNDER_WAY = 16;

/** The state as a file, and back: by the leader, unless a stale state will do. */
export function snapshotStreams(context: EndpointContext): RpcStreamHandlers {
  return {
    'Operator.SnapshotSave'(args, stream) {
      if (args.AllowStale !== true && passOn(context, 'Operator.SnapshotSave', args, stream)) return;
      send(stream, save(context, args));
    },
    'Operator.SnapshotRestore'(args, stream) {
      if (passOn(context, 'Operator.SnapshotRestore', args, stream)) return;
      restore(context, messages(stream)).then(
        (answer) => stream.end(answer),
        (error: Error) => stream.destroy(error),
      );
    },
  };
}

type Method = 'Operator.SnapshotSave' | 'Operator.SnapshotRestore';

/** Hands the stream to the leader when that is another server. */
function passOn(context: EndpointContext, method: Method, args: { Forwarded?: boolean }, stream: Duplex): boolean {
  const { consensus, peers } = context;
  const { leader } = consensus;
  if (consensus.isLeader) return false;
  if (leader === '' || !peers || args.Forwarded === true) {
    stream.destroy(new MeshError('E_NO_LEADER', 'No cluster leader'));
    return true;
  }
  joinStreams(stream, peers.serverCaller(leader).stream(method, { ...args, Forwarded: true }));
  return true;
}

/** The archive in pieces. A consistent one has everything that was committed before it was asked for. */
async function* save(context: EndpointContext, { AllowStale }: QueryOptions): AsyncGenerator<Uint8Array> {
  const { consensus, group, store, peers, now } = context;
  if (AllowStale !== true) await consensus.readIndex();
  const state = store.snapshot();
  const Term = group?.term() ?? 0;
  const CreatedAt = now();
  const metadata: SnapshotMetadata = {
    ID: `${Term}-${state.index}-${CreatedAt}`,
    Index: state.index,
    Term,
    Version: ARCHIVE_VERSION,
    Mesh: state.mesh()?.Root ?? '',
    CreatedAt,
    Program: peers?.self().Version ?? '',
  };
  yield* writeArchive(metadata, () => state.stream());
}

function send(stream: Duplex, chunks: AsyncIterable<Uint8Array>): void {
  const run = async (): Promise<void> => {
    for await (const Data of chunks) {
      if (stream.destroyed) return;
      if (!stream.write({ Data })) await roomIn(stream);
    }
    stream.end();
  };
  run().catch((error: Error) => stream.destroy(error));
}

async function* messages(stream: Duplex): AsyncGenerator<Uint8Array> {
  // Read by hand: leaving the loop early must not close the stream, on which the reason is still to be told.
  const iterator = stream.iterator({ destroyOnReturn: false }) as AsyncIterable<{ Data?: Uint8Array }>;
  for await (const { Data } of iterator) if (Data instanceof Uint8Array) yield Data;
}

/** Puts the pieces aside in every server's state, and only when the archive was whole and right makes them the state. */
async function restore(
  context: EndpointContext,
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ Index: number; Metadata: SnapshotMetadata }> {
  const { consensus, random, log } = context;
  const id = randomUuid(random);
  const archive = await readArchive(chunks);
  let pieces = 0;
  const underWay: Promise<unknown>[] = [];
  try {
    for await (const text of frames(archive.state)) {
      const piece = propose(consensus, { type: 'restore-stage', id, seq: pieces++, text });
      // Looked at in its turn; that it fails before must not end the process.
      piece.catch(() => {});
      underWay.push(piece);
      if (underWay.length >= PIECES_UNDER_WAY) await underWay.shift();
    }
    await Promise.all(underWay);
    const { value } = await propose(consensus, { type: 'restore-commit', id, pieces });
    log.warn('the state was restored from a snapshot', { snapshot: archive.metadata.ID, index: value.index });
    return { Index: value.index, Metadata: archive.metadata };
  } catch (error) {
    propose(consensus, { type: 'restore-abort', id }).catch(() => {});
    throw error;
  }
}
