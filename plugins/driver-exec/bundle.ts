import { posix } from 'node:path';
import { ALL_CAPS, DEFAULT_CAPS, forbiddenCaps, plainCap } from '../../lib/plugin/sdk/capabilities.js';
import { DriverError, type TaskConfig, type TaskMount } from '../../lib/plugin/sdk/driver.js';
import { cpuShares, memoryLimits } from '../driver-raw-exec/cgroup.js';
import type { TaskUser } from '../driver-raw-exec/lookup.js';
import type { ExecConfig, ExecOptions } from './config.js';
import { seccompProfile } from './seccomp.js';

// The runtime's own language: the OCI runtime specification, config.json.

/** The kernel's least share of the processor. */
const MASKED =
  '/proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap';
const READ_ONLY = '/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger';

export interface OciMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

export interface OciProcess {
  terminal: boolean;
  user: { uid: number; gid: number; additionalGids: number[] };
  args: string[];
  env: string[];
  cwd: string;
  capabilities: Record<'bounding' | 'effective' | 'inheritable' | 'permitted' | 'ambient', string[]>;
  noNewPrivileges: boolean;
  oomScoreAdj?: number;
}

/** A device node as the machine has it. */
export interface DeviceNode {
  path: string;
  type: 'c' | 'b';
  major: number;
  minor: number;
  fileMode: number;
  uid: number;
  gid: number;
  access: string;
}

/** What the bundle of a task is made from, beside its config. */
export interface BundleParts {
  options: ExecOptions;
  user: TaskUser;
  env: Record<string, string>;
  /** The program as the task sees it. */
  program: string;
  chroot: readonly OciMount[];
  devices: readonly DeviceNode[];
  /** Files to show as /etc/hosts and /etc/resolv.conf; null = the machine's own. */
  hostsFile: string | null;
  resolvFile: string | null;
  cgroup: string;
  /** Whether the kernel can limit swap. */
  limitsSwap: boolean;
  /** Whether the runtime can filter what a task asks of the kernel. */
  filtersCalls: boolean;
}

/** The config.json of a task. Throws a DriverError on what the agent does not allow. */
export function ociSpec(task: TaskConfig<ExecConfig>, parts: BundleParts): Record<string, unknown> {
  const { config, network } = task;
  const hasOwnPids = (config.pid_mode || parts.options.default_pid_mode) === 'private';
  const hasOwnIpc = (config.ipc_mode || parts.options.default_ipc_mode) === 'private';
  const namespaces: { type: string; path?: string }[] = [{ type: 'mount' }, { type: 'uts' }, { type: 'cgroup' }];
  if (hasOwnPids) namespaces.push({ type: 'pid' });
  if (hasOwnIpc) namespaces.push({ type: 'ipc' });
  if (network) namespaces.push({ type: 'network', path: network.netnsPath });
  const isShared = task.mounts.some(({ propagation }) => propagation === 'bidirectional');
  return {
    ociVersion: '1.0.2',
    process: taskProcess(task, parts),
    root: { path: task.taskDir, readonly: false },
    ...(network?.hostname ? { hostname: network.hostname } : {}),
    mounts: [...kernelMounts(hasOwnIpc), ...parts.chroot, ...taskMounts(task), ...fileMounts(parts)],
    linux: {
      namespaces,
      rootfsPropagation: isShared ? 'shared' : 'slave',
      cgroupsPath: parts.cgroup,
      maskedPaths: MASKED.split(' '),
      readonlyPaths: READ_ONLY.split(' '),
      ...(parts.filtersCalls
        ? { seccomp: seccompProfile(grantedCaps(task.config, parts.options), { hasOwnPids, arch: process.arch }) }
        : {}),
      devices: parts.devices.map(({ access: _access, ...node }) => node),
      resources: {
        ...limits(task, parts.limitsSwap),
        ...(parts.options.pids_limit > 0 ? { pids: { limit: parts.options.pids_limit } } : {}),
        devices: [
          { allow: false, access: 'rwm' },
          ...parts.devices.map(({ type, major, minor, access }) => ({ allow: true, type, major, minor, access })),
        ],
      },
    },
  };
}

function taskProcess(task: TaskConfig<ExecConfig>, parts: BundleParts): OciProcess {
  return {
    ...processOf(task, parts),
    terminal: false,
    args: [parts.program, ...task.config.args],
    oomScoreAdj: task.config.oom_score_adj,
  };
}

/** What all processes of a task have in common, those of `alloc exec` too. */
export function processOf(
  task: TaskConfig<ExecConfig>,
  parts: Pick<BundleParts, 'options' | 'user' | 'env' | 'devices'>,
): Omit<OciProcess, 'terminal' | 'args'> {
  const { uid, gid, groups } = parts.user;
  // Device nodes keep the machine's owner: who is to use one joins its group. Root's own opens more than a device.
  const ofDevices = parts.devices.map((device) => device.gid).filter((id) => id !== 0);
  const additionalGids = [...new Set([...groups, ...ofDevices])].filter((id) => id !== gid);
  return {
    user: { uid, gid, additionalGids },
    env: Object.entries(parts.env).map(([name, value]) => `${name}=${value}`),
    cwd: task.config.work_dir,
    capabilities: capabilities(task.config, parts),
    noNewPrivileges: true,
  };
}

