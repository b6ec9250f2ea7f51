import { type Duplex, PassThrough } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import type { Fingerprint } from '../../lib/client/fingerprint/fact.js';
import type { Timers } from '../../lib/client/timers.js';
import {
  type Driver,
  DriverError,
  type ExitResult,
  type TaskConfig,
  type TaskHandle,
} from '../../lib/plugin/sdk/driver.js';
import type { Allocation, TaskState } from '../../lib/structs/allocation.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { Job, RestartPolicy, Task, TaskGroup } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { ClientAllocUpdate, RpcMethods } from '../../lib/structs/rpc.js';
import type { CallOptions, RpcCaller, RpcMethod } from '../../lib/transport/rpc.js';

/** Waits until `test` holds; fails after fifteen seconds. */
export async function until(test: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!test()) {
    if (Date.now() > deadline) throw new Error(`never came true: ${what}`);
    await wait(1);
  }
}

/** Timers that move only when told to. */
export class FakeTimers implements Timers {
  private nowMs = Date.parse('2026-01-01T00:00:00Z');
  private readonly due = new Set<{ atMs: number; fn: () => void }>();

  now(): number {
    return this.nowMs;
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { atMs: this.nowMs + ms, fn };
    this.due.add(timer);
    return () => this.due.delete(timer);
  }

  /** The delays of all timers that wait, in ms from now, shortest first. */
  get delays(): number[] {
    return [...this.due].map(({ atMs }) => atMs - this.nowMs).sort((a, b) => a - b);
  }

  /** Moves on and calls what falls due, in order. */
  advance(ms: number): void {
    const end = this.nowMs + ms;
    for (;;) {
      const next = [...this.due].filter(({ atMs }) => atMs <= end).sort((a, b) => a.atMs - b.atMs)[0];
      if (!next) break;
      this.due.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.fn();
    }
    this.nowMs = end;
  }
}

interface FakeTask {
  config: TaskConfig;
  ended: ExitResult | null;
  end: (exit: ExitResult) => void;
  exit: Promise<ExitResult>;
}

/** An engine whose tasks outlive the drivers that talk to it. */
export class FakeEngine {
  /** Set: nobody is told what has become of a task until this settles. */
  recoverGate: Promise<void> | null = null;
  readonly tasks = new Map<string, FakeTask>();
  readonly destroyed: string[] = [];
  readonly stopped: string[] = [];
  reachable = true;

  running(name?: string): FakeTask[] {
    return [...this.tasks.values()].filter((task) => !task.ended && (name === undefined || task.config.name === name));
  }

  /** The one running task of that name. */
  task(name: string): FakeTask {
    const found = this.running(name);
    if (found.length !== 1) throw new Error(`${found.length} tasks named ${name} run`);
    return found[0] as FakeTask;
  }
}

export function exitOf(exitCode: number): ExitResult {
  return { exitCode, signal: 0, oomKilled: false };
}

/** A driver over a fake engine; `startError` makes the next starts fail. */
export class FakeDriver implements Driver {
  readonly name = 'fake';
  readonly capabilities = { sendSignals: true, exec: true, fsIsolation: 'none' as const };
  readonly signals: string[] = [];
  startError: DriverError | null = null;
  /** Set: a start settles only when this does. */
  startGate: Promise<void> | null = null;
  /** Set: the driver's fingerprint settles only when this does. */
  fingerprintGate: Promise<void> | null = null;
  private readonly mine = new Set<string>();
  private readonly engine: FakeEngine;

  constructor(engine: FakeEngine) {
    this.engine = engine;
  }

  decodeConfig(config: Record<string, unknown>): ReturnType<Driver['decodeConfig']> {
    return 'bad' in config ? { problems: [{ path: 'bad', message: 'is not known' }] } : { config };
  }

  async fingerprint(): ReturnType<Driver['fingerprint']> {
    await this.fingerprintGate;
    return { health: 'healthy', healthDescription: '', attributes: { 'driver.fake.version': '1' } };
  }

