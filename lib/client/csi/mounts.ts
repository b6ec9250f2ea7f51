import { mkdir, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CsiError, type CsiVolumeCapability } from '../../plugin/sdk/csi.js';
import { Turns } from '../../plugin/sdk/csi-checks.js';
import { mountAt, unmountAll } from '../../plugin/sdk/mounts.js';
import type { CsiVolumeStats } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import { toVolumeStats } from './answers.js';
import { clearDead } from './dead-mounts.js';
import { type CsiUsage, nodeBase, publishPath, stagingPath } from './paths.js';
import type { CsiPlugins, ReadyPlugin } from './plugins.js';
import { takeAway } from './take-away.js';

const CALL_TIMEOUT_MS = 120_000;
/** Somebody waits for the answer. */
const STATS_TIMEOUT_MS = 5_000;

/** A volume on this node, for one allocation. */
export interface CsiPlace extends CsiUsage {
  allocId: string;
  pluginId: string;
  externalId: string;
}

/** What it takes to mount it. */
export interface CsiMountOrder extends CsiPlace {
  capability: CsiVolumeCapability;
  publishContext: Record<string, string>;
  volumeContext: Record<string, string>;
  secrets: Record<string, string>;
}

export interface CsiMountsOptions {
  csiDir: string;
  plugins: CsiPlugins;
  /** Whether another allocation may have the volume staged in the same way. */
  isSharedWith: (place: CsiPlace) => boolean;
}

/** Stages, publishes, and undoes both; one step at a time for each staging path. Everything may be repeated. */
export class CsiMounts {
  private readonly options: CsiMountsOptions;
  private readonly turns = new Turns();

  constructor(options: CsiMountsOptions) {
    this.options = options;
  }

  /** Where the volume appears on this machine once it is published. */
  targetOf(place: CsiPlace): string {
    return join(nodeBase(this.options.csiDir, place.pluginId), publishPath(place.allocId, place));
  }

  /** Where it is staged, if its plugin stages: what appears comes from there. */
  stagingOf(place: CsiPlace): string {
    return this.paths(place).staging.here;
  }

  /** Makes the volume appear. Throws CsiError or MeshError; CANCELLED when `signal` is aborted: how far it came is not known then. */
  mount(order: CsiMountOrder, signal?: AbortSignal): Promise<void> {
    return this.inTurn(order, async () => {
      const { rpc, facts, baseInside } = await this.options.plugins.find(order.pluginId, 'node');
      const { staging, target } = this.paths(order);
      const options = { timeoutMs: CALL_TIMEOUT_MS, ...(signal ? { signal } : {}) };
      const request = {
        volumeId: order.externalId,
        publishContext: order.publishContext,
        stagingTargetPath: '',
        volumeCapability: order.capability,
        secrets: order.secrets,
        volumeContext: order.volumeContext,
      };
      if (facts.node?.RequiresNodeStageVolume) {
        request.stagingTargetPath = join(baseInside, staging.below);
        await clearDead(staging.here);
        await mkdir(staging.here, { recursive: true, mode: 0o711 });
        await rpc.call('Node.NodeStageVolume', request, options);
      }
      await clearDead(target.here);
      // The target itself is the plugin's to make.
      await mkdir(dirname(target.here), { recursive: true, mode: 0o711 });
      const targetPath = join(baseInside, target.below);
      await rpc.call('Node.NodePublishVolume', { ...request, targetPath, readonly: order.readOnly }, options);
    });
  }

  /**
   * Takes the volume away from the allocation, and from the machine when nobody else here uses it alike; then `done` is
   * called, before anybody else's turn. Throws CsiError or MeshError while something is left.
   */
  unmount(place: CsiPlace, done: () => void): Promise<void> {
    return this.inTurn(place, async () => {
      const plugin = await this.findUnlessGone(place);
      if (plugin) await this.undo(plugin, place);
      await removeEmpty(this.paths(place).target.here, 4);
      done();
    });
  }

  /** Off this machine without the plugin, and in nobody's turn: what it is in the middle of may never end. */
  async takeAway(place: CsiPlace): Promise<void> {
    const { staging, target } = this.paths(place);
    const paths = this.options.isSharedWith(place) ? [target.here] : [target.here, staging.here];
    await takeAway(paths);
    for (const path of paths) await removeEmpty(path, 4);
  }

