import type { ClientDb } from '../../storage/client-db.js';
import { MeshError } from '../../structs/errors.js';
import { groupOf } from '../../structs/group-of.js';
import type { Node } from '../../structs/node.js';
import type { RpcMethods } from '../../structs/rpc.js';
import type { RpcCaller, RpcHandlers } from '../../transport/rpc.js';
import type { Millis } from '../../util/clock.js';
import type { Log } from '../../util/log.js';
import type { Random } from '../../util/random.js';
import { type TimelessEvent, taskEvents } from '../task-events.js';
import { sleep, type Timers } from '../timers.js';
import { toCsiCapability } from './capability.js';
import { controllerHandlers } from './controller-handlers.js';
import { toMeshError } from './errors.js';
import { CsiMounts, type CsiPlace } from './mounts.js';
import { nodeBase, stagingPath } from './paths.js';
import { PluginBases } from './plugin-bases.js';
import { CsiPlugins } from './plugins.js';
import { type CsiRecord, mayBeMounted, recordsOf } from './record.js';
import { type OrphanedRecord, Releases } from './releases.js';

export interface ClientCsiOptions {
  csiDir: string;
  /** False: nothing outlives the agent. */
  isLasting: boolean;
  /** Plugins that run outside, by id. */
  outside: Readonly<Record<string, { socket: string; type: 'controller' | 'node' | 'monolith' }>>;
  db: ClientDb;
  rpc: RpcCaller;
  node: () => Node;
  /** Whether a task of the allocation runs, or may begin to. */
  isRunning: (allocId: string) => boolean;
  /** Ends an allocation that is not ending yet, and tells it why. */
  end: (allocId: string, event: TimelessEvent) => void;
  timers: Timers;
  random: Random;
  log: Log;
  /** Hears that a plugin came, went, or turned. */
  onChange: () => void;
}

const UNPUBLISH_TIMEOUT_MS = 20_000;
/** Whoever asks by force waits a minute for the answer: so long for tasks to end, then so long for the plugin. */
const TASKS_END_MS: Millis = 40_000;
const PLUGIN_PATIENCE_MS: Millis = 5_000;
const LOOK_MS: Millis = 100;

/** All of CSI on this node: its plugins, what is mounted through them, and what servers ask about both. */
export class ClientCsi {
  readonly csiDir: string;
  readonly plugins: CsiPlugins;
  readonly bases = new PluginBases();
  readonly mounts: CsiMounts;
  readonly releases: Releases;
  private readonly options: ClientCsiOptions;

  constructor(options: ClientCsiOptions) {
    const { csiDir, timers, random, log } = options;
    this.options = options;
    this.csiDir = csiDir;
    this.plugins = new CsiPlugins({ timers, log, onChange: options.onChange });
    const isSharedWith = (place: CsiPlace): boolean => this.isSharedWith(place);
    this.mounts = new CsiMounts({ csiDir, plugins: this.plugins, isSharedWith });
    this.releases = new Releases({
      dir: options.isLasting ? csiDir : null,
      timers,
      random,
      log,
      release: (orphan) => this.releaseOrphan(orphan),
    });
  }

  /** Meets the plugins outside, and goes on with what an earlier agent could not release. */
  async open(): Promise<void> {
    for (const [pluginId, { socket, type }] of Object.entries(this.options.outside)) {
      const baseInside = nodeBase(this.csiDir, pluginId);
      this.plugins.open(`outside/${pluginId}`, { pluginId, type, allocId: '', socket, baseInside });
    }
    await this.releases.open();
  }

  close(): void {
    this.releases.close();
    this.plugins.closeAll();
  }

  /** Takes a volume away from an allocation: `put` keeps each step before and after it. Throws while it is not done. */
  async unmount(allocId: string, record: CsiRecord, put: (record: CsiRecord) => void): Promise<void> {
    if (!mayBeMounted(record)) return;
    const unmounting: CsiRecord = { ...record, step: 'unmounting' };
    put(unmounting);
    await this.mounts.unmount({ ...record, allocId }, () => put({ ...unmounting, step: 'unmounted' }));
  }

  /** Tells the servers that the node no longer uses the volume. */
  async unpublish(allocId: string, record: CsiRecord): Promise<void> {
    const { ID: NodeID, SecretID } = this.options.node();
    await this.options.rpc.call(
      'CSIVolume.Unpublish',
      { NodeID, SecretID, Namespace: record.namespace, VolumeID: record.volumeId, AllocationID: allocId },
      { timeoutMs: UNPUBLISH_TIMEOUT_MS },
    );
  }

