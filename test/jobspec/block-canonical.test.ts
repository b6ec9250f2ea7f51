import t from 'tap';
import { diagnosticLine } from '../../lib/hcl/index.js';
import { canonicalizeJob } from '../../lib/jobspec/canonicalize.js';
import { parseJob } from '../../lib/jobspec/parse.js';
import type { Job } from '../../lib/structs/job.js';

// One block each, with what it becomes: every value of the block, the documented default where the file says nothing.

function canonical(source: string): Job {
  const parsed = parseJob({ source, filename: 'block.hcl' });
  if (!parsed.ok) throw new Error(parsed.error.map(diagnosticLine).join('\n'));
  return canonicalizeJob(parsed.value.job);
}

const inJob = (text: string, type = 'service') =>
  canonical(`job "j" {\n type = "${type}"\n ${text}\n group "g" {\n  task "t" {\n   driver = "d"\n  }\n }\n}`);
const inGroup = (text: string, type = 'service') =>
  canonical(`job "j" {\n type = "${type}"\n group "g" {\n ${text}\n  task "t" {\n   driver = "d"\n  }\n }\n}`)
    .TaskGroups[0];
const inTask = (text: string, type = 'service') =>
  canonical(`job "j" {\n type = "${type}"\n group "g" {\n  task "t" {\n   driver = "d"\n   ${text}\n  }\n }\n}`)
    .TaskGroups[0]?.Tasks[0];

const SECOND = 1e9;
const MINUTE = 60 * SECOND;
const NO_UPDATE = {
  Stagger: 0,
  MaxParallel: 0,
  HealthCheck: '',
  MinHealthyTime: 0,
  HealthyDeadline: 0,
  ProgressDeadline: 0,
  AutoRevert: false,
  AutoPromote: false,
  Canary: 0,
};
const UPDATE = {
  Stagger: 30 * SECOND,
  MaxParallel: 1,
  HealthCheck: 'checks',
  MinHealthyTime: 10 * SECOND,
  HealthyDeadline: 5 * MINUTE,
  ProgressDeadline: 10 * MINUTE,
  AutoRevert: false,
  AutoPromote: false,
  Canary: 0,
};

