import { randomBytes } from 'node:crypto';
import type { VolumeArchivePutCommand } from '../../state/volume-commands.js';
import { MeshError } from '../../structs/errors.js';
import { type BackupPlan, DEFAULT_BACKUP_PLAN, type VolumeArchive } from '../../structs/volume-data.js';
import { randomUuid } from '../../util/random.js';
import { decrypt, encrypt, type Keyring } from '../keyring/keyring.js';
import { propose } from '../propose.js';
import type { ServerWorld } from '../world.js';
import { letGo } from './keep.js';

const KEY_BYTES = 32;
/** Between two looks at an archive others may have changed it so often. */
const TRIES_MAX = 8;

export interface ArchivesParts {
  readonly keyring: Keyring;
  readonly ensureKey: () => Promise<void>;
}

/** Whose archive it is, and how the volume can be made again. */
export type ArchiveSubject = Pick<VolumeArchive, 'Namespace' | 'VolumeID' | 'Name' | 'NodeID' | 'Volume' | 'Csi'>;

/** What changes of an archive; null: nothing. */
export type ArchiveChange = (archive: VolumeArchive) => Partial<VolumeArchive> | null;

/** What the encryption of an archive's key is bound to. No variable and no volume has a context of this form. */
export const archiveContext = (id: string): string => `volume-archive\0${id}`;

/** Reads and writes what is known of the copies of volumes. */
export class Archives {
  readonly #world: ServerWorld;
  readonly #parts: ArchivesParts;

  constructor(world: ServerWorld, parts: ArchivesParts) {
    this.#world = world;
    this.#parts = parts;
  }

  /** The archive of a volume; made when there is none. */
  async ensure(volume: ArchiveSubject): Promise<VolumeArchive> {
    const existing = this.#world.store.snapshot().volumeArchiveOf(volume);
    if (existing) return existing;
    const { keyring, ensureKey } = this.#parts;
    await ensureKey();
    const ID = randomUuid(this.#world.random);
    const key = await keyring.active(this.#world.store.snapshot());
    const sealed = encrypt(key, archiveContext(ID), randomBytes(KEY_BYTES).toString('base64'));
    return this.#put({
      ifIndex: 0,
      archive: {
        ID,
        ...volume,
        Plan: DEFAULT_BACKUP_PLAN,
        Key: { KeyID: sealed.keyId, Data: sealed.data },
        Cores: [],
        Snapshots: [],
        Leftovers: [],
        Operation: null,
        LastOperation: null,
        ScheduledTime: 0,
      },
    });
  }

  /** Says what is to be done with a volume's data without being asked, from now on. Gives the id of its archive. */
  async plan(volume: ArchiveSubject, change: (before: BackupPlan) => BackupPlan): Promise<string> {
    const { ID } = await this.ensure(volume);
    await this.update(ID, (archive) => {
      const Plan = change(archive.Plan);
      return { ...letGo({ ...archive, Plan }), Plan, ScheduledTime: this.#world.now() * 1e6 };
    });
    return ID;
  }

  /** Changes an archive as it is when the change is decided upon; undefined when it is there no more, or nothing changes. */
  async update(
    id: string,
    change: ArchiveChange,
    volume: Pick<VolumeArchivePutCommand, 'volume' | 'csi'> = {},
  ): Promise<VolumeArchive | undefined> {
    for (let tries = 1; ; tries++) {
      const archive = this.#world.store.snapshot().volumeArchiveById(id);
      const changed = archive && change(archive);
      if (!archive || !changed) return undefined;
      const { CreateIndex: _, CreateTime: __, ModifyIndex: ifIndex, ModifyTime: ___, ...rest } = archive;
      try {
        return await this.#put({ archive: { ...rest, ...changed }, ifIndex, ...volume });
      } catch (error) {
        const isStale = this.#world.store.snapshot().volumeArchiveById(id)?.ModifyIndex !== ifIndex;
        if (!isStale || tries === TRIES_MAX) throw error;
      }
    }
  }

  async delete(id: string): Promise<void> {
    await propose(this.#world.consensus, { type: 'volume-archive-delete', id });
  }

  /** What its blocks are encrypted with, in base64. */
  async keyOf(archive: VolumeArchive): Promise<string> {
    const state = this.#world.store.snapshot();
    // It may lie under another root key than when the caller read it.
    const { Key } = state.volumeArchiveById(archive.ID) ?? archive;
    return decrypt(await this.#parts.keyring.byId(state, Key.KeyID), archiveContext(archive.ID), Key.Data);
  }

  async #put(command: Omit<VolumeArchivePutCommand, 'type' | 'time'>): Promise<VolumeArchive> {
    const { consensus, now } = this.#world;
    return (await propose(consensus, { type: 'volume-archive-put', time: now(), ...command })).value.archive;
  }
}

/** The operation that is under way refuses another one. */
export function refuseBusy({ Name, Operation }: VolumeArchive): void {
  if (!Operation) return;
  throw new MeshError(
    'E_CONFLICT',
    `a ${Operation.Kind} of volume "${Name}" is under way (${Operation.ID.slice(0, 8)}): wait until it has ended`,
  );
}
