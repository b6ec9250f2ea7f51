import { DEFAULT_CHROOT } from '../plugin/sdk/chroot.js';
import type { HostNetworkInfo, HostVolumeInfo } from '../structs/node.js';
import type { Millis } from '../util/clock.js';
import {
  type ArtifactConfig,
  DEFAULT_ARTIFACT_CONFIG,
  DEFAULT_TEMPLATE_CONFIG,
  type TemplateConfig,
} from './content-config.js';
import type { CloudWish } from './fingerprint/cloud.js';
import type { BridgeSettings } from './network/conflist.js';

/** How this client is set up. All directories are absolute. */
export interface ClientConfig {
  /** Where identity and state are kept; null = keep nothing, and stop all tasks on shutdown (`agent -dev`). */
  stateDir: string | null;
  /** Parent of the allocation directories. */
  allocDir: string;
  nodeName: string;
  datacenter: string;
  region: string;
  nodeClass: string;
  nodePool: string;
  meta: Record<string, string>;
  /** What is kept from the scheduler; ReservedHostPorts as Nomad writes them ("22,80,8500-8600"). */
  reserved: { cpuMhz: number; cores: readonly number[]; memoryMb: number; diskMb: number; ports: string };
  /** The only cores that tasks may have whole; null = all that are not reserved. */
  reservableCores: readonly number[] | null;
  hostVolumes: Record<string, HostVolumeInfo>;
  /** Where dynamic host volumes are made, and the programs that make them. */
  hostVolumesDir: string;
  hostVolumePluginDir: string;
  /** Where plugins of several kinds lie, each kind in a directory of its own: `secrets`. */
  commonPluginDir: string;
  /** Where copies of the data of volumes lie, of this node's and of others'. */
  archivesDir: string;
  /** Where sockets of CSI plugins lie, and volumes are mounted. Its path should be short: a socket's has 107 bytes. */
  csiDir: string;
  /** CSI plugins that run outside, by id. */
  csiPlugins: Readonly<Record<string, { socket: string; type: 'controller' | 'node' | 'monolith' }>>;
  /** The interface whose address tasks' ports are bound to; null = the one of the default route. */
  networkInterface: string | null;
  /** Says the link's speed where the kernel does not know it, MBit/s; null = ask the kernel, else 1000. */
  networkSpeedMbits: number | null;
  /** Which addresses of an interface come first. */
  preferredFamily: 'ipv4' | 'ipv6';
  /** The networks of groups with a namespace of their own. */
  network: NetworkConfig;
  /** Addresses of this machine under names of their own, by name. */
  hostNetworks: Record<string, HostNetworkInfo>;
  /** Clouds that are asked what they know of this machine. */
  clouds: readonly CloudWish[];
  /** Overrides of what the fingerprint finds; null = as found. */
  cpuTotalMhz: number | null;
  memoryTotalMb: number | null;
  diskTotalMb: number | null;
  /** How many allocations the servers may place here at once; 0 = as many as there is room for. */
  nodeMaxAllocs: number;
  /** A node that the servers do not know yet takes work only once a person allows it. */
  defaultIneligible: boolean;
  /** Whether jobs' services can be listed with this node's address. */
  serviceDiscovery: boolean;
  /** Upper limit of a task's kill_timeout. */
  maxKillTimeoutMs: Millis;
  minDynamicPort: number;
  maxDynamicPort: number;
  /** What tasks of drivers that shut them up in their directory see of the machine: path here → path in the task. */
  chrootEnv: Readonly<Record<string, string>>;
  /** What tasks are told where their driver does not say below which control group it makes theirs. */
  cgroupParent: string;
  /** From which numbers tasks get a user of their own, both ends included; −1: from none. */
  dynamicUsers: { min: number; max: number };
  /** Users as whom tasks of these drivers do not run. */
  deniedUsers: { names: readonly string[]; drivers: readonly string[] };
  /** Names of the agent's environment variables that tasks without a root of their own do not inherit. */
  envDenylist: readonly string[];
  template: TemplateConfig;
  /** Puts this machine to sleep when the autoscaler asks; [] = it never sleeps. */
  sleepCommand: readonly string[];
  artifact: ArtifactConfig;
  gc: {
    intervalMs: Millis;
    parallelDestroys: number;
    maxAllocs: number;
    diskUsagePercent: number;
    inodeUsagePercent: number;
  };
}

