import {
  bool,
  type Decoded,
  decodeFields,
  list,
  map,
  number,
  required,
  text,
} from '../../lib/plugin/sdk/config-schema.js';
import { type ConfigProblem, DriverError } from '../../lib/plugin/sdk/driver.js';

const TASK_FIELDS = {
  command: required(text(), 'it names the program to run, such as command = "/bin/sh"'),
  args: list(text()),
  /** Where the program starts; absolute, or within the task's directory. */
  work_dir: text(),
  /** −1000 to 1000: who is killed first when memory runs out. */
  oom_score_adj: number(0, { min: -1000, max: 1000 }),
  /** Controller → cgroup to run in, on machines with cgroups v1. */
  cgroup_v1_override: map(text()),
  /** The cgroup to run in, on machines with cgroups v2. */
  cgroup_v2_override: text(),
  denied_envvars: list(text()),
};

/** Whom no task may run as, in the agent's config of a driver. */
export const DENIED_USER_FIELDS = {
  /** Ranges such as "0,10-99" of user ids that no task may run as. */
  denied_host_uids: text(),
  denied_host_gids: text(),
};

export const PLUGIN_FIELDS = {
  enabled: bool(false),
  /** No limits: tasks run in the agent's own cgroups. Their trees are found by ancestry with or without. */
  no_cgroups: bool(false),
  /** The agent puts its `client { cgroup_parent = … }` here. */
  cgroup_parent: text('meshnomad'),
  ...DENIED_USER_FIELDS,
  /** Names of variables that tasks never see; a trailing * stands for any ending. */
  denied_envvars: list(text()),
};

export type RawExecConfig = Decoded<typeof TASK_FIELDS>;
export type RawExecOptions = Decoded<typeof PLUGIN_FIELDS>;

/** What is wrong with the agent's config of the driver. */
export function pluginProblems(config: Record<string, unknown>): ConfigProblem[] {
  const decoded = decodeFields(PLUGIN_FIELDS, config);
  return 'problems' in decoded ? decoded.problems : deniedUserProblems(decoded.config);
}

type DeniedUsers = Decoded<typeof DENIED_USER_FIELDS>;

/** What is wrong with the ranges of denied users. */
export function deniedUserProblems(config: DeniedUsers): ConfigProblem[] {
  return (['denied_host_uids', 'denied_host_gids'] as const).flatMap((path) =>
    parseRanges(config[path])
      ? []
      : [{ path, message: `must be numbers and ranges such as "0,10-99", not "${config[path]}"` }],
  );
}

/** Throws a DriverError when the agent denies its tasks this user or one of these groups. */
export function ensureAllowedUser(denied: DeniedUsers, user: { uid: number; groups: readonly number[] }): void {
  const isIn = (ranges: string, id: number): boolean =>
    parseRanges(ranges)?.some(([from, to]) => id >= from && id <= to) === true;
  if (isIn(denied.denied_host_uids, user.uid)) {
    throw new DriverError(`running as user ${user.uid} is denied by denied_host_uids`, { recoverable: false });
  }
  const gid = user.groups.find((group) => isIn(denied.denied_host_gids, group));
  if (gid !== undefined) {
    throw new DriverError(`running as group ${gid} is denied by denied_host_gids`, { recoverable: false });
  }
}

/** A task's config, or what is wrong with it. */
export function decodeTask(config: Record<string, unknown>): { config: RawExecConfig } | { problems: ConfigProblem[] } {
  const decoded = decodeFields(TASK_FIELDS, config);
  if ('problems' in decoded) return decoded;
  const { cgroup_v1_override, cgroup_v2_override } = decoded.config;
  if (cgroup_v2_override !== '' && Object.keys(cgroup_v1_override).length > 0) {
    const message = 'and cgroup_v1_override exclude each other; keep the one for this machine';
    return { problems: [{ path: 'cgroup_v2_override', message }] };
  }
  return decoded;
}

/** [from, to] pairs of "0,10-99"; undefined when it is not such a text. */
export function parseRanges(text: string): [number, number][] | undefined {
  if (text.trim() === '') return [];
  const ranges: [number, number][] = [];
  for (const part of text.split(',')) {
    const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part);
    if (!match) return undefined;
    const from = Number(match[1]);
    const to = Number(match[2] ?? match[1]);
    if (to < from) return undefined;
    ranges.push([from, to]);
  }
  return ranges;
}

/** The environment less the variables whose names are denied. */
export function allowedEnv(env: Record<string, string>, denied: string[]): Record<string, string> {
  if (denied.length === 0) return env;
  const isDenied = (name: string): boolean =>
    denied.some((word) => (word.endsWith('*') ? name.startsWith(word.slice(0, -1)) : name === word));
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isDenied(name)));
}
