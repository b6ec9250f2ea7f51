import type { Allocation } from '../../lib/structs/allocation.js';
import type { Evaluation } from '../../lib/structs/evaluation.js';
import type { Job, Task, TaskGroup } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { AllocatedPort, AllocatedResources, Resources } from '../../lib/structs/resources.js';

const S = 1e9;

export function mockNode(index: number, changes: Partial<Node> = {}): Node {
  return {
    ID: `node-${String(index).padStart(5, '0')}`,
    SecretID: '',
    Name: `n${index}`,
    Datacenter: 'dc1',
    NodeClass: '',
    NodePool: 'default',
    ComputedClass: 'v1:1',
    HTTPAddr: '',
    TLSEnabled: false,
    Attributes: { 'kernel.name': 'linux', arch: 'x86', 'driver.mock_driver': '1' },
    Meta: null,
    Links: null,
    NodeResources: {
      Cpu: { CpuShares: 4000, TotalCpuCores: 4, ReservableCpuCores: [0, 1, 2, 3] },
      Memory: { MemoryMB: 8192 },
      Disk: { DiskMB: 100 * 1024 },
      Networks: null,
      NodeNetworks: [
        {
          Mode: 'host',
          Device: 'eth0',
          MacAddress: '',
          Speed: 1000,
          Addresses: [
            {
              Family: 'ipv4',
              Alias: 'default',
              Address: `10.0.${index >> 8}.${index & 255}`,
              Gateway: '',
              ReservedPorts: '',
            },
          ],
        },
      ],
      Devices: null,
      MinDynamicPort: 20000,
      MaxDynamicPort: 32000,
    },
    ReservedResources: {
      Cpu: { CpuShares: 0 },
      Memory: { MemoryMB: 0 },
      Disk: { DiskMB: 0 },
      Networks: { ReservedHostPorts: '' },
    },
    Drivers: {
      mock_driver: {
        Detected: true,
        Healthy: true,
        HealthDescription: '',
        Attributes: null,
        UpdateTime: '0001-01-01T00:00:00Z',
      },
    },
    HostVolumes: null,
    HostNetworks: null,
    CSIControllerPlugins: null,
    CSINodePlugins: null,
    Status: 'ready',
    StatusDescription: '',
    StatusUpdatedAt: 0,
    SchedulingEligibility: 'eligible',
    DrainStrategy: null,
    Drain: false,
    LastDrain: null,
    Events: null,
    CreateIndex: 1,
    ModifyIndex: 1,
    ...changes,
  };
}

export function mockResources(changes: Partial<Resources> = {}): Resources {
  return {
    CPU: 500,
    Cores: 0,
    MemoryMB: 256,
    MemoryMaxMB: 0,
    DiskMB: 0,
    IOPS: 0,
    SecretsMB: 0,
    Networks: null,
    Devices: null,
    NUMA: null,
    ...changes,
  };
}

export function mockTask(changes: Partial<Task> = {}): Task {
  return {
    Name: 'web',
    Driver: 'mock_driver',
    User: '',
    Config: { run_for: '10s' },
    Env: null,
    Services: null,
    Resources: mockResources(),
    RestartPolicy: null,
    Meta: null,
    Constraints: null,
    Affinities: null,
    KillTimeout: 5 * S,
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
    ...changes,
  };
}

export function mockGroup(changes: Partial<TaskGroup> = {}): TaskGroup {
  return {
    Name: 'web',
    Count: 3,
    Constraints: null,
    Affinities: null,
    Spreads: null,
    Networks: null,
    Services: null,
    Volumes: null,
    RestartPolicy: { Attempts: 2, Interval: 1800 * S, Delay: 15 * S, Mode: 'fail', RenderTemplates: false },
    ReschedulePolicy: {
      Attempts: 0,
      Interval: 0,
      Delay: 30 * S,
      DelayFunction: 'exponential',
      MaxDelay: 3600 * S,
      Unlimited: true,
    },
    Disconnect: null,
    EphemeralDisk: { Sticky: false, SizeMB: 300, Migrate: false },
    Update: null,
    Migrate: { MaxParallel: 1, HealthCheck: 'checks', MinHealthyTime: 10 * S, HealthyDeadline: 300 * S },
    Scaling: null,
    Consul: null,
    ShutdownDelay: null,
    MaxRunDuration: null,
    StopAfterClientDisconnect: null,
    MaxClientDisconnect: null,
    PreventRescheduleOnLost: false,
    Meta: null,
    Tasks: [mockTask()],
    ...changes,
  };
}

export function mockJob(changes: Partial<Job> = {}): Job {
  return {
    ID: 'web',
    Name: 'web',
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
    TaskGroups: [mockGroup()],
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
    Status: 'pending',
    StatusDescription: '',
    Stable: false,
    Version: 0,
    VersionTag: null,
    SubmitTime: 0,
    CreateIndex: 10,
    ModifyIndex: 10,
    JobModifyIndex: 10,
    ...changes,
  };
}

export function mockAllocated(
  changes: { cpu?: number; memory?: number; disk?: number; ports?: AllocatedPort[]; cores?: number[] } = {},
): AllocatedResources {
  return {
    Tasks: {
      web: {
        Cpu: { CpuShares: changes.cpu ?? 500, ReservedCores: changes.cores ?? null },
        Memory: { MemoryMB: changes.memory ?? 256, MemoryMaxMB: 0 },
        Networks: null,
        Devices: null,
      },
    },
    TaskLifecycles: { web: null },
    Shared: { DiskMB: changes.disk ?? 300, Networks: null, Ports: changes.ports ?? null },
  };
}

let serial = 0;

export function mockAlloc(job: Job, changes: Partial<Allocation> = {}): Allocation {
  return {
    ID: `alloc-${++serial}`,
    Namespace: job.Namespace,
    EvalID: 'eval-0',
    Name: `${job.ID}.web[0]`,
    NodeID: 'node-00000',
    NodeName: 'n0',
    JobID: job.ID,
    Job: job,
    TaskGroup: 'web',
    AllocatedResources: mockAllocated(),
    Metrics: null,
    DesiredStatus: 'run',
    DesiredDescription: '',
    DesiredTransition: { Migrate: null, Reschedule: null, ForceReschedule: null, NoShutdownDelay: null },
    ClientStatus: 'running',
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
    ...changes,
  };
}

export function mockEval(job: Job, changes: Partial<Evaluation> = {}): Evaluation {
  return {
    ID: `eval-${++serial}`,
    Namespace: job.Namespace,
    Priority: job.Priority,
    Type: job.Type,
    TriggeredBy: 'job-register',
    JobID: job.ID,
    JobModifyIndex: job.JobModifyIndex,
    NodeID: '',
    NodeModifyIndex: 0,
    DeploymentID: '',
    Status: 'pending',
    StatusDescription: '',
    Wait: 0,
    WaitUntil: null,
    NextEval: '',
    PreviousEval: '',
    BlockedEval: '',
    RelatedEvals: null,
    FailedTGAllocs: null,
    PlanAnnotations: null,
    ClassEligibility: null,
    QuotaLimitReached: '',
    EscapedComputedClass: false,
    AnnotatePlan: false,
    QueuedAllocations: null,
    SnapshotIndex: 0,
    LeaderACL: '',
    CreateIndex: 1,
    ModifyIndex: 1,
    CreateTime: 0,
    ModifyTime: 0,
    ...changes,
  };
}