  async startTask(config: TaskConfig, { signal }: { signal: AbortSignal }): Promise<TaskHandle> {
    await this.startGate;
    if (signal.aborted) throw new DriverError('aborted', { recoverable: false });
    if (this.startError) throw this.startError;
    const task: FakeTask = { config, ended: null, end: () => {}, exit: Promise.resolve(exitOf(0)) };
    task.exit = new Promise((resolve) => {
      task.end = (exit) => {
        task.ended ??= exit;
        resolve(task.ended);
      };
    });
    this.engine.tasks.set(config.id, task);
    this.mine.add(config.id);
    return { driver: 'fake', version: 1, taskId: config.id, state: { id: config.id } };
  }

  async recoverTask(handle: TaskHandle): Promise<void> {
    await this.engine.recoverGate;
    if (!this.engine.reachable) throw new DriverError('the engine does not answer', { recoverable: true });
    if (!this.engine.tasks.has(handle.taskId)) throw new DriverError('no such task', { recoverable: false });
    this.mine.add(handle.taskId);
  }

  async waitTask(taskId: string): Promise<ExitResult> {
    return await this.find(taskId).exit;
  }

  async stopTask(taskId: string): Promise<void> {
    this.engine.stopped.push(this.find(taskId).config.name);
    this.find(taskId).end(exitOf(143));
  }

  async destroyTask(taskId: string, { force }: { force: boolean }): Promise<void> {
    this.engine.destroyed.push(taskId);
    const task = this.engine.tasks.get(taskId);
    if (force) task?.end(exitOf(137));
    if (task && !task.ended) throw new DriverError('still running', { recoverable: false });
    this.engine.tasks.delete(taskId);
    this.mine.delete(taskId);
  }

  async signalTask(_taskId: string, signal: string): Promise<void> {
    this.signals.push(signal);
  }

  async taskStats(taskId: string): ReturnType<Driver['taskStats']> {
    this.find(taskId);
    const MemoryStats = {
      RSS: 7,
      Cache: 0,
      Swap: 0,
      Usage: 7,
      MaxUsage: 7,
      KernelUsage: 0,
      KernelMaxUsage: 0,
      Measured: ['RSS'],
    };
    const CpuStats = {
      SystemMode: 0,
      UserMode: 0,
      TotalTicks: 3,
      ThrottledPeriods: 0,
      ThrottledTime: 0,
      Percent: 1,
      Measured: ['Percent'],
    };
    return { ResourceUsage: { MemoryStats, CpuStats, DeviceStats: [] }, Timestamp: 1, Pids: null };
  }

  execTask(): Duplex {
    return new PassThrough({ objectMode: true });
  }

  async close(): Promise<void> {}

  private find(taskId: string): FakeTask {
    const task = this.engine.tasks.get(taskId);
    if (!task || !this.mine.has(taskId)) throw new DriverError(`unknown task ${taskId}`, { recoverable: false });
    return task;
  }
}

/** A server with one node's allocations; blocking queries are answered when something changes. */
export class FakeServer implements RpcCaller {
  /** How often identities were signed, and when they end (unix seconds). */
  signed = 0;
  expiration = 0;
  readonly allocs = new Map<string, Allocation>();
  readonly reports: ClientAllocUpdate[][] = [];
  readonly registered: Node[] = [];
  readonly calls: string[] = [];
  /** Those that do not wait for a link. */
  readonly hasty: string[] = [];
  index = 10;
  /** Set: every call fails with it. */
  down: MeshError | null = null;
  private waiting = new Set<() => void>();

  /** The newest state reported of an allocation. */
  reported(id: string): ClientAllocUpdate | undefined {
    return this.reports.flat().findLast((update) => update.ID === id);
  }

  put(alloc: Allocation): Allocation {
    this.index++;
    const stored = { ...alloc, AllocModifyIndex: this.index, ModifyIndex: this.index };
    this.allocs.set(alloc.ID, stored);
    this.wake();
    return stored;
  }

  forget(id: string): void {
    this.index++;
    this.allocs.delete(id);
    this.wake();
  }

  wake(): void {
    for (const answer of [...this.waiting]) answer();
  }

