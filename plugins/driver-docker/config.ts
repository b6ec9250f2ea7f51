import type { HostConfig } from 'dockerode';
import { DEFAULT_CAPS } from '../../lib/plugin/sdk/capabilities.js';
import {
  block,
  blocks,
  bool,
  type Decoded,
  decodeFields,
  durationMs,
  list,
  map,
  number,
  oneOf,
  refused,
  required,
  text,
} from '../../lib/plugin/sdk/config-schema.js';
import type { ConfigProblem } from '../../lib/plugin/sdk/driver.js';
import { taskProblems } from './task-problems.js';

const MOUNT = {
  type: oneOf(['volume', 'bind', 'tmpfs'], 'volume'),
  target: required(text(), 'the path inside the container'),
  source: text(),
  readonly: bool(),
  bind_options: block({ propagation: text() }),
  volume_options: block({
    no_copy: bool(),
    labels: map(text()),
    driver_config: block({ name: text(), options: map(text()) }),
  }),
  tmpfs_options: block({ size: number(0), mode: number(0) }),
};

/** The keys of a task's config, all that Nomad's driver knows; those without effect here are refused by name. */
export const TASK_FIELDS = {
  image: required(text(), 'it names what to run, such as image = "redis:7"'),
  advertise_ipv6_address: bool(),
  args: list(text()),
  auth: block({
    username: text(),
    password: text(),
    email: text(),
    server_address: text(),
    helper: text(),
  }),
  auth_soft_fail: bool(),
  cap_add: list(text()),
  cap_drop: list(text()),
  cgroupns: oneOf(['', 'private', 'host'], ''),
  command: text(),
  /** 0 = the agent's. */
  container_exists_attempts: number(0, { min: 0 }),
  cpu_cfs_period: number(0, { min: 0, max: 1_000_000 }),
  cpu_hard_limit: bool(),
  cpuset_cpus: text(),
  devices: blocks({
    host_path: required(text(), 'the device on the node'),
    container_path: text(),
    cgroup_permissions: text('rwm'),
  }),
  dns_options: list(text()),
  dns_search_domains: list(text()),
  dns_servers: list(text()),
  entrypoint: list(text()),
  extra_hosts: list(text()),
  force_pull: bool(),
  group_add: list(text()),
  healthchecks: block({ disable: bool() }),
  hostname: text(),
  image_pull_timeout: durationMs(0),
  init: bool(),
  interactive: bool(),
  ipc_mode: text(),
  ipv4_address: text(),
  ipv6_address: text(),
  isolation: refused('has a meaning on Windows only'),
  labels: map(text()),
  load: text(),
  logging: block({ driver: text(), type: text(), config: map(text()) }),
  mac_address: text(),
  memory_hard_limit: number(0, { min: 0 }),
  mount: blocks(MOUNT),
  mounts: blocks(MOUNT),
  network_aliases: list(text()),
  network_mode: text(),
  oom_score_adj: number(0, { min: -1000, max: 1000 }),
  pid_mode: text(),
  pids_limit: number(0),
  port_map: refused(
    'is gone; write port "NAME" { to = N } in the network block of the group, and ports = ["NAME"] here',
  ),
  ports: list(text()),
  privileged: bool(),
  readonly_rootfs: bool(),
  runtime: text(),
  security_opt: list(text()),
  shm_size: number(0, { min: 0 }),
  storage_opt: map(text()),
  sysctl: map(text()),
  tty: bool(),
  ulimit: map(text()),
  userns_mode: text(),
  uts_mode: text(),
  volume_driver: text(),
  volumes: list(text()),
  windows_allow_insecure_container_admin: refused('has a meaning on Windows only'),
  work_dir: text(),
};

/** The keys of the agent's config of plugin "docker". */
export const PLUGIN_FIELDS = {
  enabled: bool(true),
  /** unix:///path or tcp://host:port; else DOCKER_HOST, else the engine's usual socket. */
  endpoint: text(),
  allow_caps: { ...list(text()), absent: () => [...DEFAULT_CAPS] },
  allow_privileged: bool(),
  /** Which namespaces of the node or of other containers jobs may have, where they may not have privileges: `host`, `container:*`. */
  allowed_modes: block({ pid: list(text()), ipc: list(text()), userns: list(text()), uts: list(text()) }),
  allow_runtimes: { ...list(text()), absent: () => ['runc', 'nvidia'] },
  auth: block({ config: text(), helper: text() }),
  disable_log_collection: bool(),
  extra_labels: list(text()),
  gc: block({
    image: bool(true),
    image_delay: durationMs(180_000),
    container: bool(true),
    dangling_containers: block({
      enabled: bool(true),
      dry_run: bool(),
      period: durationMs(300_000, { minMs: 100 }),
      creation_grace: durationMs(300_000),
    }),
  }),
  image_pull_timeout: durationMs(0),
  infra_image: text(),
  infra_image_pull_timeout: durationMs(0),
  infra_image_labels: map(text()),
  logging: block({ type: text(), driver: text(), config: map(text()) }),
  nvidia_runtime: text('nvidia'),
  oom_score_adj: number(0, { min: -1000, max: 1000 }),
  pids_limit: number(0, { min: 0 }),
  pull_activity_timeout: durationMs(120_000, { minMs: 1 }),
  container_exists_attempts: number(5, { min: 0 }),
  tls: block({ cert: text(), key: text(), ca: text() }),
  volumes: block({ enabled: bool(), selinuxlabel: oneOf(['', 'z', 'Z'], '') }),
  windows_allow_insecure_container_admin: refused('has a meaning on Windows only'),
};

export type DockerConfig = Decoded<typeof TASK_FIELDS> & {
  /** What another engine's driver knows beyond docker's keys. */
  extra?: Pick<HostConfig, 'MemoryReservation' | 'MemorySwap' | 'MemorySwappiness' | 'Tmpfs'>;
};
export type DockerOptions = Decoded<typeof PLUGIN_FIELDS>;

/** A task's config, or what is wrong with it. */
export function decodeTask(config: Record<string, unknown>): { config: DockerConfig } | { problems: ConfigProblem[] } {
  const decoded = decodeFields(TASK_FIELDS, config);
  if ('problems' in decoded) return decoded;
  const problems = taskProblems(decoded.config);
  return problems.length > 0 ? { problems } : decoded;
}
