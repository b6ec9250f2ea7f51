import { dirHook } from './dir.js';
import { envHook } from './env.js';
import type { TaskHook } from './hook.js';
import { volumesHook } from './volumes.js';

/** The hooks of every task, in the order in which they prepare it. */
export const TASK_HOOKS: readonly TaskHook[] = [dirHook, volumesHook, envHook];
