import type { ClientDb } from '../../storage/client-db.js';
import { volumeSource } from '../../structs/volume.js';
import { allocHook, type ReadyVolume } from './hook.js';

const HOOK = 'host_volumes';

/** Whether the allocation was given that directory. */
export function usesHostPath(db: Pick<ClientDb, 'allocs'>, allocId: string, path: string): boolean {
  const given = (db.allocs.get(allocId)?.hooks[HOOK] ?? {}) as Record<string, ReadyVolume>;
  return Object.values(given).some(({ hostPath }) => hostPath === path);
}

/** What is told of a volume that is waited for. */
export const waiting = (volume: string, why: string): string => `Waiting for host volume "${volume}": ${why}`;

/** The host volumes of a group, static and dynamic: where they lie on this machine. */
export const hostVolumesHook = allocHook(HOOK, {
  async prerun({ alloc, group, client, shared, state, reattach, signal, tell }) {
    const requests = Object.entries(group.Volumes ?? {}).filter(([, { Type }]) => Type === 'host');
    if (requests.length === 0) return;
    // What runs has the volumes it was started with, whatever has been configured since.
    const kept = (state.get() ?? {}) as Record<string, ReadyVolume>;
    const found: Record<string, ReadyVolume> = reattach ? { ...kept } : {};
    for (const [name, request] of requests) {
      if (found[name]) continue;
      const source = volumeSource(request, alloc.Name);
      const before = kept[name];
      // It was here before the agent, or the machine, began again: its disk may come later than this agent.
      if (before)
        await client.hostVolumes.waitFor(before.hostPath, { signal, tell: (why) => tell(waiting(source, why)) });
      const volume = client.node().HostVolumes?.[source];
      if (!volume) throw new Error(client.hostVolumes.whyNot(source));
      found[name] = { hostPath: volume.Path, readOnly: request.ReadOnly || volume.ReadOnly, kind: 'directory' };
    }
    state.put(found);
    shared.volumes = { ...shared.volumes, ...found };
  },
});