const JOB_BLOCKS: [text: string, type: string, key: keyof Job, value: unknown][] = [
  ['', 'service', 'Update', { ...NO_UPDATE, Stagger: 30 * SECOND, MaxParallel: 1 }],
  ['', 'system', 'Update', { ...NO_UPDATE, Stagger: 30 * SECOND, MaxParallel: 1 }],
  ['', 'batch', 'Update', NO_UPDATE],
  ['update {\n max_parallel = 0\n}', 'service', 'Update', NO_UPDATE],
  [
    'update {\n max_parallel = 3\n canary = 1\n}',
    'service',
    'Update',
    { ...NO_UPDATE, Stagger: 30 * SECOND, MaxParallel: 3 },
  ],
  ['', 'service', 'Datacenters', ['*']],
  ['', 'service', 'NodePool', 'default'],
  ['', 'service', 'Periodic', null],
  [
    'periodic {\n cron = "@daily"\n}',
    'batch',
    'Periodic',
    { Enabled: true, Spec: '@daily', Specs: null, SpecType: 'cron', ProhibitOverlap: false, TimeZone: 'UTC' },
  ],
  [
    'periodic {\n crons = ["1 * * * *", "2 * * * *"]\n prohibit_overlap = true\n time_zone = "Asia/Tokyo"\n enabled = false\n}',
    'batch',
    'Periodic',
    {
      Enabled: false,
      Spec: '',
      Specs: ['1 * * * *', '2 * * * *'],
      SpecType: 'cron',
      ProhibitOverlap: true,
      TimeZone: 'Asia/Tokyo',
    },
  ],
  ['parameterized {}', 'batch', 'ParameterizedJob', { Payload: 'optional', MetaRequired: null, MetaOptional: null }],
  [
    'parameterized {\n payload = "required"\n meta_required = ["a"]\n meta_optional = ["b"]\n}',
    'batch',
    'ParameterizedJob',
    { Payload: 'required', MetaRequired: ['a'], MetaOptional: ['b'] },
  ],
  [
    'multiregion {\n region "west" {}\n}',
    'service',
    'Multiregion',
    {
      Strategy: { MaxParallel: 0, OnFailure: '' },
      Regions: [{ Name: 'west', Count: 1, Datacenters: null, NodePool: '', Meta: null }],
    },
  ],
  [
    'ui {\n description = "d"\n link {\n label = "l"\n url = "u"\n }\n}',
    'service',
    'UI',
    { Description: 'd', Links: [{ Label: 'l', Url: 'u' }] },
  ],
  [
    'constraint {\n distinct_hosts = true\n}',
    'service',
    'Constraints',
    [{ LTarget: '', RTarget: 'true', Operand: 'distinct_hosts' }],
  ],
  [
    'constraint {\n operator = "distinct_hosts"\n value = "true"\n}',
    'service',
    'Constraints',
    [{ LTarget: '', RTarget: 'true', Operand: 'distinct_hosts' }],
  ],
  [
    'constraint {\n distinct_hosts = false\n}',
    'service',
    'Constraints',
    [{ LTarget: '', RTarget: 'false', Operand: 'distinct_hosts' }],
  ],
  [
    'constraint {\n attribute = "${attr.cpu.arch}"\n value = "arm64"\n}',
    'service',
    'Constraints',
    [{ LTarget: '${attr.cpu.arch}', RTarget: 'arm64', Operand: '=' }],
  ],
  [
    'affinity {\n attribute = "a"\n set_contains_any = "x,y"\n}',
    'service',
    'Affinities',
    [{ LTarget: 'a', RTarget: 'x,y', Operand: 'set_contains_any', Weight: 50 }],
  ],
  [
    'spread {\n attribute = "a"\n target "x" {\n percent = 60\n }\n}',
    'service',
    'Spreads',
    [{ Attribute: 'a', Weight: 50, SpreadTarget: [{ Value: 'x', Percent: 60 }] }],
  ],
];

for (const [text, type, key, value] of JOB_BLOCKS) {
  t.test(`${type} ${key}: ${text.replace(/\s+/g, ' ') || 'nothing given'}`, async (t) => {
    t.strictSame(inJob(text, type)[key], value);
  });
}

type Group = NonNullable<ReturnType<typeof inGroup>>;

const SERVICE = {
  Name: 'j-g',
  PortLabel: '',
  Provider: 'nomad',
  Namespace: 'default',
  TaskName: '',
  AddressMode: 'auto',
  Address: '',
  Tags: null,
  CanaryTags: null,
  EnableTagOverride: false,
  Checks: null,
  CheckRestart: null,
  Connect: null,
  Meta: null,
  CanaryMeta: null,
  TaggedAddresses: null,
  OnUpdate: 'require_healthy',
  Cluster: 'default',
  Weights: null,
  Identity: null,
  Kind: '',
};

const CHECK = {
  Name: 'service: "j-g" check',
  Type: 'tcp',
  Command: '',
  Args: null,
  Path: '',
  Protocol: '',
  PortLabel: '',
  Expose: false,
  AddressMode: '',
  Interval: 10 * SECOND,
  Timeout: 2 * SECOND,
  InitialStatus: '',
  Notes: '',
  TLSServerName: '',
  TLSSkipVerify: false,
  Header: null,
  Method: '',
  CheckRestart: null,
  GRPCService: '',
  GRPCUseTLS: false,
  TaskName: '',
  SuccessBeforePassing: 0,
  FailuresBeforeCritical: 0,
  FailuresBeforeWarning: 0,
  Body: '',
  OnUpdate: 'require_healthy',
};

