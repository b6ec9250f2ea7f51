import type { SnapshotMessage, SnapshotMeta } from '../raft/index.js';
import { MeshError } from '../structs/errors.js';
import type { Log } from '../util/log.js';
import type { GroupLink } from './consensus-link.js';
import type { Snapshotter } from './consensus-snapshots.js';
import type { Stores } from './consensus-stores.js';
import type { RaftTransport } from './ports.js';

export interface TransferOptions {
  readonly stores: Stores;
  readonly snapshotter: Snapshotter;
  readonly transport: RaftTransport;
  readonly link: GroupLink;
  readonly log: Log;
  /** Index up to which nothing need be received; null = nothing is taken now. */
  readonly committed: () => { index: number; term: number } | null;
  /** Tells raft of a snapshot that is stored, or not needed. */
  readonly onArrived: (message: SnapshotMessage) => void;
  /** A snapshot sent to a member arrived or not. */
  readonly onSent: (to: string, arrived: boolean) => void;
}

/** A stream that is being received, until it is given up. */
class Receiving {
  readonly term: number;
  readonly givenUp: Promise<never>;
  ended = false;
  #giveUp!: (error: MeshError) => void;

  constructor(term: number) {
    this.term = term;
    this.givenUp = new Promise((_, reject) => {
      this.#giveUp = reject;
    });
    this.givenUp.catch(() => {});
  }

  end(): void {
    this.ended = true;
    this.#giveUp(new MeshError('E_CONFLICT', 'receiving the snapshot was given up'));
  }
}

/** Snapshots on their way from the leader to members that lag behind its log. */
export class SnapshotTransfer {
  readonly #options: TransferOptions;
  readonly #sending = new Map<string, AbortController>();
  #receiving: Receiving | null = null;

  constructor(options: TransferOptions) {
    this.#options = options;
    options.transport.onSnapshot((from, { head, chunks }) => this.#receive(from, head, chunks));
  }

  isSendingTo(member: string): boolean {
    return this.#sending.has(member);
  }

  /** Streams the snapshot that the message announces. */
  send(message: SnapshotMessage): void {
    const { stores, snapshotter, transport, link, log, onSent } = this.#options;
    const { to, snapshot } = message;
    this.#sending.get(to)?.abort();
    const controller = new AbortController();
    this.#sending.set(to, controller);
    snapshotter.hold(to, snapshot.index);
    const done = (arrived: boolean, why = ''): void => {
      if (this.#sending.get(to) !== controller) return;
      this.#sending.delete(to);
      snapshotter.release(to);
      if (!arrived) log.debug('a snapshot did not arrive', { to, index: snapshot.index, why });
      onSent(to, arrived);
    };
    const stream = { head: link.pack(to, [message]), chunks: stores.snapshots.open(snapshot) };
    transport.sendSnapshot(to, stream, controller.signal).then(
      () => done(true),
      (error: Error) => done(false, error.message),
    );
  }

  /** This server leads no more, or is shutting down: nothing more is sent, what is being received is forgotten. */
  stop(): void {
    for (const [to, controller] of this.#sending) {
      this.#options.snapshotter.release(to);
      controller.abort();
    }
    this.#sending.clear();
    this.#receiving?.end();
  }

  /** Resolves when the snapshot is stored, or is not needed. */
  async #receive(from: string, head: Uint8Array, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const { link, committed, snapshotter, stores, onArrived, log } = this.#options;
    const message = link.unpack(from, head)?.messages[0];
    const here = committed();
    if (message?.type !== 'snapshot' || here === null || message.term < here.term) {
      throw new MeshError('E_CONFLICT', 'no snapshot is taken from this server now');
    }
    const meta = message.snapshot;
    if (meta.index > here.index) {
      const mine = new Receiving(message.term);
      const { bytes } = await this.#store(mine, meta, chunks, { snapshotter, stores });
      log.info('received a snapshot', { from, index: meta.index, bytes });
    }
    onArrived(message);
  }

  async #store(
    mine: Receiving,
    meta: SnapshotMeta,
    chunks: AsyncIterable<Uint8Array>,
    { snapshotter, stores }: { snapshotter: Snapshotter; stores: Stores },
  ): Promise<{ bytes: number }> {
    const other = this.#receiving;
    // The old leader's stream may hang for long in a dead link: the new leader's takes its place.
    if (other !== null && other.term >= mine.term && !other.ended) {
      throw new MeshError('E_CONFLICT', 'another snapshot is being received');
    }
    other?.end();
    this.#receiving = mine;
    try {
      await snapshotter.whileIdle(() => stores.snapshots.save(meta, untilEnded(chunks, mine)));
      if (mine.ended) await mine.givenUp;
    } finally {
      if (this.#receiving === mine) this.#receiving = null;
    }
    return { bytes: stores.snapshots.bytes(meta) };
  }
}

/** Passes chunks on until it is given up: also while the next one does not come. */
async function* untilEnded(chunks: AsyncIterable<Uint8Array>, receiving: Receiving): AsyncIterable<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), receiving.givenUp]);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    iterator.return?.().catch(() => {});
  }
}
