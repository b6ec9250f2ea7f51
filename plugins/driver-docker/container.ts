import type { ContainerCreateOptions, HostConfig, MountSettings, PortMap } from 'dockerode';
import { DEFAULT_CAPS, forbiddenCaps, plainCap } from '../../lib/plugin/sdk/capabilities.js';
import type { TaskConfig, TaskMount } from '../../lib/plugin/sdk/driver.js';
import { matchesGlob } from '../../lib/util/glob.js';
import type { DockerConfig, DockerOptions } from './config.js';
import type { GivenDevices } from './devices.js';
import type { ContainerFiles } from './files.js';
import { hostPath, isVolumeName, volumesDisabled } from './host-paths.js';
import { imageReference } from './images.js';
import { ALLOC_LABEL, containerName, extraLabels, nameOf, OWNER_LABEL } from './labels.js';
import { logConfig } from './log-config.js';
import { sharedNetwork } from './networks.js';
import { refused } from './refused.js';
import { parseUlimit, parseVolume } from './task-problems.js';

const MIB = 1 << 20;
/** The engine's least and greatest share of the processor. */
const CPU_SHARES_MIN = 2;
const CPU_SHARES_MAX = 262_144;
const CFS_PERIOD_US = 100_000;
/** What the engine grants by itself. */
const ENGINE_CAPS = [...DEFAULT_CAPS, 'net_raw'];

/** What of the machine and its engine goes into a container. */
export interface ContainerMachine {
  cores: number;
  stateDir: string;
  devices: GivenDevices;
  files: ContainerFiles;
  /** A container has a name of its own also in a network that it shares. */
  namesEach: boolean;
  runtimes: readonly string[];
  /** Where the paths lie that its config binds, where that is elsewhere. */
  pins: ReadonlyMap<string, string>;
}

/** What the engine is asked to create for a task. Throws a DriverError on what the agent's config does not allow. */
export function containerOptions(
  task: TaskConfig<DockerConfig>,
  options: DockerOptions,
  machine: ContainerMachine,
): ContainerCreateOptions {
  const { config } = task;
  const network = networkOf(task);
  const published = network.isOwn ? publishedPorts(task) : {};
  const command = [...(config.command === '' ? [] : [config.command]), ...config.args];
  return {
    name: containerName(task),
    Image: imageReference(config.image),
    Env: Object.entries(task.env).map(([name, value]) => `${name}=${value}`),
    Labels: {
      ...config.labels,
      ...extraLabels(task, options.extra_labels),
      [ALLOC_LABEL]: task.allocId,
      [OWNER_LABEL]: machine.stateDir,
    },
    ...(command.length > 0 ? { Cmd: command } : {}),
    ...(config.entrypoint.length > 0 ? { Entrypoint: config.entrypoint } : {}),
    ...hostnameOf(task, machine),
    ...(task.user === '' ? {} : { User: task.user }),
    ...(config.work_dir === '' ? {} : { WorkingDir: config.work_dir }),
    ...(config.mac_address === '' ? {} : { MacAddress: config.mac_address }),
    ...(config.healthchecks?.disable ? { Healthcheck: { Test: ['NONE'] } } : {}),
    Tty: config.tty,
    OpenStdin: config.interactive,
    ExposedPorts: Object.fromEntries(Object.keys(published).map((port) => [port, {}])),
    HostConfig: {
      ...resourceLimits(task, options, machine),
      ...isolation(task, options, machine),
      SecurityOpt: machine.files.SecurityOpt,
      DeviceRequests: machine.devices.DeviceRequests,
      Binds: [...binds(task, options, machine.pins), ...machine.files.Binds],
      Mounts: [...config.mount, ...config.mounts].map((mount) => mountSettings(task, options, mount, machine.pins)),
      PortBindings: published,
      NetworkMode: network.mode,
      ...nameServers(task, network),
      LogConfig: logConfig(config, options),
      // The agent alone decides about restarts: it knows the job.
      RestartPolicy: { Name: '' },
      ...config.extra,
    },
    ...endpoint(config, network.mode),
  };
}