const check = 'check {\n type = "tcp"\n interval = "10s"\n timeout = "2s"\n';

const GROUP_BLOCKS: [text: string, type: string, key: keyof Group, value: unknown][] = [
  ['', 'service', 'Count', 1],
  ['scaling {\n min = 2\n max = 5\n}', 'service', 'Count', 2],
  ['', 'service', 'Update', UPDATE],
  ['', 'batch', 'Update', null],
  ['update {\n canary = 2\n auto_promote = true\n}', 'service', 'Update', { ...UPDATE, Canary: 2, AutoPromote: true }],
  [
    '',
    'service',
    'RestartPolicy',
    { Attempts: 2, Interval: 30 * MINUTE, Delay: 15 * SECOND, Mode: 'fail', RenderTemplates: false },
  ],
  [
    '',
    'sysbatch',
    'RestartPolicy',
    { Attempts: 3, Interval: 24 * 60 * MINUTE, Delay: 15 * SECOND, Mode: 'fail', RenderTemplates: false },
  ],
  [
    'reschedule {\n attempts = 3\n interval = "1h"\n unlimited = false\n}',
    'service',
    'ReschedulePolicy',
    {
      Attempts: 3,
      Interval: 60 * MINUTE,
      Delay: 30 * SECOND,
      DelayFunction: 'exponential',
      MaxDelay: 60 * MINUTE,
      Unlimited: false,
    },
  ],
  [
    'migrate {\n max_parallel = 2\n}',
    'service',
    'Migrate',
    { MaxParallel: 2, HealthCheck: 'checks', MinHealthyTime: 10 * SECOND, HealthyDeadline: 5 * MINUTE },
  ],
  ['ephemeral_disk {\n sticky = true\n}', 'service', 'EphemeralDisk', { Sticky: true, SizeMB: 300, Migrate: false }],
  [
    'disconnect {\n lost_after = "6h"\n}',
    'service',
    'Disconnect',
    { LostAfter: 360 * MINUTE, StopOnClientAfter: null, Replace: true, Reconcile: 'best_score' },
  ],
  [
    'scaling {\n max = 5\n policy {\n  cooldown = "1m"\n }\n}',
    'service',
    'Scaling',
    {
      ID: '',
      Type: 'horizontal',
      Target: { Namespace: 'default', Job: 'j', Group: 'g' },
      Min: 1,
      Max: 5,
      Policy: { cooldown: '1m' },
      Enabled: true,
      CreateIndex: 0,
      ModifyIndex: 0,
    },
  ],
  [
    'volume "v" {\n type = "csi"\n source = "s"\n access_mode = "single-node-writer"\n attachment_mode = "file-system"\n mount_options {\n fs_type = "ext4"\n mount_flags = ["noatime"]\n }\n}',
    'service',
    'Volumes',
    {
      v: {
        Name: 'v',
        Type: 'csi',
        Source: 's',
        ReadOnly: false,
        Sticky: false,
        AccessMode: 'single-node-writer',
        AttachmentMode: 'file-system',
        MountOptions: { FSType: 'ext4', MountFlags: ['noatime'] },
        PerAlloc: false,
      },
    },
  ],
  [
    'network {\n mode = "bridge"\n hostname = "h"\n port "a" {\n static = 80\n }\n port "b" {\n to = -1\n host_network = "public"\n }\n dns {\n servers = ["1.1.1.1"]\n }\n}',
    'service',
    'Networks',
    [
      {
        Mode: 'bridge',
        Device: '',
        CIDR: '',
        IP: '',
        Hostname: 'h',
        MBits: 0,
        DNS: { Servers: ['1.1.1.1'], Searches: null, Options: null },
        ReservedPorts: [{ Label: 'a', Value: 80, To: 0, HostNetwork: 'default', IgnoreCollision: false }],
        DynamicPorts: [{ Label: 'b', Value: 0, To: -1, HostNetwork: 'public', IgnoreCollision: false }],
        CNI: null,
      },
    ],
  ],
  ['service {\n provider = "nomad"\n}', 'service', 'Services', [SERVICE]],
  ['service {}', 'service', 'Services', [{ ...SERVICE, Provider: 'consul' }]],
  [
    'service {\n name = "${JOB}-x"\n provider = "nomad"\n weights {\n passing = 3\n }\n}',
    'service',
    'Services',
    [{ ...SERVICE, Name: 'j-x', Weights: { Passing: 3, Warning: 1 } }],
  ],
  [
    `service {\n provider = "nomad"\n on_update = "ignore"\n check_restart {\n limit = 3\n }\n ${check}}\n ${check} name = "own"\n check_restart {\n grace = "5s"\n }\n }\n}`,
    'service',
    'Services',
    [
      {
        ...SERVICE,
        OnUpdate: 'ignore',
        Checks: [
          { ...CHECK, OnUpdate: 'ignore', CheckRestart: { Limit: 3, Grace: SECOND, IgnoreWarnings: false } },
          {
            ...CHECK,
            Name: 'own',
            OnUpdate: 'ignore',
            CheckRestart: { Limit: 3, Grace: 5 * SECOND, IgnoreWarnings: false },
          },
        ],
      },
    ],
  ],
  ['consul {}', 'service', 'Consul', { Namespace: '', Cluster: 'default', Partition: '' }],
  ['max_run_duration = "1h"', 'batch', 'MaxRunDuration', 60 * MINUTE],
];

