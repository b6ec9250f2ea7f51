import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Turns } from '../../plugin/sdk/csi-checks.js';
import type { MountEntry } from '../../plugin/sdk/mounts.js';
import { MeshError } from '../../structs/errors.js';
import type { HostVolumeInfo } from '../../structs/node.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { backoffMs } from '../../util/backoff.js';
import type { Millis } from '../../util/clock.js';
import type { Log } from '../../util/log.js';
import type { Random } from '../../util/random.js';
import type { ClientConfig } from '../config.js';
import { sleep, type Timers } from '../timers.js';
import { VolumePlaces } from './places.js';
import { findHostVolumePlugin, type HostVolumeOrder } from './plugin.js';

const FILE = 'host-volumes.json';
const PLACES_FILE = 'host-volume-places.json';
/** How often the directories are looked at. */
const LOOK_MS: Millis = 10_000;
/** A disk may come later than the agent when a machine starts; who waits for one looks more often, and not for ever. */
const WAIT_LOOK_MS: Millis = 2_000;
const WAIT_MAX_MS: Millis = 5 * 60_000;
/** A plugin that could not bring a volume back is asked again. */
const RESTORE_RETRY = { baseMs: LOOK_MS, maxMs: 5 * 60_000 };

/** What is kept of a volume that was made or registered through the API. */
interface Kept extends HostVolumeOrder {
  /** '' for one that was only registered. */
  PluginID: string;
}

export interface HostVolumesOptions {
  config: () => ClientConfig;
  timers: Timers;
  random: Random;
  log: Log;
  /** Whether an allocation that lives here uses the directory. */
  isUsed: (path: string) => boolean;
  /** Hears that what the node offers is not what it was. */
  onChange: () => void;
  /** The machine's, unless a test says others. */
  mounts?: () => Promise<readonly MountEntry[]>;
}

/** The host volumes of this node: those of the configuration, and those that were made through the API. */
export class HostVolumes {
  private readonly options: HostVolumesOptions;
  private readonly turns = new Turns();
  private kept = new Map<string, Kept>();
  private readonly places: VolumePlaces;
  /** Paths of volumes that are not there, and why. */
  private gone: ReadonlyMap<string, string> = new Map();
  /** By volume: how often its plugin failed to bring it back, and when it is asked again. */
  private readonly restores = new Map<string, { failures: number; dueMs: Millis }>();
  private saving: Promise<void> = Promise.resolve();

  constructor(options: HostVolumesOptions) {
    this.options = options;
    const { stateDir } = options.config();
    const file = stateDir === null ? null : join(stateDir, PLACES_FILE);
    this.places = new VolumePlaces({
      file,
      timers: options.timers,
      ...(options.mounts ? { mounts: options.mounts } : {}),
    });
  }

  /** What the node offers, by name: a volume whose directory has vanished is not among it. */
  get offered(): Record<string, HostVolumeInfo> {
    const all = this.all();
    return Object.fromEntries(Object.entries(all).filter(([, { Path }]) => !this.gone.has(Path)));
  }

  /** Why a volume is not offered. */
  whyNot(name: string): string {
    const found = this.all()[name];
    if (!found) return `host volume "${name}" is not configured on this node`;
    return `host volume "${name}" is not there: ${this.gone.get(found.Path) ?? 'it came back just now'}`;
  }

  /**
   * Waits a while for the directory of a volume that is not there, or not mounted yet. Null once it is; in the end, or when `signal` is
   * aborted, why it is not. Each new reason is told.
   */
  async waitFor(
    path: string,
    { signal, tell }: { signal: AbortSignal; tell: (why: string) => void },
  ): Promise<string | null> {
    const { timers } = this.options;
    const untilMs = timers.now() + WAIT_MAX_MS;
    let told: string | null = null;
    for (;;) {
      const why = await this.places.problem(path);
      if (why === null) {
        if (told !== null) await this.look();
        return null;
      }
      if (signal.aborted || timers.now() >= untilMs) return why;
      if (why !== told) tell(why);
      told = why;
      await sleep(timers, WAIT_LOOK_MS, signal);
    }
  }