function publishedPorts(task: TaskConfig<DockerConfig>): PortMap {
  const result: PortMap = {};
  for (const label of task.config.ports) {
    const port = task.ports.find((port) => port.Label === label);
    if (!port) {
      const known = task.ports.map((port) => port.Label).join(', ') || 'none';
      throw refused(`ports: the group's network has no port "${label}" (it has: ${known})`);
    }
    const inside = port.To > 0 ? port.To : port.Value;
    for (const protocol of ['tcp', 'udp']) {
      const bindings = result[`${inside}/${protocol}`] ?? [];
      result[`${inside}/${protocol}`] = [...bindings, { HostIp: port.HostIP, HostPort: String(port.Value) }];
    }
  }
  return result;
}

function resourceLimits(
  task: TaskConfig<DockerConfig>,
  options: DockerOptions,
  machine: Pick<ContainerMachine, 'cores'>,
): HostConfig {
  const { config, resources } = task;
  const softMb = resources.memoryMb;
  const hardMb = Math.max(config.memory_hard_limit, resources.memoryMaxMb);
  if (hardMb > 0 && hardMb < softMb)
    throw refused(`memory_hard_limit (${hardMb} MB) is below the task's memory of ${softMb} MB: give at least that`);
  const limitMb = resources.memoryMaxMb < 0 ? 0 : hardMb || softMb;
  const period = config.cpu_cfs_period || CFS_PERIOD_US;
  const cpus = config.cpuset_cpus || resources.cores.join(',');
  const pidsLimit = config.pids_limit || options.pids_limit;
  if (options.pids_limit > 0 && pidsLimit > options.pids_limit) {
    throw refused(`pids_limit ${pidsLimit} is above what the agent's docker plugin allows: ${options.pids_limit}`);
  }
  return {
    Memory: limitMb * MIB,
    // Without swap: a task that outgrows its memory is to be ended, not to slow the whole node down.
    MemorySwap: limitMb * MIB,
    ...(limitMb !== softMb ? { MemoryReservation: softMb * MIB } : {}),
    CpuShares: Math.min(CPU_SHARES_MAX, Math.max(CPU_SHARES_MIN, Math.round(resources.cpuMhz))),
    ...(cpus === '' ? {} : { CpusetCpus: cpus }),
    ...(config.cpu_hard_limit
      ? {
          CpuPeriod: period,
          CpuQuota: Math.max(1000, Math.round((resources.cpuPercent / 100) * period * machine.cores)),
        }
      : {}),
    ...(pidsLimit > 0 ? { PidsLimit: pidsLimit } : {}),
    ...(config.shm_size > 0 ? { ShmSize: config.shm_size } : {}),
    OomScoreAdj: config.oom_score_adj || options.oom_score_adj,
    Ulimits: Object.entries(config.ulimit).map(([Name, value]) => {
      const limit = parseUlimit(value);
      return { Name, Soft: limit?.soft ?? 0, Hard: limit?.hard ?? 0 };
    }),
  };
}

function isolation(task: TaskConfig<DockerConfig>, options: DockerOptions, machine: ContainerMachine): HostConfig {
  const { config } = task;
  const { devices } = machine;
  if (config.privileged && !options.allow_privileged) {
    throw refused('privileged containers are not allowed on this node (allow_privileged of its plugin)');
  }
  for (const kind of ['pid', 'ipc', 'uts', 'userns'] as const) refuseMode(kind, config[`${kind}_mode`], options);
  if (config.volume_driver !== '' && !options.volumes?.enabled) throw volumesDisabled('volume_driver');
  const runtime = runtimeOf(task, options, machine);
  return {
    Privileged: config.privileged,
    ...capabilities(config, options),
    ReadonlyRootfs: config.readonly_rootfs,
    GroupAdd: [...config.group_add, ...devices.GroupAdd],
    Sysctls: config.sysctl,
    StorageOpt: config.storage_opt,
    ...(config.init ? { Init: true } : {}),
    ...(runtime === '' ? {} : { Runtime: runtime }),
    ...(config.ipc_mode === '' ? {} : { IpcMode: config.ipc_mode }),
    ...(config.pid_mode === '' ? {} : { PidMode: config.pid_mode }),
    ...(config.uts_mode === '' ? {} : { UTSMode: config.uts_mode }),
    ...(config.userns_mode === '' ? {} : { UsernsMode: config.userns_mode }),
    ...(config.cgroupns === '' ? {} : { CgroupnsMode: config.cgroupns }),
    ...(config.volume_driver === '' ? {} : { VolumeDriver: config.volume_driver }),
    Devices: [
      ...config.devices.map((device) => ({
        PathOnHost: device.host_path,
        PathInContainer: device.container_path || device.host_path,
        CgroupPermissions: device.cgroup_permissions,
      })),
      ...devices.Devices,
    ],
  };
}

