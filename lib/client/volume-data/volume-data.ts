import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { Turns } from '../../plugin/sdk/csi-checks.js';
import { type Core, type Cores, openCores } from '../../storage/cores.js';
import { MeshError } from '../../structs/errors.js';
import type { BlockHolder, BlockRanges, VolumeOrder, VolumeWork } from '../../structs/rpc-volume-data.js';
import { noProgress, type VolumeProgress, type WrittenSnapshot } from '../../structs/volume-data.js';
import { byteStream } from '../../transport/byte-stream.js';
import { isCoreToken } from '../../transport/core-token.js';
import type { RpcCaller, RpcHandlers, RpcStreamHandlers } from '../../transport/rpc.js';
import { assertNever } from '../../util/assert.js';
import type { Millis } from '../../util/clock.js';
import type { Log } from '../../util/log.js';
import type { CsiMounts } from '../csi/mounts.js';
import type { HostVolumes } from '../host-volumes/host-volumes.js';
import { ArchiveCipher } from './archive-cipher.js';
import { ArchiveCore, type ArchivePlace, clearOthers, dropAllRecords, dropRecord, FREE_BYTES } from './archive-core.js';
import { backUp } from './backup.js';
import { BlockSource } from './block-source.js';
import { blocksHere, copyBlocks, patient } from './core-copy.js';
import { CsiData } from './csi-data.js';
import { FinishedRestores } from './finished-restores.js';
import { connectHolders } from './holders.js';
import { neededBlocks } from './prune.js';
import { restoreTree } from './restore-tree.js';
import { restoreVolume, retireVolume } from './restore-volume.js';
import { sweepSwaps } from './swap.js';

/** How many orders that have ended are remembered: whoever asks again hears the same. */
const ENDED_MAX = 200;
/** About what a block of chunks has. */
const BLOCK_BYTES = 300 * 1024;
/** So much that was let go is not worth it to write a store anew. */
const GIVE_BACK_BYTES_MIN = 4 * 1024 * 1024;
const GIVE_BACK_PART = 0.2;

type Order<K extends VolumeOrder['Kind']> = Extract<VolumeOrder, { Kind: K }>;

export interface VolumeDataOptions {
  /** Of the agent alone: what is known of the archives, and their cores. */
  readonly folder: string;
  readonly volumes: HostVolumes;
  readonly mounts: CsiMounts;
  readonly rpc: RpcCaller;
  readonly nodeId: string;
  /** What only this node and the servers know. */
  readonly secretId: string;
  readonly now: () => Millis;
  readonly log: Log;
}