  /** Takes up what was made before, and has plugins make it whole again: what they mount is gone after a reboot. */
  async open(): Promise<void> {
    const { stateDir } = this.options.config();
    const text = stateDir === null ? null : await readFile(join(stateDir, FILE), 'utf8').catch(() => null);
    if (text !== null) {
      try {
        this.kept = new Map((JSON.parse(text) as Kept[]).map((volume) => [volume.ID, volume]));
      } catch {
        this.options.log.error('the list of host volumes is damaged and was passed over', { file: FILE });
      }
    }
    await this.places.open();
    await Promise.all([...this.kept.values()].map((volume) => this.restore(volume)));
    await this.look();
  }

  /** Watches the directories until `signal` is aborted. */
  async watch(signal: AbortSignal): Promise<void> {
    while (await sleep(this.options.timers, LOOK_MS, signal)) {
      for (const volume of this.kept.values()) {
        const isDue = (this.restores.get(volume.ID)?.dueMs ?? Number.POSITIVE_INFINITY) <= this.options.timers.now();
        if (isDue && this.gone.has(volume.HostPath)) await this.restore(volume);
      }
      await this.look();
      const paths = Object.values(this.all()).map(({ Path }) => Path);
      await this.places.keepOnly(new Set(paths)).catch(() => {});
    }
  }

  /** Looks at once: the configuration has changed. */
  async look(): Promise<void> {
    const { log, onChange } = this.options;
    const paths = Object.values(this.all()).map(({ Path }) => Path);
    const looked = await Promise.all(paths.map(async (path) => [path, await this.places.problem(path)] as const));
    const gone = new Map(looked.flatMap(([path, why]) => (why === null ? [] : [[path, why]])));
    for (const [path, why] of gone)
      if (this.gone.get(path) !== why) log.error('a host volume is not there, and not offered', { path, why });
    for (const path of this.gone.keys()) if (!gone.has(path)) log.info('a host volume is there again', { path });
    const changed = !isDeepStrictEqual(gone, this.gone);
    this.gone = gone;
    if (changed) onChange();
  }

  /** What servers ask of this node. */
  handlers(): RpcHandlers {
    return {
      'ClientHostVolume.Create': (args) =>
        this.turns.take(args.ID, async () => {
          this.refuseName(args.Name, args.ID);
          const order: HostVolumeOrder = {
            ...args,
            HostPath: this.kept.get(args.ID)?.HostPath ?? '',
            CapacityMinBytes: args.RequestedCapacityMinBytes,
            CapacityMaxBytes: args.RequestedCapacityMaxBytes,
          };
          const { path, bytes } = await (await this.plugin(args.PluginID)).create(order);
          await this.adopt({ ...order, HostPath: path }, args.PluginID);
          return { HostPath: path, CapacityBytes: bytes };
        }),
      'ClientHostVolume.Register': (args) =>
        this.turns.take(args.ID, async () => {
          this.refuseName(args.Name, args.ID);
          this.places.forget(args.HostPath);
          const why = await this.places.problem(args.HostPath);
          if (why !== null)
            throw new MeshError('E_NOT_FOUND', `host path "${args.HostPath}" is no directory of this node: ${why}`);
          const sizes = { CapacityMinBytes: 0, CapacityMaxBytes: 0 };
          await this.adopt({ ...args, ...sizes, NodePool: '' }, '');
          return {};
        }),
      'ClientHostVolume.Delete': (args) =>
        this.turns.take(args.ID, async () => {
          const known = this.kept.get(args.ID);
          if (!known) return {};
          if (this.isUsed(known.HostPath))
            throw new MeshError('E_CONFLICT', `an allocation on this node still uses host volume "${known.Name}"`);
          await this.forget(args.ID, { remove: args.Force !== true });
          return {};
        }),
    };
  }

  /** The directory of a volume by its id, or of one of the configuration by its name. */
  pathOf({ ID, Name }: { ID: string; Name: string }): string | undefined {
    const found = ID === '' ? this.options.config().hostVolumes[Name] : undefined;
    return found ? found.Path : this.kept.get(ID)?.HostPath;
  }

