import { namespaceOf, networksOf } from '../alloc-hooks/network.js';
import { HookError, taskHook } from './hook.js';

/** Before a task starts again, its group's network is there: an engine that ended may have taken the namespace with it. */
export const networkTaskHook = taskHook('network', {
  async prestart({ alloc, task, client, shared, reattach }) {
    if (reattach || shared.network === null) return;
    await networksOf(client)
      .refresh(alloc.ID)
      .catch((cause: Error) => {
        throw new HookError(`network of the group: ${cause.message}`, { recoverable: true, cause });
      });
    const place = namespaceOf(client, alloc.ID, task.Name);
    if (place.get() !== shared.networkInode) place.put(shared.networkInode);
  },
});
