import type { Duplex } from 'node:stream';
import type { AllocatedDevice, AllocatedPort } from '../../structs/resources.js';
import type { TaskResourceUsage } from '../../structs/rpc.js';

/** What a driver offers beyond starting and stopping. */
export interface DriverCapabilities {
  /** Can deliver signals to the task. */
  sendSignals: boolean;
  /** Can run a command inside the task's environment. */
  exec: boolean;
  /** 'none': the task sees the host's files; 'image': its own root; 'chroot': a tree built in the task directory. */
  fsIsolation: 'none' | 'chroot' | 'image';
  /** With 'image': its engine is another user's than the agent, and goes only where that user may. */
  foreignEngine?: boolean;
  /** With 'chroot': it shows the machine's files to its tasks itself; else it finds them in the task's directory (`chroot_env`). */
  buildsRoot?: boolean;
  /** Whom a task runs as when its job names nobody; absent: the agent's user, or the image's. */
  defaultUser?: string;
  /** Below which control group those of its tasks lie, which know it as NOMAD_PARENT_CGROUP. */
  cgroupParent?: string;
  /** Wants a user of its own for each task whose job names nobody: a number in `nomad-NUMBER`, without an entry in passwd(5). */
  ownUsers?: boolean;
  /** Its tasks run in the namespace of `TaskConfig.network`; a driver with `createNetwork` need not say so. */
  joinsNetwork?: boolean;
}

export interface DriverFingerprint {
  /** 'undetected': its engine is not there at all; 'unhealthy': there, but not usable now. */
  health: 'healthy' | 'unhealthy' | 'undetected';
  healthDescription: string;
  /** Node attributes such as `driver.docker.version`; `driver.NAME = "1"` is added when healthy. */
  attributes: Record<string, string>;
}

/** A bind into the task's file system. */
export interface TaskMount {
  hostPath: string;
  taskPath: string;
  readOnly: boolean;
  propagation: 'private' | 'host-to-task' | 'bidirectional';
}

/** A device node that the task may open. */
export interface TaskDevice {
  hostPath: string;
  taskPath: string;
  /** Some of "rwm": read, write, mknod. */
  permissions: string;
}

/** The network namespace that the tasks of a group share. */
export interface TaskNetwork {
  /** As the job says it: 'bridge', 'none' or 'cni/NAME'. */
  mode: string;
  /** Path of the namespace, to be joined with setns(2). */
  netnsPath: string;
  /** What `createNetwork` of the driver that made it gave; {} when the client made it. */
  labels: Record<string, string>;
  /** Its own address in there, '' with 'none'. */
  ip: string;
  /** '' = the driver's default. */
  hostname: string;
  /** Files to show as /etc/hosts and /etc/resolv.conf to a task with a root of its own; null = the driver's own. */
  hostsFile: string | null;
  resolvFile: string | null;
}

/** Everything a driver needs to start a task: the config is already interpolated and decoded by `decodeConfig`. */
export interface TaskConfig<C = unknown> {
  /** `allocId/taskName/8 random hex`: unique for each start. */
  id: string;
  allocId: string;
  jobId: string;
  jobName: string;
  namespace: string;
  nodeId: string;
  nodeName: string;
  taskGroup: string;
  name: string;
  user: string;
  config: C;
  env: Record<string, string>;
  resources: { cpuMhz: number; cpuPercent: number; memoryMb: number; memoryMaxMb: number; cores: number[] };
  ports: AllocatedPort[];
  /** Null: the host's network. */
  network: TaskNetwork | null;
  /** What the scheduler gave the task; what it takes to use it is in `deviceNodes`, `cdiDevices`, `mounts` and `env`. */
  devices: AllocatedDevice[];
  deviceNodes: TaskDevice[];
  /** Names such as `nvidia.com/gpu=GPU-…`, for engines that know the Container Device Interface. */
  cdiDevices: string[];
  mounts: TaskMount[];
  dns: { servers: string[]; searches: string[]; options: string[] } | null;
  /** Host paths of the allocation directory's parts. */
  allocDir: string;
  /** `<alloc>/alloc`: shared by the tasks of the group. */
  sharedDir: string;
  /** `<alloc>/<task>`. */
  taskDir: string;
  localDir: string;
  secretsDir: string;
  /** Where output goes: `<logDir>/<task>.stdout.N` and `.stderr.N`, the highest N being written. */
  logDir: string;
  logMaxFiles: number;
  logMaxFileSizeBytes: number;
  logsDisabled: boolean;
}

/** What lets a restarted agent find a running task again: JSON-serialisable, stored in the client's state. */
export interface TaskHandle {
  driver: string;
  version: number;
  taskId: string;
  state: Record<string, unknown>;
  /** Where the task is reached past the node's own ports, on a network of its engine's; absent: nowhere. */
  address?: TaskAddress;
}

/** The address that a driver's own network gave to a task. */
export interface TaskAddress {
  ip: string;
  /** Others reach it there, so that services with `address_mode = "auto"` are listed there. */
  advertise: boolean;
}