  /** What servers ask of this node. */
  handlers(): RpcHandlers {
    return {
      ...controllerHandlers(this.plugins),
      'ClientCSI.NodeDetach': async (args) => {
        const known = this.find(args.AllocID, args);
        if (known && args.Fence < known.fence) {
          const why = `an order of claim ${args.Fence} came after one of ${known.fence}`;
          throw new MeshError('E_CONFLICT', `volume "${args.VolumeID}" is not detached: ${why}`);
        }
        if (args.ForcedReason) return this.detachByForce(args, args.ForcedReason);
        if (this.options.isRunning(args.AllocID))
          throw new MeshError('E_CONFLICT', `a task of allocation ${args.AllocID} still runs on this node`);
        // Released long ago, or never mounted.
        if (!known && (await this.mounts.isClear(placeOf(args)))) return {};
        // Its own clean-up will do it, and tell; here it is only hurried.
        await this.mounts
          .unmount(placeOf(args), () => {})
          .catch((error: unknown) => {
            throw toMeshError(error);
          });
        return {};
      },
      'ClientCSI.NodeStats': async (args) => {
        try {
          return await this.mounts.stats(placeOf(args));
        } catch (error) {
          throw toMeshError(error);
        }
      },
      'ClientCSI.NodeExpand': async (args) => {
        try {
          const range = { min: args.CapacityMin, max: args.CapacityMax };
          return { CapacityBytes: await this.mounts.expand(placeOf(args), toCsiCapability(args, null), range) };
        } catch (error) {
          throw toMeshError(error);
        }
      },
    };
  }

  /** Ends what uses the volume, and takes it away even if its plugin does not answer; its own clean-up goes on behind. */
  private async detachByForce(args: RpcMethods['ClientCSI.NodeDetach']['args'], reason: string): Promise<object> {
    const { timers, isRunning, end, log } = this.options;
    const { AllocID, VolumeID } = args;
    const untilMs = timers.now() + TASKS_END_MS;
    if (isRunning(AllocID)) end(AllocID, taskEvents.volumeTaken(VolumeID, reason));
    while (isRunning(AllocID)) {
      if (timers.now() >= untilMs)
        throw new MeshError('E_CONFLICT', `the tasks of allocation ${AllocID} were told to end, and have not yet`);
      await sleep(timers, LOOK_MS);
    }
    const place = placeOf(args);
    const orderly = this.mounts
      .unmount(place, () => {})
      .then(
        () => '',
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
    const late = sleep(timers, PLUGIN_PATIENCE_MS).then(() => 'its plugin does not answer');
    const why = await Promise.race([orderly, late]);
    if (why === '') return {};
    log.warn('a volume is taken away without its plugin', { volume: VolumeID, alloc: AllocID, why });
    await this.mounts.takeAway(place);
    await this.bases.letGo(nodeBase(this.csiDir, place.pluginId), () => this.isOnNode(place.pluginId));
    return {};
  }

  /** Whether the plugin runs outside, or a task here is, or will be, it; `except` = but for this one. */
  isOnNode(pluginId: string, except?: { allocId: string; task: string }): boolean {
    if (this.options.outside[pluginId]) return true;
    return [...this.options.db.allocs.values()].some(({ alloc, tasks }) => {
      const group = groupOf(alloc.Job, alloc.TaskGroup);
      return (group?.Tasks ?? []).some(({ Name, CSIPluginConfig }) => {
        if (CSIPluginConfig?.ID !== pluginId) return false;
        if (alloc.ID === except?.allocId && Name === except.task) return false;
        return tasks[Name]?.state.State !== 'dead';
      });
    });
  }

  private find(allocId: string, args: { Namespace: string; VolumeID: string }): CsiRecord | undefined {
    return Object.values(recordsOf(this.options.db, allocId)).find(
      ({ namespace, volumeId }) => namespace === args.Namespace && volumeId === args.VolumeID,
    );
  }

  private isSharedWith(place: CsiPlace): boolean {
    const mine = stagingPath(place);
    const isSame = (allocId: string, record: CsiRecord): boolean =>
      allocId !== place.allocId &&
      mayBeMounted(record) &&
      record.pluginId === place.pluginId &&
      stagingPath(record) === mine;
    const { db } = this.options;
    return (
      [...db.allocs.keys()].some((id) => Object.values(recordsOf(db, id)).some((record) => isSame(id, record))) ||
      this.releases.all.some(({ allocId, record }) => isSame(allocId, record))
    );
  }

  private async releaseOrphan(orphan: OrphanedRecord): Promise<void> {
    await this.unmount(orphan.allocId, orphan.record, (record) => {
      orphan.record = record;
    });
    await this.unpublish(orphan.allocId, orphan.record);
  }
}

/** As a server names it. */
function placeOf(args: {
  AllocID: string;
  PluginID: string;
  ExternalID: string;
  Namespace: string;
  VolumeID: string;
  ReadOnly: boolean;
  AccessMode: CsiPlace['accessMode'];
  AttachmentMode: CsiPlace['attachmentMode'];
}): CsiPlace {
  return {
    allocId: args.AllocID,
    pluginId: args.PluginID,
    externalId: args.ExternalID,
    namespace: args.Namespace,
    volumeId: args.VolumeID,
    readOnly: args.ReadOnly,
    accessMode: args.AccessMode,
    attachmentMode: args.AttachmentMode,
  };
}