for (const [text, type, key, value] of GROUP_BLOCKS) {
  t.test(`group of ${type} ${key}: ${text.replace(/\s+/g, ' ') || 'nothing given'}`, async (t) => {
    t.strictSame(inGroup(text, type)?.[key], value);
  });
}

type Task = NonNullable<ReturnType<typeof inTask>>;

const IDENTITY = {
  Name: 'default',
  Audience: ['nomadproject.io'],
  ChangeMode: '',
  ChangeSignal: '',
  Env: false,
  File: false,
  Filepath: '',
  ServiceName: '',
  TTL: 0,
  ExtraClaims: null,
};
const RESOURCES = {
  CPU: 100,
  Cores: 0,
  MemoryMB: 300,
  MemoryMaxMB: 0,
  DiskMB: 0,
  IOPS: 0,
  SecretsMB: 0,
  Networks: null,
  Devices: null,
  NUMA: null,
};
const TEMPLATE = {
  SourcePath: '',
  DestPath: 'local/a',
  EmbeddedTmpl: 'x',
  ChangeMode: 'restart',
  ChangeScript: null,
  ChangeSignal: '',
  Once: false,
  Splay: 5 * SECOND,
  Perms: '0644',
  Uid: null,
  Gid: null,
  LeftDelim: '{{',
  RightDelim: '}}',
  Envvars: false,
  VaultGrace: 0,
  Wait: null,
  ErrMissingKey: false,
};
const template = 'template {\n destination = "local/a"\n data = "x"\n';
const ARTIFACT = {
  GetterSource: 'https://example.com/a.tgz',
  GetterOptions: null,
  GetterHeaders: null,
  GetterMode: 'any',
  GetterInsecure: false,
  RelativeDest: 'local/',
  Chown: false,
};
const artifact = 'artifact {\n source = "https://example.com/a.tgz"\n';