/** How groups get a network of their own. */
export interface NetworkConfig {
  /** Directories with CNI plugins, in the order in which they are searched. */
  cniPath: readonly string[];
  /** The directory with the configurations of `cni/NAME`. */
  cniConfigDir: string;
  bridge: BridgeSettings;
  /** Maps ports on all addresses of the node, not only on the one that the port is for. */
  anyAddress: boolean;
}

/** Nomad's defaults; Debian and Fedora keep their plugins elsewhere than the CNI project does. */
export const DEFAULT_NETWORK_CONFIG: NetworkConfig = {
  cniPath: ['/opt/cni/bin', '/usr/lib/cni', '/usr/libexec/cni'],
  cniConfigDir: '/opt/cni/config',
  bridge: { name: 'nomad', subnet: '172.26.64.0/20', subnetIpv6: '', hairpin: false },
  anyAddress: true,
};

/** Nomad's defaults for everything but the directories and the names. */
export function defaultClientConfig(
  needed: Pick<ClientConfig, 'stateDir' | 'allocDir' | 'nodeName'> & Partial<ClientConfig>,
): ClientConfig {
  return {
    datacenter: 'dc1',
    region: 'global',
    nodeClass: '',
    nodePool: 'default',
    meta: {},
    reservableCores: null,
    reserved: { cpuMhz: 0, cores: [], memoryMb: 0, diskMb: 0, ports: '' },
    hostVolumes: {},
    hostVolumesDir: `${needed.allocDir}.volumes`,
    hostVolumePluginDir: `${needed.allocDir}.volume_plugins`,
    commonPluginDir: `${needed.allocDir}.common_plugins`,
    archivesDir: `${needed.allocDir}.archives`,
    csiDir: `${needed.allocDir}.csi`,
    csiPlugins: {},
    networkInterface: null,
    networkSpeedMbits: null,
    preferredFamily: 'ipv4',
    network: DEFAULT_NETWORK_CONFIG,
    hostNetworks: {},
    clouds: [],
    cpuTotalMhz: null,
    memoryTotalMb: null,
    diskTotalMb: null,
    nodeMaxAllocs: 0,
    defaultIneligible: false,
    serviceDiscovery: true,
    maxKillTimeoutMs: 30_000,
    minDynamicPort: 20_000,
    maxDynamicPort: 32_000,
    chrootEnv: DEFAULT_CHROOT,
    cgroupParent: 'nomad.slice',
    dynamicUsers: { min: 80_000, max: 89_999 },
    deniedUsers: DEFAULT_DENIED_USERS,
    envDenylist: DEFAULT_ENV_DENYLIST,
    template: DEFAULT_TEMPLATE_CONFIG,
    sleepCommand: [],
    artifact: DEFAULT_ARTIFACT_CONFIG,
    gc: { intervalMs: 60_000, parallelDestroys: 2, maxAllocs: 50, diskUsagePercent: 80, inodeUsagePercent: 70 },
    ...needed,
  };
}

/** Nomad's `user.denylist` and `user.checked_drivers`: what is to be held apart from the machine does not run as its master. */
export const DEFAULT_DENIED_USERS: ClientConfig['deniedUsers'] = {
  names: ['root', 'Administrator'],
  drivers: ['exec', 'qemu', 'java'],
};

/** What lets a machine into the mesh: whatever the configuration says, no task sees it. */
export const OWN_ENV_DENYLIST: readonly string[] = ['MESHNOMAD_JOIN_KEY'];

/** Credentials of the agent that no task should see (Nomad's `env.denylist` default, and this agent's own). */
export const DEFAULT_ENV_DENYLIST: readonly string[] = [
  ...OWN_ENV_DENYLIST,
  'CONSUL_TOKEN',
  'CONSUL_HTTP_TOKEN',
  'CONSUL_HTTP_TOKEN_FILE',
  'NOMAD_TOKEN',
  'NOMAD_LICENSE',
  'VAULT_TOKEN',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'GOOGLE_APPLICATION_CREDENTIALS',
];
