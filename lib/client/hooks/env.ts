import { buildTaskEnv } from '../task-env.js';
import { taskHook } from './hook.js';

/** The environment, under what the hooks before put into it. A task with a root of its own sees its directories at fixed paths and nothing of the host. */
export const envHook = taskHook('env', {
  async prestart({ alloc, job, group, task, node, driver, config, paths, draft, shared }) {
    const ownRoot = driver.capabilities.fsIsolation !== 'none';
    const over = draft.values.env;
    draft.values = buildTaskEnv({
      alloc,
      job,
      group,
      task,
      node,
      region: config.region,
      paths: ownRoot
        ? { allocDir: '/alloc', taskDir: '/local', secretsDir: '/secrets' }
        : { allocDir: paths.sharedDir, taskDir: paths.localDir, secretsDir: paths.secretsDir },
      network: shared.networkStatus,
      hostEnv: driver.capabilities.fsIsolation === 'image' ? {} : inheritedEnv(config.envDenylist),
    });
    // What was reserved for the task is not the job's to change (NVIDIA_VISIBLE_DEVICES=all).
    Object.assign(draft.values.env, over);
  },
});

function inheritedEnv(denylist: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [key, value] of Object.entries(process.env)) {
    if (value !== undefined && !denylist.includes(key)) env[key] = value;
  }
  return env;
}