const TASK_BLOCKS: [text: string, key: keyof Task, value: unknown][] = [
  ['', 'Identity', IDENTITY],
  ['identity {\n env = true\n}', 'Identity', { ...IDENTITY, Env: true }],
  [
    'identity {\n name = "aws"\n aud = ["sts"]\n ttl = "1h"\n change_mode = "signal"\n change_signal = "sighup"\n}',
    'Identity',
    IDENTITY,
  ],
  [
    'identity {\n name = "aws"\n aud = ["sts"]\n ttl = "1h"\n change_mode = "signal"\n change_signal = "sighup"\n}',
    'Identities',
    [{ ...IDENTITY, Name: 'aws', Audience: ['sts'], TTL: 60 * MINUTE, ChangeMode: 'signal', ChangeSignal: 'SIGHUP' }],
  ],
  ['', 'Resources', RESOURCES],
  [
    'resources {\n cores = 2\n memory_max = -1\n secrets = 5\n}',
    'Resources',
    { ...RESOURCES, CPU: 0, Cores: 2, MemoryMaxMB: -1, SecretsMB: 5 },
  ],
  ['resources {\n disk = 500\n}', 'Resources', RESOURCES],
  [
    'resources {\n device "nvidia/gpu" {}\n numa {\n affinity = "prefer"\n }\n}',
    'Resources',
    {
      ...RESOURCES,
      Devices: [{ Name: 'nvidia/gpu', Count: 1, Constraints: null, Affinities: null }],
      NUMA: { Affinity: 'prefer', Devices: null },
    },
  ],
  [
    'resources {\n device "nvidia/gpu" {\n share = 25\n memory = 8192\n }\n}',
    'Resources',
    {
      ...RESOURCES,
      Devices: [{ Name: 'nvidia/gpu', Count: 1, Constraints: null, Affinities: null, Share: 25, MemoryMB: 8192 }],
    },
  ],
  ['', 'KillTimeout', 5 * SECOND],
  ['', 'LogConfig', { MaxFiles: 10, MaxFileSizeMB: 10, Enabled: null, Disabled: false }],
  ['logs {\n disabled = true\n}', 'LogConfig', { MaxFiles: 10, MaxFileSizeMB: 10, Enabled: null, Disabled: true }],
  [`${template}}`, 'Templates', [TEMPLATE]],
  [
    `${template} change_mode = "signal"\n uid = 1000\n perms = "600"\n wait {\n min = "1s"\n max = "2s"\n }\n}`,
    'Templates',
    [
      {
        ...TEMPLATE,
        ChangeMode: 'signal',
        ChangeSignal: 'SIGHUP',
        Uid: 1000,
        Perms: '600',
        Wait: { Min: SECOND, Max: 2 * SECOND },
      },
    ],
  ],
  [
    `${template} change_mode = "script"\n change_script {\n command = "/bin/x"\n }\n}`,
    'Templates',
    [
      {
        ...TEMPLATE,
        ChangeMode: 'script',
        ChangeScript: { Command: '/bin/x', Args: [], Timeout: 5 * SECOND, FailOnError: false, RunOnFirstRender: false },
      },
    ],
  ],
  [`${artifact}}`, 'Artifacts', [ARTIFACT]],
  [`${artifact} mode = "file"\n}`, 'Artifacts', [{ ...ARTIFACT, GetterMode: 'file', RelativeDest: 'local/a.tgz' }]],
  [
    'volume_mount {\n volume = "v"\n destination = "/v"\n}',
    'VolumeMounts',
    [{ Volume: 'v', Destination: '/v', ReadOnly: false, PropagationMode: 'private', SELinuxLabel: '' }],
  ],
  [
    'csi_plugin {\n id = "p"\n type = "node"\n}',
    'CSIPluginConfig',
    { ID: 'p', Type: 'node', MountDir: '/csi', StagePublishBaseDir: '/local/csi', HealthTimeout: 30 * SECOND },
  ],
  ['lifecycle {\n hook = "prestart"\n}', 'Lifecycle', { Hook: 'prestart', Sidecar: false }],
  ['lifecycle {\n hook = ""\n}', 'Lifecycle', { Hook: '', Sidecar: false }],
  ['dispatch_payload {\n file = "f"\n}', 'DispatchPayload', { File: 'f' }],
  ['action "a" {\n command = "c"\n}', 'Actions', [{ Name: 'a', Command: 'c', Args: null }]],
  [
    'schedule {\n cron {\n start = "0 9 * * *"\n end = "0 17 * * *"\n }\n}',
    'Schedule',
    { Cron: { Start: '0 9 * * *', End: '0 17 * * *', Timezone: '' } },
  ],
  ['schedule {}', 'Schedule', null],
  [
    'secret "s" {\n provider = "nomad"\n path = "p"\n}',
    'Secrets',
    [{ Name: 's', Provider: 'nomad', Path: 'p', Config: null, Env: null }],
  ],
  [
    'scaling "cpu" {\n max = 500\n}',
    'ScalingPolicies',
    [
      {
        ID: '',
        Type: 'vertical_cpu',
        Target: { Namespace: 'default', Job: 'j', Group: 'g', Task: 't' },
        Min: 0,
        Max: 500,
        Policy: null,
        Enabled: true,
        CreateIndex: 0,
        ModifyIndex: 0,
      },
    ],
  ],
  [
    'vault {}',
    'Vault',
    {
      Policies: null,
      Role: '',
      Namespace: '',
      Cluster: 'default',
      Env: true,
      DisableFile: false,
      ChangeMode: 'restart',
      ChangeSignal: 'SIGHUP',
      AllowTokenExpiration: false,
    },
  ],
  [
    `service {\n provider = "nomad"\n ${check} task = "other"\n }\n}`,
    'Services',
    [
      {
        ...SERVICE,
        Name: 'j-g-t',
        TaskName: 't',
        Checks: [{ ...CHECK, Name: 'service: "j-g-t" check', TaskName: 't' }],
      },
    ],
  ],
  [
    'config {\n image = "i"\n mount {\n type = "bind"\n }\n mount {\n type = "volume"\n }\n labels {\n a = "b"\n }\n}',
    'Config',
    { image: 'i', mount: [{ type: 'bind' }, { type: 'volume' }], labels: [{ a: 'b' }] },
  ],
];

