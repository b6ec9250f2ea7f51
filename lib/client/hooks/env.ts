import type { Interpolation } from '../interpolate.js';
import { buildTaskEnv } from '../task-env.js';
import { type TaskContext, taskHook } from './hook.js';

/** The environment, under what the hooks before put into it. A task with a root of its own sees its directories at fixed paths and nothing of the host. */
export const envHook = taskHook('env', {
  async prestart(context) {
    context.draft.values = taskValues(context);
  },
});

/** The environment as far as it is known now, with what the hooks so far have put into it. */
export function taskValues(context: TaskContext): Interpolation & { env: Record<string, string> } {
  const { alloc, job, group, task, node, driver, config, paths, draft, shared } = context;
  const values = buildTaskEnv({
    alloc,
    job,
    group,
    task,
    node,
    region: config.region,
    paths: hasOwnRoot(context)
      ? { allocDir: '/alloc', taskDir: '/local', secretsDir: '/secrets' }
      : { allocDir: paths.sharedDir, taskDir: paths.localDir, secretsDir: paths.secretsDir },
    network: shared.networkStatus,
    secrets: draft.secrets,
    cgroupParent: driver.capabilities.cgroupParent ?? config.cgroupParent,
    hostEnv: driver.capabilities.fsIsolation === 'image' ? {} : inheritedEnv(config.envDenylist),
  });
  // What was reserved for the task is not the job's to change (NVIDIA_VISIBLE_DEVICES=all).
  Object.assign(values.env, draft.values.env);
  return values;
}

/** The task has a root directory of its own, in which it sees its directories at fixed paths. */
export function hasOwnRoot({ driver }: Pick<TaskContext, 'driver'>): boolean {
  return driver.capabilities.fsIsolation !== 'none';
}

function inheritedEnv(denylist: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [key, value] of Object.entries(process.env)) {
    if (value !== undefined && !denylist.includes(key)) env[key] = value;
  }
  return env;
}