  /** Lets what is mounted take up the room that the volume has won. Gives its size in bytes. */
  expand(place: CsiPlace, capability: CsiVolumeCapability, range: { min: number; max: number }): Promise<number> {
    return this.inTurn(place, async () => {
      const { rpc, facts, baseInside } = await this.options.plugins.find(place.pluginId, 'node');
      if (!facts.node?.SupportsExpand) return 0;
      const { staging, target } = this.paths(place);
      const answer = await rpc.call(
        'Node.NodeExpandVolume',
        {
          volumeId: place.externalId,
          volumePath: join(baseInside, target.below),
          capacityRange: { requiredBytes: range.min, limitBytes: range.max },
          stagingTargetPath: facts.node.RequiresNodeStageVolume ? join(baseInside, staging.below) : '',
          volumeCapability: capability,
          secrets: {},
        },
        { timeoutMs: CALL_TIMEOUT_MS },
      );
      return answer.capacityBytes;
    });
  }

  /** What the plugin says of a volume that is mounted. Throws E_NOT_SUPPORTED when it says nothing of volumes. */
  async stats(place: CsiPlace): Promise<CsiVolumeStats> {
    const { rpc, facts, baseInside } = await this.options.plugins.find(place.pluginId, 'node');
    if (!facts.node?.SupportsStats)
      throw new MeshError('E_NOT_SUPPORTED', `plugin "${place.pluginId}" tells nothing of how its volumes fare`);
    const { staging, target } = this.paths(place);
    const request = {
      volumeId: place.externalId,
      volumePath: join(baseInside, target.below),
      stagingTargetPath: facts.node.RequiresNodeStageVolume ? join(baseInside, staging.below) : '',
    };
    return toVolumeStats(await rpc.call('Node.NodeGetVolumeStats', request, { timeoutMs: STATS_TIMEOUT_MS }));
  }

  private async undo({ rpc, facts, baseInside }: ReadyPlugin, place: CsiPlace): Promise<void> {
    const { staging, target } = this.paths(place);
    const options = { timeoutMs: CALL_TIMEOUT_MS };
    const volumeId = place.externalId;
    const unpublish = { volumeId, targetPath: join(baseInside, target.below) };
    await unlessAbsent(rpc.call('Node.NodeUnpublishVolume', unpublish, options));
    // A plugin that was killed may have forgotten what it had published: then it says that nothing is there, and leaves it.
    await unmountAll(target.here);
    if (!facts.node?.RequiresNodeStageVolume || this.options.isSharedWith(place)) return;
    const unstage = { volumeId, stagingTargetPath: join(baseInside, staging.below) };
    await unlessAbsent(rpc.call('Node.NodeUnstageVolume', unstage, options));
    if (await mountAt(staging.here))
      throw new MeshError('E_CONFLICT', `${staging.here} is still mounted after the plugin said that it is not`);
    await removeEmpty(staging.here, 4);
  }

  /** Whether something is mounted where the volume appears. */
  async isMounted(place: CsiPlace): Promise<boolean> {
    return (await mountAt(this.targetOf(place))) !== undefined;
  }

  /** Whether nothing of the volume is mounted for the allocation. Of a block device nobody can tell. */
  async isClear(place: CsiPlace): Promise<boolean> {
    const { staging, target } = this.paths(place);
    if (place.attachmentMode === 'block-device' || (await mountAt(target.here))) return false;
    return this.options.isSharedWith(place) || (await mountAt(staging.here)) === undefined;
  }

  /** Null when no process of the plugin is here, and nothing of the volume either (the machine was restarted). */
  private async findUnlessGone(place: CsiPlace): Promise<ReadyPlugin | null> {
    try {
      return await this.options.plugins.find(place.pluginId, 'node');
    } catch (error) {
      const isGone = error instanceof MeshError && error.code === 'E_NOT_FOUND';
      if (isGone && (await this.isClear(place))) return null;
      throw error;
    }
  }

  private paths(place: CsiPlace): Record<'staging' | 'target', { below: string; here: string }> {
    const base = nodeBase(this.options.csiDir, place.pluginId);
    const [staging, target] = [stagingPath(place), publishPath(place.allocId, place)];
    return {
      staging: { below: staging, here: join(base, staging) },
      target: { below: target, here: join(base, target) },
    };
  }

  private inTurn<T>(place: CsiPlace, work: () => Promise<T>): Promise<T> {
    return this.turns.take(`${place.pluginId}\n${stagingPath(place)}`, work);
  }
}

async function unlessAbsent(call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => {
    if (!(error instanceof CsiError && error.code === 'NOT_FOUND')) throw error;
  });
}

/** Removes a directory and those above it that it leaves empty, at most `levels`. Never what holds anything. */
async function removeEmpty(path: string, levels: number): Promise<void> {
  for (let at = path, left = levels; left > 0; at = dirname(at), left--) {
    try {
      await rmdir(at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return;
    }
  }
}
