import type { ClientDb } from '../../storage/client-db.js';
import { volumeSource } from '../../structs/volume.js';
import { allocHook, type ReadyVolume } from './hook.js';

const HOOK = 'host_volumes';

/** Whether the allocation was given that directory. */
export function usesHostPath(db: Pick<ClientDb, 'allocs'>, allocId: string, path: string): boolean {
  const given = (db.allocs.get(allocId)?.hooks[HOOK] ?? {}) as Record<string, ReadyVolume>;
  return Object.values(given).some(({ hostPath }) => hostPath === path);
}

/** The host volumes of a group, static and dynamic: where they lie on this machine. */
export const hostVolumesHook = allocHook(HOOK, {
  async prerun({ alloc, group, client, shared, state, reattach }) {
    const requests = Object.entries(group.Volumes ?? {}).filter(([, { Type }]) => Type === 'host');
    if (requests.length === 0) return;
    // What runs has the volumes it was started with, whatever has been configured since.
    const kept = reattach ? (state.get() as Record<string, ReadyVolume> | null) : null;
    const found: Record<string, ReadyVolume> = { ...kept };
    for (const [name, request] of requests) {
      if (found[name]) continue;
      const source = volumeSource(request, alloc.Name);
      const volume = client.node().HostVolumes?.[source];
      if (!volume) throw new Error(client.hostVolumes.whyNot(source));
      found[name] = { hostPath: volume.Path, readOnly: request.ReadOnly || volume.ReadOnly, kind: 'directory' };
    }
    state.put(found);
    shared.volumes = { ...shared.volumes, ...found };
  },
});