/** Root has what is granted; another user only what the job adds by name: a set that others get would make them root. */
function capabilities(
  config: ExecConfig,
  { options, user }: Pick<BundleParts, 'options' | 'user'>,
): OciProcess['capabilities'] {
  const forbidden = forbiddenCaps(options.allow_caps, config.cap_add);
  if (forbidden.length > 0) {
    const message = `cap_add: ${forbidden.join(', ')} not allowed on this node (allow_caps of the exec plugin)`;
    throw new DriverError(message, { recoverable: false });
  }
  const granted = grantedCaps(config, options);
  const words = (list: Iterable<string>): string[] => [...list].map((name) => `CAP_${name.toUpperCase()}`);
  const own = words(user.uid === 0 ? granted : capNames(config.cap_add));
  const ambient = user.uid === 0 ? [] : own;
  return { bounding: words(granted), effective: own, permitted: own, inheritable: ambient, ambient };
}

function capNames(given: readonly string[]): string[] {
  return given.map(plainCap).flatMap((name) => (name === 'all' ? ALL_CAPS : [name]));
}

/** The most that a process of the task can have. */
function grantedCaps(config: ExecConfig, options: ExecOptions): Set<string> {
  const added = capNames(config.cap_add);
  const dropped = capNames(config.cap_drop).filter((name) => !added.includes(name));
  const allowed = new Set(capNames(options.allow_caps));
  const granted = [...DEFAULT_CAPS.filter((name) => allowed.has(name)), ...added];
  return new Set(granted.filter((name) => !dropped.includes(name)));
}

function kernelMounts(hasOwnIpc: boolean): OciMount[] {
  const mount = (destination: string, type: string, options: string): OciMount => ({
    destination,
    type,
    source: type,
    options: options.split(' '),
  });
  const shm: OciMount = hasOwnIpc
    ? mount('/dev/shm', 'tmpfs', 'nosuid noexec nodev mode=1777 size=65536k')
    : { destination: '/dev/shm', type: 'bind', source: '/dev/shm', options: ['rbind', 'nosuid', 'noexec', 'nodev'] };
  return [
    mount('/proc', 'proc', 'nosuid noexec nodev'),
    mount('/dev', 'tmpfs', 'nosuid strictatime mode=755 size=65536k'),
    mount('/dev/pts', 'devpts', 'nosuid noexec newinstance ptmxmode=0666 mode=0620'),
    shm,
    mount('/dev/mqueue', 'mqueue', 'nosuid noexec nodev'),
    mount('/sys', 'sysfs', 'nosuid noexec nodev ro'),
    mount('/sys/fs/cgroup', 'cgroup', 'nosuid noexec nodev relatime ro'),
  ];
}

const PROPAGATION: Record<TaskMount['propagation'], string> = {
  private: 'rprivate',
  'host-to-task': 'rslave',
  bidirectional: 'rshared',
};

function taskMounts(task: TaskConfig): OciMount[] {
  const bind = (destination: string, source: string, options: string[]): OciMount => ({
    destination: posix.join('/', destination),
    type: 'bind',
    source,
    options: ['rbind', ...options],
  });
  return [
    bind('/alloc', task.sharedDir, ['rw', 'rprivate']),
    ...task.mounts.map(({ hostPath, taskPath, readOnly, propagation }) =>
      bind(taskPath, hostPath, [readOnly ? 'ro' : 'rw', PROPAGATION[propagation]]),
    ),
  ];
}

function fileMounts({ hostsFile, resolvFile }: BundleParts): OciMount[] {
  const file = (destination: string, source: string | null): OciMount[] =>
    source === null ? [] : [{ destination, type: 'bind', source, options: ['bind', 'ro', 'rprivate'] }];
  return [...file('/etc/hosts', hostsFile), ...file('/etc/resolv.conf', resolvFile)];
}

/** Without swap: a task that outgrows its memory is to be ended, not to slow the whole node down. */
function limits({ resources }: TaskConfig, limitsSwap: boolean): Record<string, unknown> {
  const { hardBytes, softBytes } = memoryLimits(resources);
  return {
    memory: {
      ...(hardBytes === null ? {} : { limit: hardBytes, ...(limitsSwap ? { swap: hardBytes } : {}) }),
      ...(softBytes === null ? {} : { reservation: softBytes }),
    },
    cpu: {
      shares: cpuShares(resources.cpuMhz),
      ...(resources.cores.length > 0 ? { cpus: resources.cores.join(',') } : {}),
    },
  };
}
