import type { CsiClaim, CsiVolumeUse, StoredCsiVolume } from '../../structs/csi.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { meta } from '../blocking.js';
import { volumeAtStorage } from '../csi/at-storage.js';
import { capacityOf } from '../csi/capacity.js';
import { claimOnNode } from '../csi/claim-on-node.js';
import { pluginsOf } from '../csi/plugins.js';
import { withoutSecrets } from '../csi/view.js';
import { openVolume } from '../keyring/volumes.js';
import { requireVolumeAccess } from '../volume-access.js';
import { type EndpointContext, namespaceOf, requireFound, requireText } from './context.js';

/** A person waits for it. */
const NODE_STATS_MS = 7_000;
/** So many that use a volume are asked; what is true of them is true of the others. */
const ASKED_MAX = 20;

/** How volumes fare where they are in use and at their storage, and what room there is: asked of the nodes, and kept nowhere. */
export function csiStatsEndpoints(context: EndpointContext): RpcHandlers {
  const ask = async (volume: StoredCsiVolume, claim: CsiClaim): Promise<CsiVolumeUse> => {
    const who = { AllocationID: claim.AllocationID, NodeID: claim.NodeID };
    try {
      const path = await context.nodePaths.find(claim.NodeID, { forwarded: false });
      return {
        ...who,
        ...(await path.call('ClientCSI.NodeStats', claimOnNode(volume, claim), { timeoutMs: NODE_STATS_MS })),
        Error: '',
      };
    } catch (error) {
      return { ...who, Usage: [], Condition: null, Error: error instanceof Error ? error.message : String(error) };
    }
  };

  return {
    async 'CSIVolume.Stats'(args) {
      const [namespace, name] = [namespaceOf(args), requireText(args.ID, 'volume ID')];
      requireVolumeAccess(context, args, { kind: 'csi', namespace, name, operation: 'read' });
      const volume = requireFound(context.store.snapshot().csiVolumeById(namespace, name), `volume "${name}"`);
      const used = Object.values(volume.Claims).filter(({ State }) => State === 'taken');
      const uses = await Promise.all(used.slice(0, ASKED_MAX).map((claim) => ask(volume, claim)));
      // What a plugin says may have a secret in it.
      const { Secrets } = uses.some(tells) ? await openVolume(context, volume) : { Secrets: null };
      const Uses = uses.map((use) => ({
        ...use,
        Error: withoutSecrets(use.Error, Secrets),
        Condition: use.Condition && { ...use.Condition, Message: withoutSecrets(use.Condition.Message, Secrets) },
      }));
      return { ...meta(context, context.store.index), Uses };
    },

    async 'CSIVolume.AtStorage'(args) {
      const [namespace, name] = [namespaceOf(args), requireText(args.ID, 'volume ID')];
      requireVolumeAccess(context, args, { kind: 'csi', namespace, name, operation: 'read' });
      const volume = requireFound(context.store.snapshot().csiVolumeById(namespace, name), `volume "${name}"`);
      const found = await volumeAtStorage(context, volume);
      const isTold = found.Reason !== '' || (found.Condition?.Message ?? '') !== '';
      const { Secrets } = isTold ? await openVolume(context, volume) : { Secrets: null };
      const AtStorage = {
        ...found,
        Reason: withoutSecrets(found.Reason, Secrets),
        Condition: found.Condition && { ...found.Condition, Message: withoutSecrets(found.Condition.Message, Secrets) },
      };
      return { ...meta(context, context.store.index), AtStorage };
    },

    async 'CSIPlugin.Capacity'(args) {
      const name = requireText(args.ID, 'plugin ID');
      requireVolumeAccess(context, args, { kind: 'plugin', namespace: '', name, operation: 'read' });
      requireFound(pluginsOf(context.store.snapshot()).get(name), `plugin "${name}"`);
      return { ...meta(context, context.store.index), Places: await capacityOf(context, name) };
    },
  };
}

const tells = ({ Error: why, Condition }: CsiVolumeUse): boolean => why !== '' || (Condition?.Message ?? '') !== '';
