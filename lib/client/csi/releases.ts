import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { backoffMs } from '../../util/backoff.js';
import type { Log } from '../../util/log.js';
import type { Random } from '../../util/random.js';
import { sleep, type Timers } from '../timers.js';
import type { CsiRecord } from './record.js';

const FILE = 'releases.json';
const RETRY = { baseMs: 1_000, maxMs: 60_000 };

/** A volume of an allocation that is forgotten here, and that is still to be released. */
export interface OrphanedRecord {
  allocId: string;
  record: CsiRecord;
}

export interface ReleasesOptions {
  /** Where what outlives its allocation is kept; null = nowhere. */
  dir: string | null;
  timers: Timers;
  random: Random;
  log: Log;
  /** Unmounts and tells the servers; throws while that cannot be done. */
  release: (orphan: OrphanedRecord) => Promise<void>;
}

/** Goes on releasing what could not be released in time, until it is; over restarts of the agent too. */
export class Releases {
  private readonly options: ReleasesOptions;
  private readonly stopping = new AbortController();
  private saving: Promise<void> = Promise.resolve();
  private orphans: OrphanedRecord[] = [];

  constructor(options: ReleasesOptions) {
    this.options = options;
  }

  /** Aborted when the agent ends. */
  get ending(): AbortSignal {
    return this.stopping.signal;
  }

  get all(): readonly OrphanedRecord[] {
    return this.orphans;
  }

  /** Takes up what an earlier agent left. */
  async open(): Promise<void> {
    const { dir, log } = this.options;
    if (dir === null) return;
    const text = await readFile(join(dir, FILE), 'utf8').catch(() => '[]');
    try {
      for (const orphan of JSON.parse(text) as OrphanedRecord[]) this.follow(orphan);
    } catch {
      log.error('the list of volumes to be released is damaged and was passed over', { file: join(dir, FILE) });
    }
  }

  /** The allocation is about to be forgotten. Settles when the list is on disk. */
  async adopt(orphan: OrphanedRecord): Promise<void> {
    this.follow(orphan);
    await this.save();
  }

  close(): void {
    this.stopping.abort();
  }

  private follow(orphan: OrphanedRecord): void {
    this.orphans.push(orphan);
    void this.pursue(orphan);
  }

  private async pursue(orphan: OrphanedRecord): Promise<void> {
    const { timers, random, log, release } = this.options;
    const { signal } = this.stopping;
    const fields = { volume: orphan.record.volumeId, alloc: orphan.allocId };
    for (let attempt = 0; ; attempt++) {
      await sleep(timers, attempt === 0 ? 0 : backoffMs({ attempt, ...RETRY, random }), signal);
      if (signal.aborted) return;
      try {
        await release(orphan);
        break;
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        log.warn('volume is not released yet', { ...fields, why });
      }
    }
    this.orphans = this.orphans.filter((other) => other !== orphan);
    await this.save();
    log.info('volume released', fields);
  }

  /** The list is written after the other: the newest wins. */
  private async save(): Promise<void> {
    const { dir, log } = this.options;
    if (dir === null) return;
    const text = JSON.stringify(this.orphans);
    this.saving = this.saving.then(async () => {
      const path = join(dir, FILE);
      try {
        await mkdir(dir, { recursive: true, mode: 0o711 });
        await writeFile(`${path}.tmp`, text, { mode: 0o600 });
        await rename(`${path}.tmp`, path);
      } catch (error) {
        log.error('the list of volumes to be released is not on disk', { why: (error as Error).message });
      }
    });
    await this.saving;
  }
}