/** Without `allowed_modes` only the node's own namespaces are refused; with it, all that it does not name. */
function refuseMode(kind: 'pid' | 'ipc' | 'uts' | 'userns', mode: string, options: DockerOptions): void {
  const { allow_privileged, allowed_modes } = options;
  if (mode === '' || allow_privileged || (!allowed_modes && mode !== 'host')) return;
  if (allowed_modes?.[kind].some((pattern) => matchesGlob(pattern, mode))) return;
  throw refused(
    `${kind}_mode = "${mode}" needs a node that allows it, or privileged containers: allowed_modes { ${kind} = ["${mode}"] } or allow_privileged in the config of its plugin`,
  );
}

/** The job's runtime; with NVIDIA's cards theirs, unless the engine hands them over by their CDI names. */
function runtimeOf(task: TaskConfig<DockerConfig>, options: DockerOptions, machine: ContainerMachine): string {
  const { runtime } = task.config;
  if (runtime !== '') {
    if (options.allow_runtimes.includes(runtime)) return runtime;
    throw refused(`runtime "${runtime}" is not allowed on this node (allow_runtimes of its plugin)`);
  }
  const hasCards = task.devices.some(({ Vendor, Type }) => Vendor === 'nvidia' && Type === 'gpu');
  if (!hasCards || machine.devices.DeviceRequests.length > 0) return '';
  return machine.runtimes.includes(options.nvidia_runtime) ? options.nvidia_runtime : '';
}

function capabilities(config: DockerConfig, options: DockerOptions): { CapAdd: string[]; CapDrop: string[] } {
  const forbidden = forbiddenCaps(options.allow_caps, config.cap_add);
  if (forbidden.length > 0) {
    throw refused(`cap_add: ${forbidden.join(', ')} not allowed on this node (allow_caps of its plugin)`);
  }
  // What the engine grants by itself, the agent must allow all the same.
  const denied = forbiddenCaps(options.allow_caps, ENGINE_CAPS);
  const words = (names: Iterable<string>): string[] => [...names].map((name) => name.toUpperCase());
  return {
    CapAdd: words(config.cap_add.map(plainCap)),
    CapDrop: words(new Set([...config.cap_drop.map(plainCap), ...denied])),
  };
}

function binds(task: TaskConfig<DockerConfig>, options: DockerOptions, pins: ContainerMachine['pins']): string[] {
  const label = options.volumes?.selinuxlabel ?? '';
  const withMode = (...words: string[]): string => {
    const mode = [...words, label].filter((word) => word !== '').join(',');
    return mode === '' ? '' : `:${mode}`;
  };
  const own = [
    `${task.sharedDir}:/alloc${withMode()}`,
    `${task.localDir}:/local${withMode()}`,
    `${task.secretsDir}:/secrets${withMode()}`,
  ];
  const volumes = task.config.volumes.map((volume) => {
    const { source, target, mode } = parseVolume(volume) ?? { source: '', target: '', mode: '' };
    const isName = isVolumeName(source, task.config.volume_driver);
    const path = isName ? source : hostPath(task, options, { key: 'volumes', source });
    const from = pins.get(path) ?? path;
    return `${from}:${target}${withMode(mode)}`;
  });
  return [...own, ...volumes, ...task.mounts.map(mountBind)];
}

const PROPAGATION: Record<TaskMount['propagation'], string> = {
  private: 'rprivate',
  'host-to-task': 'rslave',
  bidirectional: 'rshared',
};

function mountBind(mount: TaskMount): string {
  return `${mount.hostPath}:${mount.taskPath}:${mount.readOnly ? 'ro' : 'rw'},${PROPAGATION[mount.propagation]}`;
}