  /** The directories in which volumes lie. */
  get folders(): string[] {
    const paths = Object.values(this.all()).map(({ Path }) => dirname(Path));
    return [...new Set([...paths, this.options.config().hostVolumesDir])];
  }

  /** Whether an allocation that lives here uses the directory. */
  isUsed(path: string): boolean {
    return this.options.isUsed(path);
  }

  /** Shows a volume that is there among those of the node. */
  adopt(volume: HostVolumeOrder, pluginId: string): Promise<void> {
    return this.keep(keptOf(volume, pluginId));
  }

  /** Shows a volume no more; with `remove` its plugin removes it. Unknown ones are passed over. */
  async forget(id: string, { remove }: { remove: boolean }): Promise<void> {
    const known = this.kept.get(id);
    if (!known) return;
    if (remove && known.PluginID !== '') await (await this.plugin(known.PluginID)).remove(known);
    this.kept.delete(id);
    await this.save();
    this.options.onChange();
  }

  private async restore(volume: Kept): Promise<void> {
    // A directory that mkdir made and that is gone must not come back empty: whoever used it would begin anew without a word.
    if (volume.PluginID === '' || volume.PluginID === 'mkdir') return;
    try {
      const { path } = await (await this.plugin(volume.PluginID)).create(volume);
      this.restores.delete(volume.ID);
      if (path !== volume.HostPath) await this.keep({ ...volume, HostPath: path });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.options.log.error('a host volume could not be brought back', { volume: volume.Name, why });
      const failures = (this.restores.get(volume.ID)?.failures ?? 0) + 1;
      const pauseMs = backoffMs({ attempt: failures - 1, ...RESTORE_RETRY, random: this.options.random });
      this.restores.set(volume.ID, { failures, dueMs: this.options.timers.now() + pauseMs });
    }
  }

  private all(): Record<string, HostVolumeInfo> {
    const made = [...this.kept.values()].map(({ ID, Name, HostPath }): [string, HostVolumeInfo] => [
      Name,
      { ID, Name, Path: HostPath, ReadOnly: false },
    ]);
    // The configuration goes first: what it names has always been meant by that name.
    return { ...Object.fromEntries(made), ...this.options.config().hostVolumes };
  }

  /** Who makes volumes. Throws E_NOT_FOUND. */
  plugin(id: string): ReturnType<typeof findHostVolumePlugin> {
    const { hostVolumesDir, hostVolumePluginDir } = this.options.config();
    return findHostVolumePlugin(id, { volumesDir: hostVolumesDir, pluginDir: hostVolumePluginDir });
  }

  /** Throws E_BAD_REQUEST when another volume of the node has this name. */
  refuseName(name: string, id: string): void {
    const same = this.all()[name];
    if (!same || same.ID === id) return;
    const who = same.ID === '' ? 'in its configuration' : `(${same.ID})`;
    throw new MeshError('E_BAD_REQUEST', `this node has a host volume named "${name}" already ${who}`);
  }

  private async keep(volume: Kept): Promise<void> {
    this.kept.set(volume.ID, volume);
    await this.save();
    await this.look();
    this.options.onChange();
  }

  /** Before anybody is told: a volume that is forgotten here would never be offered again. */
  private async save(): Promise<void> {
    const { stateDir } = this.options.config();
    if (stateDir === null) return;
    const text = JSON.stringify([...this.kept.values()]);
    const path = join(stateDir, FILE);
    const write = async (): Promise<void> => {
      await mkdir(stateDir, { recursive: true });
      await writeFile(`${path}.tmp`, text, { mode: 0o600, flush: true });
      await rename(`${path}.tmp`, path);
    };
    this.saving = this.saving.then(write, write);
    await this.saving.catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new MeshError('E_STORAGE', `the list of host volumes cannot be written: ${why}`);
    });
  }
}

function keptOf(order: HostVolumeOrder, PluginID: string): Kept {
  const { ID, Name, Namespace, NodeID, NodePool, Parameters, HostPath, CapacityMinBytes, CapacityMaxBytes } = order;
  return { ID, Name, Namespace, NodeID, NodePool, Parameters, HostPath, CapacityMinBytes, CapacityMaxBytes, PluginID };
}
