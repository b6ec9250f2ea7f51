import { isClientTerminal } from '../../scheduler/usage.js';
import type { CsiVolumeSpec, StoredCsiVolume } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import { askPlugin } from '../csi/ask-plugin.js';
import { claimOnNode } from '../csi/claim-on-node.js';
import { openVolume } from '../keyring/volumes.js';
import { propose } from '../propose.js';
import { turnKey } from '../volume-watcher.js';
import type { EndpointContext } from './context.js';

/** A node has a file system to grow. */
const NODE_EXPAND_MS = 50_000;

type Wanted = Pick<CsiVolumeSpec, 'RequestedCapacityMin' | 'RequestedCapacityMax' | 'Secrets'>;

/** Grows a volume: at its storage, then on every node that uses it, so that what runs there sees the room at once. */
export async function expandVolume(
  context: EndpointContext,
  volume: StoredCsiVolume,
  wanted: Wanted,
): Promise<{ index: number; capacityBytes: number }> {
  const { RequestedCapacityMax: CapacityMax } = wanted;
  checkSizes(volume, wanted);
  // There are plugins that take a smaller size for a wish to shrink.
  const CapacityMin = Math.max(wanted.RequestedCapacityMin, volume.Capacity);
  return context.volumeWatcher.turns.take(turnKey(volume), async () => {
    const Secrets = wanted.Secrets ?? (await openVolume(context, volume)).Secrets;
    const capability = volume.RequestedCapabilities[0] ?? null;
    const grown = await askPlugin({ ID: volume.ID, Secrets }, () =>
      context.controllers.ask(
        'ClientCSI.ControllerExpand',
        volume.PluginID,
        { ExternalID: volume.ExternalID, CapacityMin, CapacityMax, Secrets, Capability: capability },
        ({ ControllerInfo }) => ControllerInfo?.SupportsExpand === true,
        volume.Topologies,
      ),
    );
    const { Claims: _claims, PastClaims: _past, AccessMode: _access, AttachmentMode: _attachment, ...seed } = volume;
    const { index } = await propose(context.consensus, {
      type: 'csi-volume-upsert',
      volumes: [
        {
          ...seed,
          // As they are by now: they may have been encrypted anew meanwhile.
          Secrets: null,
          MountOptions: null,
          Capacity: grown.CapacityBytes,
          RequestedCapacityMin: CapacityMin,
          RequestedCapacityMax: CapacityMax,
        },
      ],
      time: context.now(),
    });
    if (grown.NodeExpansionRequired) await expandOnNodes(context, volume, { CapacityMin, CapacityMax });
    return { index, capacityBytes: grown.CapacityBytes };
  });
}

function checkSizes(volume: StoredCsiVolume, { RequestedCapacityMin: min, RequestedCapacityMax: max }: Wanted): void {
  const refuse = (what: string): never => {
    throw new MeshError('E_BAD_REQUEST', `volume "${volume.ID}": ${what}`);
  };
  if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max) || min < 0 || max < 0) {
    refuse('a capacity is a whole number of bytes');
  }
  if (min === 0 && max === 0) refuse('say how large it is to be, with capacity_min or capacity_max');
  if (max > 0 && min > max) refuse(`capacity_min (${min}) is above capacity_max (${max})`);
  requireNoShrinking(volume, max);
}

/** Throws E_BAD_REQUEST when the volume is larger already than it is allowed to be; 0 allows any size. */
export function requireNoShrinking({ ID, Capacity }: StoredCsiVolume, max: number): void {
  if (max === 0 || max >= Capacity) return;
  throw new MeshError('E_BAD_REQUEST', `volume "${ID}": it has ${Capacity} bytes already, and cannot shrink to ${max}`);
}

async function expandOnNodes(
  context: EndpointContext,
  volume: StoredCsiVolume,
  sizes: { CapacityMin: number; CapacityMax: number },
): Promise<void> {
  const state = context.store.snapshot();
  const failures: string[] = [];
  for (const claim of Object.values(volume.Claims)) {
    const alloc = state.allocById(claim.AllocationID);
    if (claim.State !== 'taken' || !alloc || isClientTerminal(alloc)) continue;
    try {
      const path = await context.nodePaths.find(claim.NodeID, { forwarded: false });
      const args = { ...claimOnNode(volume, claim), ...sizes };
      await path.call('ClientCSI.NodeExpand', args, { timeoutMs: NODE_EXPAND_MS });
    } catch (error) {
      failures.push(`node ${claim.NodeID.slice(0, 8)}: ${(error as Error).message}`);
    }
  }
  if (failures.length === 0) return;
  throw new MeshError(
    'E_CONFLICT',
    `volume "${volume.ID}" has grown, but not its file system where it is in use (${failures.join('; ')}): expand it again`,
  );
}
