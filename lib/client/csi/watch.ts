import type { ClientDb } from '../../storage/client-db.js';
import type { CsiVolumeStats } from '../../structs/csi.js';
import type { Millis } from '../../util/clock.js';
import { sleep, type Timers } from '../timers.js';
import type { CsiMounts } from './mounts.js';
import { recordsOf } from './record.js';

const LOOK_MS: Millis = 60_000;
/** After a start plugins have to be met first. */
const FIRST_LOOK_MS: Millis = 10_000;

/** A volume that is in use here, and how it fared when its plugin was asked last. */
export interface WatchedVolume extends CsiVolumeStats {
  allocId: string;
  namespace: string;
  volumeId: string;
}

export interface VolumeWatchOptions {
  db: Pick<ClientDb, 'allocs'>;
  mounts: Pick<CsiMounts, 'stats'>;
  timers: Timers;
  /** Hears that a volume of an allocation is not well, or well again. */
  tell: (allocId: string, message: string) => void;
}

/** Asks the plugins again and again how the volumes fare that are in use here. One that does not answer says nothing new. */
export class VolumeWatch {
  private readonly options: VolumeWatchOptions;
  private seen = new Map<string, WatchedVolume>();

  constructor(options: VolumeWatchOptions) {
    this.options = options;
  }

  /** As they were told last. */
  get volumes(): readonly WatchedVolume[] {
    return [...this.seen.values()];
  }

  /** Runs until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { timers } = this.options;
    for (let ms = FIRST_LOOK_MS; await sleep(timers, ms, signal); ms = LOOK_MS) await this.look();
  }

  private async look(): Promise<void> {
    const { db, mounts } = this.options;
    const now = new Map<string, WatchedVolume>();
    for (const allocId of db.allocs.keys()) {
      for (const [name, record] of Object.entries(recordsOf(db, allocId))) {
        if (record.step !== 'mounted') continue;
        const key = `${allocId} ${name}`;
        const before = this.seen.get(key);
        const stats = await mounts.stats({ ...record, allocId }).catch(() => null);
        const { namespace, volumeId } = record;
        const found = stats ? { ...stats, allocId, namespace, volumeId } : before;
        if (!found) continue;
        now.set(key, found);
        this.tellOf(found, before);
      }
    }
    this.seen = now;
  }

  private tellOf({ allocId, volumeId, Condition }: WatchedVolume, before: WatchedVolume | undefined): void {
    const was = before?.Condition?.Abnormal === true;
    const is = Condition?.Abnormal === true;
    if (is && !was) this.options.tell(allocId, `Volume "${volumeId}" is not well: ${Condition.Message || 'no reason'}`);
    if (was && !is) this.options.tell(allocId, `Volume "${volumeId}" is well again`);
  }
}