function mountSettings(
  task: TaskConfig<DockerConfig>,
  options: DockerOptions,
  mount: DockerConfig['mounts'][number],
  pins: ContainerMachine['pins'],
): MountSettings {
  const common = { Target: mount.target, Type: mount.type, ReadOnly: mount.readonly };
  if (mount.type === 'tmpfs') {
    const { size, mode } = mount.tmpfs_options ?? { size: 0, mode: 0 };
    return { ...common, Source: '', TmpfsOptions: { SizeBytes: size, Mode: mode } };
  }
  if (mount.type === 'bind') {
    const propagation = mount.bind_options?.propagation || 'rprivate';
    const path = hostPath(task, options, { key: 'mount', source: mount.source });
    return {
      ...common,
      Source: pins.get(path) ?? path,
      BindOptions: { Propagation: propagation as 'rprivate' },
    };
  }
  const given = mount.volume_options;
  const driver = given?.driver_config;
  // Without a driver's name too: the engine's own mounts any path of the node, if it is told to.
  if (!options.volumes?.enabled) throw volumesDisabled(`mount of the volume "${mount.source}"`);
  return {
    ...common,
    Source: mount.source,
    VolumeOptions: {
      NoCopy: given?.no_copy ?? false,
      Labels: given?.labels ?? {},
      DriverConfig: { Name: driver?.name ?? '', Options: driver?.options ?? {} },
    },
  };
}

interface ContainerNetwork {
  mode: string;
  /** Nobody else's: ports can be published and names given. */
  isOwn: boolean;
}

/** The job's network_mode; else what the group's tasks share; else the engine's own bridge. */
function networkOf({ config, network, allocId }: TaskConfig<DockerConfig>): ContainerNetwork {
  const mode = config.network_mode.replace(/^task:(.*)$/, (_, name: string) => `container:${nameOf(name, allocId)}`);
  if (mode !== '') return { mode, isOwn: mode !== 'host' && mode !== 'none' && !mode.startsWith('container:') };
  if (!network) return { mode: 'default', isOwn: true };
  const shared = sharedNetwork(network.labels);
  if (shared === undefined)
    throw refused("the group's network was not made by this driver: a container cannot join it");
  for (const [key, value] of Object.entries({ hostname: config.hostname, mac_address: config.mac_address })) {
    if (value !== '') throw refused(`${key} belongs to the group's network: write it there, not in the task's config`);
  }
  return { mode: shared, isOwn: false };
}

function hostnameOf({ config, network }: TaskConfig<DockerConfig>, machine: ContainerMachine): { Hostname?: string } {
  const given = config.hostname || (machine.namesEach && config.network_mode === '' ? (network?.hostname ?? '') : '');
  return given === '' ? {} : { Hostname: given };
}

/** The engine refuses names for a network that is somebody else's: there they stand in the files of `networkFiles`. */
function nameServers({ config, dns }: TaskConfig<DockerConfig>, network: ContainerNetwork): HostConfig {
  if (network.mode.startsWith('container:')) return {};
  return {
    Dns: config.dns_servers.length > 0 ? config.dns_servers : (dns?.servers ?? []),
    DnsSearch: config.dns_search_domains.length > 0 ? config.dns_search_domains : (dns?.searches ?? []),
    DnsOptions: config.dns_options.length > 0 ? config.dns_options : (dns?.options ?? []),
    ExtraHosts: config.extra_hosts,
  };
}

function endpoint(config: DockerConfig, network: string): Pick<ContainerCreateOptions, 'NetworkingConfig'> {
  const { ipv4_address, ipv6_address, network_aliases } = config;
  if (ipv4_address === '' && ipv6_address === '' && network_aliases.length === 0) return {};
  if (['default', 'bridge', 'host', 'none'].includes(network) || network.startsWith('container:')) {
    throw refused('ipv4_address, ipv6_address and network_aliases need network_mode to name a network of your own');
  }
  const settings = {
    Aliases: network_aliases,
    IPAMConfig: { IPv4Address: ipv4_address, IPv6Address: ipv6_address },
  };
  return { NetworkingConfig: { EndpointsConfig: { [network]: settings } } };
}
