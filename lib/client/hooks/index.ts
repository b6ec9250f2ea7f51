import { artifactHook } from './artifact.js';
import { csiPluginHook } from './csi-plugin.js';
import { devicesHook } from './devices.js';
import { dirHook } from './dir.js';
import { dispatchHook } from './dispatch.js';
import { envHook } from './env.js';
import type { TaskHook } from './hook.js';
import { identityHook } from './identity.js';
import { networkTaskHook } from './network.js';
import { secretsHook } from './secrets.js';
import { templateHook } from './template.js';
import { userHook } from './user.js';
import { volumesHook } from './volumes.js';

/** The hooks of every task, in the order in which they prepare it. */
export const TASK_HOOKS: readonly TaskHook[] = [
  userHook,
  dirHook,
  networkTaskHook,
  identityHook,
  secretsHook,
  dispatchHook,
  artifactHook,
  volumesHook,
  devicesHook,
  csiPluginHook,
  templateHook,
  envHook,
];