  async call<M extends RpcMethod>(
    method: M,
    args: RpcMethods[M]['args'],
    options: CallOptions = {},
  ): Promise<RpcMethods[M]['reply']> {
    this.calls.push(method);
    if (options.linklessMs !== undefined) this.hasty.push(method);
    if (this.down) throw this.down;
    return (await this.answer(method, args as Record<string, unknown>, options.signal)) as RpcMethods[M]['reply'];
  }

  stream(): Duplex {
    throw new Error('the client opens no streams');
  }

  private async answer(method: RpcMethod, args: Record<string, unknown>, signal?: AbortSignal): Promise<unknown> {
    const meta = { LastContactMs: 0, KnownLeader: true };
    switch (method) {
      case 'Node.Register':
        this.registered.push(args['Node'] as Node);
        return { HeartbeatTTLMs: 10_000, NodeModifyIndex: 1, EvalIDs: [], Servers: ['a:1'], Index: this.index };
      case 'Node.UpdateStatus':
        return { HeartbeatTTLMs: 10_000, NodeModifyIndex: 1, EvalIDs: [], Servers: [], Index: this.index };
      case 'Node.UpdateAlloc':
        this.reports.push(args['Alloc'] as ClientAllocUpdate[]);
        return { Index: this.index };
      case 'Node.GetClientAllocs': {
        while (this.index <= (args['MinQueryIndex'] as number)) await this.change(signal);
        const Allocs = Object.fromEntries([...this.allocs.values()].map((a) => [a.ID, a.AllocModifyIndex]));
        return { ...meta, Allocs, Index: this.index };
      }
      case 'Alloc.GetAllocs': {
        const Allocs = (args['AllocIDs'] as string[]).flatMap((id) => this.allocs.get(id) ?? []);
        return { ...meta, Allocs, Index: this.index };
      }
      case 'Alloc.SignIdentities': {
        const names = args['Identities'] as string[];
        this.signed++;
        const Signed = names.map((name) => [name, { JWT: `${name}-${this.signed}`, Expiration: this.expiration }]);
        return { ...meta, Signed: Object.fromEntries(Signed), Index: this.index };
      }
      default:
        throw new MeshError('E_NOT_SUPPORTED', method);
    }
  }

  private change(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const answer = (): void => {
        this.waiting.delete(answer);
        if (signal?.aborted) reject(new MeshError('E_TIMEOUT', 'gone'));
        else resolve();
      };
      this.waiting.add(answer);
      signal?.addEventListener('abort', answer, { once: true });
    });
  }
}

/** Facts that are the same on every machine. */
export const FAKE_FINGERPRINTS: readonly Fingerprint[] = [
  {
    name: 'fake',
    periodMs: null,
    run: async () => ({
      attributes: { 'kernel.name': 'linux', 'unique.hostname': 'box' },
      cpu: { totalMhz: 4000, cores: 2 },
      memoryMb: 2048,
      diskMb: 10_000,
    }),
  },
];

export const POLICY: RestartPolicy = {
  Attempts: 2,
  Interval: 1800e9,
  Delay: 15e9,
  Mode: 'fail',
  RenderTemplates: false,
};

export function fakeTask(fields: Partial<Task> = {}): Task {
  return {
    Name: 'web',
    Driver: 'fake',
    User: '',
    Config: {},
    Env: null,
    Services: null,
    Resources: {
      CPU: 100,
      Cores: 0,
      MemoryMB: 64,
      MemoryMaxMB: 0,
      DiskMB: 0,
      IOPS: 0,
      SecretsMB: 0,
      Networks: null,
      Devices: null,
      NUMA: null,
    },
    RestartPolicy: POLICY,
    Meta: null,
    Constraints: null,
    Affinities: null,
    KillTimeout: 5e9,
    KillSignal: '',
    LogConfig: { MaxFiles: 10, MaxFileSizeMB: 10, Enabled: null, Disabled: false },
    Artifacts: null,
    Templates: null,
    DispatchPayload: null,
    VolumeMounts: null,
    CSIPluginConfig: null,
    Leader: false,
    Lifecycle: null,
    ShutdownDelay: 0,
    Kind: '',
    Vault: null,
    Consul: null,
    ScalingPolicies: null,
    Identity: null,
    Identities: null,
    Secrets: null,
    Actions: null,
    Schedule: null,
    ...fields,
  };
}

