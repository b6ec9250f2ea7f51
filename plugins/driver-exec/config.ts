import { capProblems, DEFAULT_CAPS } from '../../lib/plugin/sdk/capabilities.js';
import { DEFAULT_CHROOT, isChrootPath } from '../../lib/plugin/sdk/chroot.js';
import {
  bool,
  type Decoded,
  decodeFields,
  list,
  map,
  number,
  oneOf,
  required,
  text,
} from '../../lib/plugin/sdk/config-schema.js';
import type { ConfigProblem } from '../../lib/plugin/sdk/driver.js';
import { DENIED_USER_FIELDS, deniedUserProblems } from '../driver-raw-exec/config.js';

const TASK_FIELDS = {
  command: required(text(), 'it names the program to run, such as command = "/bin/sh"'),
  args: list(text()),
  /** Where the program starts, as the task sees it. */
  work_dir: text('/'),
  pid_mode: oneOf(['', 'private', 'host'], ''),
  ipc_mode: oneOf(['', 'private', 'host'], ''),
  cap_add: list(text()),
  cap_drop: list(text()),
  /** −1000 to 1000: who is killed first when the machine's memory runs out. */
  oom_score_adj: number(0, { min: -1000, max: 1000 }),
  denied_envvars: list(text()),
};

export const PLUGIN_FIELDS = {
  enabled: bool(true),
  /** A container runtime by name or path; "" = runc. */
  runtime: text(),
  /** For machines whose root file system is a ramdisk. */
  no_pivot_root: bool(),
  default_pid_mode: oneOf(['private', 'host'], 'private'),
  default_ipc_mode: oneOf(['private', 'host'], 'private'),
  allow_caps: { ...list(text()), absent: () => [...DEFAULT_CAPS] },
  ...DENIED_USER_FIELDS,
  denied_envvars: list(text()),
  /** The most processes and threads of a task; 0 = no limit, as Nomad. */
  pids_limit: number(0, { min: 0 }),
  /** The agent puts its `client { chroot_env {} cgroup_parent = … }` here. Path on the machine → path in the task. */
  chroot_env: { ...map(text()), absent: () => ({ ...DEFAULT_CHROOT }) },
  cgroup_parent: text('meshnomad'),
};

export type ExecConfig = Decoded<typeof TASK_FIELDS>;
export type ExecOptions = Decoded<typeof PLUGIN_FIELDS>;

/** What is wrong with the agent's config of the driver. */
export function pluginProblems(config: Record<string, unknown>): ConfigProblem[] {
  const decoded = decodeFields(PLUGIN_FIELDS, config);
  if ('problems' in decoded) return decoded.problems;
  const { allow_caps } = decoded.config;
  const problems = [...deniedUserProblems(decoded.config), ...capProblems({ allow_caps })];
  for (const [from, to] of Object.entries(decoded.config.chroot_env)) {
    if (isChrootPath(from) && isChrootPath(to)) continue;
    problems.push({ path: `chroot_env.${from}`, message: `must map an absolute path to one, not to "${to}"` });
  }
  if (!/^[\w./-]+$/.test(decoded.config.cgroup_parent) || decoded.config.cgroup_parent.includes('..')) {
    problems.push({ path: 'cgroup_parent', message: `must be a cgroup's path, not "${decoded.config.cgroup_parent}"` });
  }
  return problems;
}

/** A task's config, or what is wrong with it. */
export function decodeTask(config: Record<string, unknown>): { config: ExecConfig } | { problems: ConfigProblem[] } {
  const decoded = decodeFields(TASK_FIELDS, config);
  if ('problems' in decoded) return decoded;
  const { work_dir, cap_add, cap_drop } = decoded.config;
  const problems = capProblems({ cap_add, cap_drop });
  if (!work_dir.startsWith('/')) {
    const message = `must be an absolute path as the task sees it, such as "/local", not "${work_dir}"`;
    problems.push({ path: 'work_dir', message });
  }
  return problems.length > 0 ? { problems } : decoded;
}