for (const [text, key, value] of TASK_BLOCKS) {
  t.test(`task ${key}: ${text.replace(/\s+/g, ' ') || 'nothing given'}`, async (t) => {
    t.strictSame(inTask(text)?.[key], value);
  });
}

t.test('vault and secrets above the tasks are each task’s; a lone task gets a group', async (t) => {
  const made = canonical(
    'job "j" {\n vault {}\n secret "s" {\n provider = "nomad"\n path = "p"\n }\n task "lone" {\n driver = "d"\n }\n group "g" {\n task "t" {\n driver = "d"\n }\n }\n}',
  );
  t.strictSame(
    made.TaskGroups.map(({ Name, Count, Tasks }) => [Name, Count, !!Tasks[0]?.Vault, Tasks[0]?.Secrets?.length]),
    [
      ['lone', 1, true, 1],
      ['g', 1, true, 1],
    ],
  );
});

t.test('dynamic blocks take labels, iterators and each other', async (t) => {
  const made = canonical(`
locals { ports = { http = 80, admin = 0 } }
job "j" {
  dynamic "group" {
    for_each = ["a", "b"]
    iterator = g
    labels   = ["group-\${g.value}"]
    content {
      network {
        dynamic "port" {
          for_each = local.ports
          labels   = ["\${port.key}-\${g.value}"]
          content {
            static = port.value
          }
        }
      }
      task "t" { driver = "d" }
    }
  }
}`);
  t.strictSame(
    made.TaskGroups.map(({ Name, Networks }) => [
      Name,
      Networks?.[0]?.ReservedPorts?.map(({ Label, Value }) => `${Label}=${Value}`),
      Networks?.[0]?.DynamicPorts?.map(({ Label }) => Label),
    ]),
    [
      ['group-a', ['http-a=80'], ['admin-a']],
      ['group-b', ['http-b=80'], ['admin-b']],
    ],
  );
});