/** What servers have this node do with the data of volumes: copy it into hypercores, hold copies, make volumes again of them. */
export class VolumeData {
  readonly #options: VolumeDataOptions;
  readonly #works = new Map<string, VolumeWork>();
  readonly #turns = new Turns();
  readonly #ending = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #finished: FinishedRestores;
  readonly #csi: CsiData;
  #setOpened = (): void => {};
  /** Servers may ask before the agent knows its own volumes again: they wait. */
  readonly #opened = new Promise<void>((resolve) => {
    this.#setOpened = resolve;
  });
  #cores: Promise<Cores> | null = null;
  #clearedBytes = 0;

  constructor(options: VolumeDataOptions) {
    this.#options = options;
    this.#csi = new CsiData(options.mounts);
    this.#finished = new FinishedRestores(join(options.folder, 'restored.json'));
  }

  /** Removes what restores have left that were under way when the agent ended: whoever wants them begins anew. */
  async open(): Promise<void> {
    await this.#finished.open();
    const isWanted = (id: string): boolean => this.#works.has(id);
    for (const folder of this.#options.volumes.folders) await sweepSwaps(folder, isWanted, this.#left);
    this.#setOpened();
  }

  readonly #left = (path: string, { message: why }: Error): void => {
    this.#options.log.warn('what a restore has replaced cannot be removed: remove it by hand', { path, why });
  };

  handlers(): RpcHandlers {
    return { 'ClientVolumeData.Work': async ({ Order }) => this.#work(Order) };
  }

  streamHandlers(): RpcStreamHandlers {
    return {
      'VolumeData.Replicate': ({ Core, Asker, Token }, messages) => {
        this.#replicate({ Core, Asker, Token }, messages).catch((error: Error) => messages.destroy(error));
      },
    };
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#setOpened();
    await Promise.allSettled(this.#running);
    const cores = await this.#cores?.catch(() => null);
    await cores?.close();
  }

  async #replicate(
    { Core, Asker, Token }: { Core: string; Asker: string; Token: string },
    messages: Duplex,
  ): Promise<void> {
    if (!isCoreToken(Token, this.#options.secretId, Core, Asker)) {
      throw new MeshError('E_PERMISSION_DENIED', 'the token does not open this core');
    }
    const cores = await this.#openCores();
    // A core that nobody has open is closed after a while, also while others copy it, who then wait for its blocks in vain.
    const core = await cores.other(Buffer.from(Core, 'hex'), null);
    const close = (): void => void core.close().catch(() => {});
    if (messages.destroyed) {
      close();
      return;
    }
    messages.once('close', close);
    core.replicate(byteStream(messages), 'answers');
  }

  async #work(order: VolumeOrder): Promise<VolumeWork> {
    await this.#opened;
    const known = this.#works.get(order.ID);
    if (known) return known;
    const before = order.Kind === 'restore' ? this.#finished.get(order.ID) : undefined;
    if (before) return { State: 'done', ...before };
    if (this.#ending.signal.aborted) throw new MeshError('E_TIMEOUT', 'this agent shuts down');
    const progress = noProgress();
    this.#works.set(order.ID, { State: 'running', Progress: progress });
    const running = this.#turns
      .take(turnOf(order), () => this.#do(order, progress))
      .then(
        (result) => this.#end(order, { State: 'done', ...result }),
        (error: unknown) => {
          // Asked again, the next agent begins it anew.
          if (!this.#ending.signal.aborted) this.#end(order, this.#failed(order, error));
        },
      )
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
    return { State: 'running', Progress: progress };
  }

  #end(order: VolumeOrder, work: VolumeWork): void {
    this.#works.delete(order.ID);
    this.#works.set(order.ID, work);
    const ended = [...this.#works].filter(([, { State }]) => State !== 'running');
    for (const [id] of ended.slice(0, -ENDED_MAX)) this.#works.delete(id);
  }

  #failed({ Kind, ArchiveID }: VolumeOrder, error: unknown): VolumeWork {
    const message = error instanceof Error ? error.message : String(error);
    this.#options.log.warn('work on the data of a volume has failed', { what: Kind, archive: ArchiveID, why: message });
    return { State: 'failed', Code: error instanceof MeshError ? error.code : 'E_INTERNAL', Message: message };
  }

  async #do(order: VolumeOrder, progress: VolumeProgress): Promise<object> {
    switch (order.Kind) {
      case 'backup':
        return { Snapshot: await this.#backUp(order, progress) };
      case 'restore':
        return this.#restore(order, progress);
      case 'retire':
        await retireVolume(this.#options.volumes, {
          id: order.ID,
          volumeId: order.VolumeID,
          path: order.HostPath,
          keep: order.Keep,
        });
        return {};
      case 'unmount':
        await this.#csi.unmount(order.Mount);
        return {};
      case 'list':
        return { Ranges: await this.#withCore(order.Core, [], (core) => blocksHere(core, order.Length)) };
      case 'hold':
        await this.#hold(order, progress);
        return {};
      case 'prune':
        return { Ranges: await this.#prune(order) };
      case 'drop':
        await this.#drop(order);
        return {};
      default:
        return assertNever(order);
    }
  }

  async #backUp(order: Order<'backup'>, progress: VolumeProgress): Promise<WrittenSnapshot> {
    const { Name, Csi } = order;
    if (Csi) return this.#csi.within(Csi, (path) => this.#backUpTree(order, path, progress));
    const path = this.#options.volumes.offered[Name]?.Path;
    if (path === undefined) throw new MeshError('E_NOT_FOUND', this.#options.volumes.whyNot(Name));
    return this.#backUpTree(order, path, progress);
  }

  async #backUpTree({ ArchiveID, Key, Previous }: Order<'backup'>, path: string, progress: VolumeProgress) {
    return backUp({
      place: await this.#place(),
      cipher: cipherOf(ArchiveID, Key),
      archiveId: ArchiveID,
      path,
      previous: Previous,
      progress,
      signal: this.#ending.signal,
      nowNs: BigInt(Math.round(this.#options.now())) * 1_000_000n,
    });
  }

  async #restore(order: Order<'restore'>, progress: VolumeProgress) {
    const { ID, ArchiveID, Key, Snapshot, Volume, Holders, Csi } = order;
    const cipher = cipherOf(ArchiveID, Key);
    const { signal } = this.#ending;
    const write = (into: string): Promise<void> =>
      this.#withCore(Snapshot.Core, Holders, (core) =>
        restoreTree({
          source: new BlockSource(patient(core, signal), cipher),
          snapshot: Snapshot,
          into,
          // Of a volume that is a disk of its own nobody else needs anything.
          spareBytes: Csi ? 0 : FREE_BYTES,
          progress,
          signal,
          warn: (what) => this.#options.log.warn('a volume is restored', { volume: Volume.Name, but: what }),
        }),
      );
    if (Csi) {
      await this.#csi.fill(Csi, write);
      const filled = { HostPath: '', CapacityBytes: 0 };
      await this.#finished.put(ID, filled);
      return filled;
    }
    const { volumes, nodeId } = this.#options;
    const made = await restoreVolume({ id: ID, volume: Volume, nodeId, volumes, write, left: this.#left });
    await this.#finished.put(ID, made);
    return made;
  }

  async #hold({ Core, Holders, Ranges }: Order<'hold'>, progress: VolumeProgress): Promise<void> {
    const { signal } = this.#ending;
    const { folder } = this.#options;
    const copy = (core: Core): Promise<number> => copyBlocks(core, Ranges, { folder, progress, signal });
    const cleared = await this.#withCore(Core, Holders, copy);
    await (await this.#openCores()).sync();
    await this.#cleared(cleared);
  }

  async #prune({ ArchiveID, Key, Core, Length, Snapshots }: Order<'prune'>): Promise<BlockRanges> {
    const place = await this.#place();
    const known = { archiveId: ArchiveID, key: Core, length: Length };
    const core = await ArchiveCore.existing(place, cipherOf(ArchiveID, Key), known);
    if (!core) throw new MeshError('E_NOT_FOUND', `core ${Core.slice(0, 8)} is not written on this node`);
    try {
      const ranges = await neededBlocks(core.source, Snapshots, Length);
      await this.#cleared(await core.want(ranges, Length));
      return ranges.map(([start, end]) => [start, end]);
    } finally {
      await core.close();
    }
  }

  async #drop({ ArchiveID, Core, Length }: Order<'drop'>): Promise<void> {
    await dropRecord(await this.#place(), { archiveId: ArchiveID, key: Core, length: Length });
    await this.#cleared(await this.#withCore(Core, [], (core) => clearOthers(core, [], core.length)));
  }

  /** What was let go lies there until the store is written anew without it, which is worth it when it is a good part. */
  async #cleared(blocks: number): Promise<void> {
    this.#clearedBytes += blocks * BLOCK_BYTES;
    const cores = await this.#openCores();
    if (this.#clearedBytes < GIVE_BACK_BYTES_MIN || this.#clearedBytes < (await cores.size()) * GIVE_BACK_PART) return;
    this.#clearedBytes = 0;
    await cores.compact();
  }

  /** Opens a core for reading, with connections to those who have blocks of it. */
  async #withCore<T>(key: string, holders: readonly BlockHolder[], use: (core: Core) => Promise<T>): Promise<T> {
    const { rpc, nodeId, log } = this.#options;
    const cores = await this.#openCores();
    const core = await cores.other(Buffer.from(key, 'hex'), null);
    const connected = new AbortController();
    const end = (): void => connected.abort();
    this.#ending.signal.addEventListener('abort', end, { once: true });
    connectHolders({ core, rpc, nodeId, holders, log }, connected.signal);
    try {
      return await use(core);
    } finally {
      this.#ending.signal.removeEventListener('abort', end);
      end();
      await core.close();
    }
  }

  async #place(): Promise<ArchivePlace> {
    const { folder } = this.#options;
    return { cores: await this.#openCores(), folder, coresFolder: folder };
  }

  #openCores(): Promise<Cores> {
    const { folder, log } = this.#options;
    const open = async (): Promise<Cores> => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return openCores(join(folder, 'cores'), { log, mustLast: true, onCopy: () => dropAllRecords(folder) });
    };
    this.#cores ??= open().catch((error: unknown) => {
      this.#cores = null;
      throw error;
    });
    return this.#cores;
  }
}

/** What is done with one archive is done one after the other, but copies are not waited for. */
const turnOf = ({ ArchiveID, Kind }: VolumeOrder): string => `${ArchiveID} ${Kind === 'hold' ? Kind : ''}`;

function cipherOf(archiveId: string, key: string): ArchiveCipher {
  return new ArchiveCipher(archiveId, Buffer.from(key, 'base64'));
}
