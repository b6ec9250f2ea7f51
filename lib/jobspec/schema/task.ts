import {
  bool,
  boolOrFalse,
  duration,
  durationOrZero,
  type Field,
  free,
  freeOrEquals,
  int,
  intOrZero,
  label,
  list,
  one,
  type Raw,
  type Struct,
  text,
  textMap,
  textOrEmpty,
} from './field.js';
import { affinity, constraint, take } from './placement.js';
import { resources } from './resources.js';
import { service } from './service.js';
import {
  action,
  artifact,
  consul,
  csiPlugin,
  identity,
  logs,
  restart,
  schedule,
  secret,
  template,
  vault,
  volumeMount,
} from './task-parts.js';

const scalingFields: Field[] = [
  int('min', 'Min'),
  int('max', 'Max'),
  free('policy', 'Policy', 'any'),
  bool('enabled', 'Enabled'),
  textOrEmpty('type', 'Type'),
  textOrEmpty(null, 'ID'),
  textOrEmpty(null, 'Namespace'),
  textMap(null, 'Target'),
  intOrZero(null, 'CreateIndex'),
  intOrZero(null, 'ModifyIndex'),
];

export const groupScaling: Struct = {
  name: 'scaling',
  fields: scalingFields.map((f) => (f.form === 'attribute' && f.hcl === 'max' ? { ...f, required: true } : f)),
  settle: (raw) => {
    if (raw['Type'] === '') raw['Type'] = 'horizontal';
    return raw['Type'] === 'horizontal' ? undefined : `a group can be scaled by type "horizontal" only`;
  },
};

const VERTICAL: Record<string, string> = { cpu: 'vertical_cpu', mem: 'vertical_mem' };

const taskScaling: Struct = {
  name: 'scaling',
  fields: [label('~resource'), ...scalingFields],
  settle: (raw) => {
    const type = VERTICAL[String(take(raw, '~resource')).toLowerCase()];
    if (type === undefined) return 'the name of a task\'s scaling policy must be "cpu" or "mem"';
    if (raw['Type'] === '') raw['Type'] = type;
    return raw['Type'] === type ? undefined : `its type must be ${JSON.stringify(type)}`;
  },
};

/** The identity without a name (or named "default") is the task's own. */
function settleIdentity(raw: Raw): void {
  const identities = raw['Identities'] as Raw[] | null;
  const own = identities?.findIndex((i) => i['Name'] === '' || i['Name'] === 'default') ?? -1;
  if (!identities || own < 0) return;
  raw['Identity'] = identities[own];
  raw['Identities'] = identities.filter((_, i) => i !== own);
}

function findTwice(names: string[]): string | undefined {
  return names.find((name, i) => names.indexOf(name) < i);
}

export const task: Struct = {
  name: 'task',
  fields: [
    label('Name'),
    textOrEmpty('driver', 'Driver'),
    textOrEmpty('user', 'User'),
    one('lifecycle', 'Lifecycle', {
      name: 'lifecycle',
      fields: [textOrEmpty('hook', 'Hook', true), boolOrFalse('sidecar', 'Sidecar')],
    }),
    free('config', 'Config', 'any'),
    list('constraint', 'Constraints', constraint),
    list('affinity', 'Affinities', affinity),
    freeOrEquals('env', 'Env'),
    list('service', 'Services', service),
    one('resources', 'Resources', resources),
    one('restart', 'RestartPolicy', restart),
    freeOrEquals('meta', 'Meta'),
    duration('kill_timeout', 'KillTimeout'),
    one('logs', 'LogConfig', logs),
    list('artifact', 'Artifacts', artifact),
    one('vault', 'Vault', vault),
    one('consul', 'Consul', consul),
    list('template', 'Templates', template),
    one('dispatch_payload', 'DispatchPayload', { name: 'dispatch_payload', fields: [textOrEmpty('file', 'File')] }),
    list('volume_mount', 'VolumeMounts', volumeMount),
    one('csi_plugin', 'CSIPluginConfig', csiPlugin),
    boolOrFalse('leader', 'Leader'),
    durationOrZero('shutdown_delay', 'ShutdownDelay'),
    textOrEmpty('kill_signal', 'KillSignal'),
    textOrEmpty('kind', 'Kind'),
    list('scaling', 'ScalingPolicies', taskScaling),
    list('secret', 'Secrets', secret),
    one(null, 'Identity', identity),
    list('identity', 'Identities', identity),
    list('action', 'Actions', action),
    one('schedule', 'Schedule', schedule),
  ],
  settle: (raw) => {
    settleIdentity(raw);
    const policies = (raw['ScalingPolicies'] as Raw[] | null) ?? [];
    const twice = findTwice(policies.map((p) => String(p['Type'])));
    return twice === undefined ? undefined : `only one scaling policy of type ${JSON.stringify(twice)} is allowed`;
  },
};

export const update: Struct = {
  name: 'update',
  fields: [
    duration('stagger', 'Stagger'),
    int('max_parallel', 'MaxParallel'),
    text('health_check', 'HealthCheck'),
    duration('min_healthy_time', 'MinHealthyTime'),
    duration('healthy_deadline', 'HealthyDeadline'),
    duration('progress_deadline', 'ProgressDeadline'),
    int('canary', 'Canary'),
    bool('auto_revert', 'AutoRevert'),
    bool('auto_promote', 'AutoPromote'),
  ],
};