export interface ExitResult {
  exitCode: number;
  signal: number;
  oomKilled: boolean;
  /** Set when the driver cannot say how the task ended (the engine lost it, the machine rebooted). */
  error?: string;
  /** It did not end by itself: its engine, or the machine, was ended or restarted under it. It is started again, and that counts for no failure. */
  lost?: boolean;
}

/** A message for the task's event list (pull progress and the like). */
export interface DriverEvent {
  taskId: string;
  message: string;
  annotations: Record<string, string>;
}

/** Raised by a driver: `recoverable` failures (a registry that timed out) count as a restart attempt, others fail the task. */
export class DriverError extends Error {
  readonly recoverable: boolean;
  /** Nobody answered where the driver's engine should be: that says nothing of the task, and counts for no failure of its own. */
  readonly away: boolean;

  /** By its name and shape: the plugin of a package has a copy of this class of its own. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === 'DriverError' && 'recoverable' in value;
  }

  constructor(message: string, options: { recoverable: boolean; away?: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'DriverError';
    this.recoverable = options.recoverable;
    this.away = options.away === true;
  }
}

/** A problem in a config: `path` is like `ports[0]`; `message` goes on behind it ("must be a list, not 5"). */
export interface ConfigProblem {
  path: string;
  message: string;
  /** Nothing is known by that name, whatever its value. */
  isUnknownKey?: true;
}

/** A running driver. All methods but `decodeConfig` may be called at the same time for different tasks. */
export interface Driver<C = unknown> {
  readonly name: string;
  readonly capabilities: DriverCapabilities;
  /** Checks and decodes a task's `config` block (JSON values as the job file gave them); unknown keys are problems. Pure. */
  decodeConfig(config: Record<string, unknown>): { config: C } | { problems: ConfigProblem[] };
  fingerprint(): Promise<DriverFingerprint>;
  /** Starts the task; the promise settles when it runs. `onEvent` hears progress. `signal` aborts a start under way. */
  startTask(
    task: TaskConfig<C>,
    options: { onEvent: (event: DriverEvent) => void; signal: AbortSignal },
  ): Promise<TaskHandle>;
  /** Takes a task up again after a restart of the agent. Throws DriverError when it is not to be found. Log collection goes on without a gap. */
  recoverTask(
    handle: TaskHandle,
    task: TaskConfig<C>,
    options?: { onEvent: (event: DriverEvent) => void },
  ): Promise<void>;
  /** Why what such a task prints cannot be read from its log files; '' = it can. `config` is as in the job. Pure. Absent: it always can. */
  whyNoOutput?(config: Record<string, unknown>): string;
  /** Settles when the task has ended, also when it had ended before the call or while no agent ran. */
  waitTask(taskId: string): Promise<ExitResult>;
  /** Asks it to end (`signal`, default the driver's own), kills it after `timeoutMs`. Settles when it has ended. */
  stopTask(taskId: string, options: { timeoutMs: number; signal: string }): Promise<void>;
  /** Removes what is left of an ended task (container, cgroup, supervisor files); with `force` a running one too. Idempotent. */
  destroyTask(taskId: string, options: { force: boolean }): Promise<void>;
  signalTask(taskId: string, signal: string): Promise<void>;
  taskStats(taskId: string): Promise<TaskResourceUsage>;
  /** Runs a command inside: an object-mode Duplex of ExecInput in and ExecOutput out (structs/rpc). Ends after 'exited'. */
  execTask(taskId: string, options: { command: string[]; tty: boolean }): Duplex;
  /**
   * For engines whose tasks cannot join a namespace that somebody else made: makes the one which the tasks of `allocId`
   * share. Idempotent: what is there already is given back. Nobody but the client calls CNI plugins on it.
   */
  createNetwork?(
    allocId: string,
    options: { hostname: string },
  ): Promise<{ netnsPath: string; labels: Record<string, string> }>;
  /** Removes it. Idempotent. */
  destroyNetwork?(allocId: string, labels: Record<string, string>): Promise<void>;
  /**
   * Ends the tasks that an earlier agent with this state directory started and did not live to record: nobody knows
   * their handles. To be called once, after every known task was taken up again. Gives what was ended, in words.
   */
  reapUnknown?(): Promise<string[]>;
  /** Lets go of connections and timers; tasks go on running. */
  close(): Promise<void>;
}

/** A driver package's default export. `options` is the agent's config of `plugin "name"`. */
export interface DriverPlugin {
  /** What the plugin of a package is; a bundled one need not say it. */
  readonly kind?: 'driver';
  readonly name: string;
  /** Checks the agent's plugin config; returns the problems. Pure. */
  configProblems(config: Record<string, unknown>): ConfigProblem[];
  create(options: DriverOptions): Driver;
}

export interface DriverOptions {
  config: Record<string, unknown>;
  /** A directory the driver may keep small state in; survives restarts of the agent. */
  stateDir: string;
  log: (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;
}