export function fakeGroup(tasks: Task[] = [fakeTask()], fields: Partial<TaskGroup> = {}): TaskGroup {
  return {
    Name: 'group',
    Count: 1,
    Constraints: null,
    Affinities: null,
    Spreads: null,
    Networks: null,
    Services: null,
    Volumes: null,
    RestartPolicy: POLICY,
    ReschedulePolicy: null,
    Disconnect: null,
    EphemeralDisk: { Sticky: false, SizeMB: 300, Migrate: false },
    Update: null,
    Migrate: null,
    Scaling: null,
    Consul: null,
    ShutdownDelay: null,
    MaxRunDuration: null,
    StopAfterClientDisconnect: null,
    MaxClientDisconnect: null,
    PreventRescheduleOnLost: false,
    Meta: null,
    Tasks: tasks,
    ...fields,
  };
}

export function fakeJob(group: TaskGroup = fakeGroup(), fields: Partial<Job> = {}): Job {
  return {
    ID: 'job',
    Name: 'job',
    Namespace: 'default',
    Region: 'global',
    Type: 'service',
    Priority: 50,
    AllAtOnce: false,
    Datacenters: ['*'],
    NodePool: 'default',
    Constraints: null,
    Affinities: null,
    Spreads: null,
    TaskGroups: [group],
    Update: null,
    Multiregion: null,
    Periodic: null,
    ParameterizedJob: null,
    Dispatched: false,
    DispatchIdempotencyToken: '',
    Payload: null,
    Meta: null,
    ParentID: '',
    UI: null,
    ConsulToken: '',
    ConsulNamespace: '',
    VaultToken: '',
    VaultNamespace: '',
    NomadTokenID: '',
    Stop: false,
    Status: 'running',
    StatusDescription: '',
    Stable: false,
    Version: 0,
    VersionTag: null,
    SubmitTime: 0,
    CreateIndex: 1,
    ModifyIndex: 1,
    JobModifyIndex: 1,
    ...fields,
  };
}

export function fakeAlloc(nodeId: string, job: Job = fakeJob(), fields: Partial<Allocation> = {}): Allocation {
  const tasks = job.TaskGroups[0]?.Tasks ?? [];
  return {
    ID: '11111111-2222-4333-8444-555555555555',
    Namespace: 'default',
    EvalID: '',
    Name: 'job.group[0]',
    NodeID: nodeId,
    NodeName: 'box',
    JobID: job.ID,
    Job: job,
    TaskGroup: 'group',
    AllocatedResources: {
      Tasks: Object.fromEntries(
        tasks.map((task) => [
          task.Name,
          {
            Cpu: { CpuShares: 100, ReservedCores: null },
            Memory: { MemoryMB: 64, MemoryMaxMB: 0 },
            Networks: null,
            Devices: null,
          },
        ]),
      ),
      TaskLifecycles: null,
      Shared: { DiskMB: 300, Networks: null, Ports: null },
    },
    Metrics: null,
    DesiredStatus: 'run',
    DesiredDescription: '',
    DesiredTransition: { Migrate: null, Reschedule: null, ForceReschedule: null, NoShutdownDelay: null },
    ClientStatus: 'pending',
    ClientDescription: '',
    TaskStates: null,
    AllocStates: null,
    NetworkStatus: null,
    DeploymentID: '',
    DeploymentStatus: null,
    PreviousAllocation: '',
    NextAllocation: '',
    RescheduleTracker: null,
    FollowupEvalID: '',
    PreemptedAllocations: null,
    PreemptedByAllocation: '',
    CreateIndex: 1,
    ModifyIndex: 1,
    AllocModifyIndex: 1,
    CreateTime: 0,
    ModifyTime: 0,
    ...fields,
  };
}

export function fakeState(fields: Partial<TaskState> = {}): TaskState {
  const never = '0001-01-01T00:00:00Z';
  return {
    State: 'pending',
    Failed: false,
    Restarts: 0,
    LastRestart: never,
    StartedAt: never,
    FinishedAt: never,
    Events: [],
    TaskHandle: null,
    ...fields,
  };
}
