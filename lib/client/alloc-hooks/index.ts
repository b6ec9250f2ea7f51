import type { AllocHook } from './hook.js';

/** The hooks of every allocation, in the order in which they prepare it. */
export const ALLOC_HOOKS: readonly AllocHook[] = [];
