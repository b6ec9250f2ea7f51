import { Turns } from '../../plugin/sdk/csi-checks.js';
import { CommandError, ensureOwnSharedMount, mountAt, runCommand } from '../../plugin/sdk/mounts.js';

/**
 * The directories in which plugins with a root of their own mount volumes: each is a mount of its own that the host shares with
 * them, for as long as such a plugin is on this node.
 */
export class PluginBases {
  readonly #turns = new Turns();

  /** Makes `base`, which exists, one. Throws CommandError. */
  offer(base: string): Promise<void> {
    return this.#turns.take(base, () => ensureOwnSharedMount(base));
  }

  /**
   * Undoes that, unless somebody still uses it, which is asked when nobody can begin to. What is mounted below keeps it: the
   * plugin's next life finds that where it was.
   */
  letGo(base: string, isUsed: () => boolean): Promise<void> {
    return this.#turns.take(base, async () => {
      if (isUsed() || !(await mountAt(base))) return;
      await runCommand('umount', ['--', base]).catch((error: unknown) => {
        if (!(error instanceof CommandError)) throw error;
      });
    });
  }
}
