import { csiHook } from './csi.js';
import { ephemeralDiskHook } from './ephemeral-disk.js';
import type { AllocHook } from './hook.js';
import { hostVolumesHook } from './host-volumes.js';
import { networkHook } from './network.js';

/** The hooks of every allocation, in the order in which they prepare it. */
export const ALLOC_HOOKS: readonly AllocHook[] = [ephemeralDiskHook, hostVolumesHook, csiHook, networkHook];
