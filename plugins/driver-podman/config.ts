import { posix } from 'node:path';
import {
  block,
  type Decoded,
  decodeFields,
  list,
  map,
  number,
  refused,
  text,
} from '../../lib/plugin/sdk/config-schema.js';
import type { ConfigProblem } from '../../lib/plugin/sdk/driver.js';
import {
  type DockerConfig,
  decodeTask,
  PLUGIN_FIELDS as ENGINE_FIELDS,
  TASK_FIELDS as ENGINE_TASK_FIELDS,
} from '../driver-docker/config.js';

// A task's config has the keys of Nomad's podman driver. What docker's driver calls the same is read by it; what it calls
// otherwise is translated here; docker's own names for those are not known.

const {
  advertise_ipv6_address: _advertise,
  devices: _devices,
  dns_servers: _servers,
  dns_options: _options,
  dns_search_domains: _domains,
  logging: _logging,
  mount: _mount,
  mounts: _mounts,
  oom_score_adj: _oom,
  shm_size: _shm,
  storage_opt: _storage,
  userns_mode: _userns,
  volume_driver: _driver,
  windows_allow_insecure_container_admin: _windows,
  work_dir: _dir,
  ...SHARED
} = ENGINE_TASK_FIELDS;

const OWN = {
  apparmor_profile: text(),
  /** "/dev/host:/dev/task:rwm". */
  devices: list(text()),
  dns: list(text()),
  init_path: refused('is not supported: the engine brings its own'),
  logging: block({ driver: text(), options: map(text()) }),
  /** A size such as "512m", as those that follow. */
  memory_reservation: text(),
  memory_swap: text(),
  memory_swappiness: number(-1, { min: -1, max: 100 }),
  selinux_opts: list(text()),
  shm_size: text(),
  socket: refused('is not supported: an agent has one engine, named by socket_path of its podman plugin'),
  /** "/run:size=64m". */
  tmpfs: list(text()),
  userns: text(),
  working_dir: text(),
};

const { endpoint: _endpoint, tls: _tls, infra_image_labels: _labels, logging: _log, ...ENGINE } = ENGINE_FIELDS;

/** The agent's config of plugin "podman". */
export const PLUGIN_FIELDS = {
  ...ENGINE,
  /** unix:///path; "" = the engine's usual socket. */
  socket_path: text(),
  logging: block({ driver: text(), options: map(text()) }),
  client_http_timeout: refused('is not needed: a call waits as long as its task may'),
  socket: refused('is not supported: an agent has one engine; write socket_path = "unix:///path"'),
  recover_stopped: refused('is not needed: a task that ended without an agent tells its exit to the next one'),
};

/** A task's config in docker's words, or what is wrong with it in podman's. */
export function decodePodman(
  config: Record<string, unknown>,
): { config: DockerConfig } | { problems: ConfigProblem[] } {
  const decoded = decodeFields({ ...SHARED, ...OWN }, config);
  if ('problems' in decoded) return decoded;
  const own: Decoded<typeof OWN> = decoded.config;
  const sizes = { memory_reservation: 0, memory_swap: 0, shm_size: 0 };
  for (const key of Object.keys(sizes) as (keyof typeof sizes)[]) {
    const size = parseSize(own[key]);
    if (size === undefined)
      return { problems: [{ path: key, message: `must be a size such as "512m", not "${own[key]}"` }] };
    sizes[key] = size;
  }
  const rest = Object.fromEntries(Object.entries(config).filter(([key]) => key in SHARED));
  const translated = decodeTask({
    ...rest,
    devices: own.devices.map(deviceBlock),
    dns_servers: own.dns,
    ...(own.logging ? { logging: loggingBlock(own.logging) } : {}),
    security_opt: securityOptions(decoded.config),
    shm_size: sizes.shm_size,
    userns_mode: own.userns,
    work_dir: own.working_dir,
  });
  if ('problems' in translated) return { problems: translated.problems.map(inOwnWords) };
  const extra: NonNullable<DockerConfig['extra']> = {
    ...(sizes.memory_reservation > 0 ? { MemoryReservation: sizes.memory_reservation } : {}),
    ...(sizes.memory_swap > 0 ? { MemorySwap: sizes.memory_swap } : {}),
    ...(own.memory_swappiness >= 0 ? { MemorySwappiness: own.memory_swappiness } : {}),
    ...(own.tmpfs.length > 0 ? { Tmpfs: Object.fromEntries(own.tmpfs.map(tmpfsEntry)) } : {}),
  };
  return { config: { ...translated.config, extra } };
}

/** "nomad": as without the block, the agent's own log files. */
export function loggingBlock({ driver, options }: { driver: string; options: Record<string, string> }): {
  driver: string;
  config: Record<string, string>;
} {
  return { driver: driver === 'nomad' ? '' : driver, config: options };
}

const OWN_NAMES: Record<string, string> = { work_dir: 'working_dir', dns_servers: 'dns' };

function inOwnWords({ path, message }: ConfigProblem): ConfigProblem {
  return { path: path.replace(/^\w+/, (key) => OWN_NAMES[key] ?? key), message };
}

function securityOptions(config: {
  security_opt: string[];
  apparmor_profile: string;
  selinux_opts: string[];
}): string[] {
  const { security_opt, apparmor_profile, selinux_opts } = config;
  return [
    ...security_opt,
    ...(apparmor_profile === '' ? [] : [`apparmor=${apparmor_profile}`]),
    ...selinux_opts.map((option) => `label=${option}`),
  ];
}

function deviceBlock(device: string): Record<string, string> {
  const [host = '', inside = '', mode = ''] = device.split(':');
  // "/dev/fuse:rw" leaves the second part out.
  const isMode = inside !== '' && !posix.isAbsolute(inside);
  return {
    host_path: host,
    container_path: isMode ? '' : inside,
    ...(isMode || mode !== '' ? { cgroup_permissions: isMode ? inside : mode } : {}),
  };
}

function tmpfsEntry(entry: string): [string, string] {
  const colon = entry.indexOf(':');
  return colon < 0 ? [entry, ''] : [entry.slice(0, colon), entry.slice(colon + 1)];
}

const UNITS: Record<string, number> = { '': 1, b: 1, k: 1 << 10, m: 1 << 20, g: 1 << 30 };

/** The bytes of "512m"; 0 for "", undefined when it is no size. */
function parseSize(size: string): number | undefined {
  const match = /^(\d+)([bkmg]?)b?$/i.exec(size.trim());
  if (!match) return size.trim() === '' ? 0 : undefined;
  return Number(match[1]) * (UNITS[(match[2] ?? '').toLowerCase()] ?? 1);
}
