import {
  bool,
  boolOrFalse,
  byLabel,
  duration,
  type Field,
  free,
  freeOrEquals,
  int,
  intOrZero,
  label,
  list,
  megabytes,
  one,
  type Raw,
  type Struct,
  text,
  textOrEmpty,
  texts,
} from './field.js';
import { affinity, constraint, spread, take } from './placement.js';
import { network } from './resources.js';
import { service } from './service.js';
import { groupScaling, task, update } from './task.js';
import { consul, restart, secret, vault } from './task-parts.js';

const reschedule: Struct = {
  name: 'reschedule',
  fields: [
    int('attempts', 'Attempts'),
    duration('interval', 'Interval'),
    duration('delay', 'Delay'),
    text('delay_function', 'DelayFunction'),
    duration('max_delay', 'MaxDelay'),
    bool('unlimited', 'Unlimited'),
  ],
};

const migrate: Struct = {
  name: 'migrate',
  fields: [
    int('max_parallel', 'MaxParallel'),
    text('health_check', 'HealthCheck'),
    duration('min_healthy_time', 'MinHealthyTime'),
    duration('healthy_deadline', 'HealthyDeadline'),
  ],
};

const volume: Struct = {
  name: 'volume',
  fields: [
    label('Name'),
    textOrEmpty('type', 'Type'),
    textOrEmpty('source', 'Source'),
    boolOrFalse('read_only', 'ReadOnly'),
    boolOrFalse('sticky', 'Sticky'),
    textOrEmpty('access_mode', 'AccessMode'),
    textOrEmpty('attachment_mode', 'AttachmentMode'),
    one('mount_options', 'MountOptions', {
      name: 'mount_options',
      fields: [textOrEmpty('fs_type', 'FSType'), texts('mount_flags', 'MountFlags')],
    }),
    boolOrFalse('per_alloc', 'PerAlloc'),
  ],
};

/** `vault` and `secret` blocks above the tasks belong to each task below that has none of its own (or to all: secrets). */
function hand(raw: Raw, tasks: Raw[]): void {
  const sharedVault = take(raw, '~vault');
  const sharedSecrets = (take(raw, '~secrets') as Raw[] | null) ?? [];
  for (const each of tasks) {
    each['Vault'] ??= sharedVault ?? null;
    if (sharedSecrets.length > 0) each['Secrets'] = [...((each['Secrets'] as Raw[] | null) ?? []), ...sharedSecrets];
  }
}

const shared: Field[] = [one('vault', '~vault', vault), list('secret', '~secrets', secret)];

const group: Struct = {
  name: 'group',
  fields: [
    label('Name'),
    int('count', 'Count'),
    list('constraint', 'Constraints', constraint),
    list('affinity', 'Affinities', affinity),
    list('task', 'Tasks', task),
    list('spread', 'Spreads', spread),
    byLabel('volume', 'Volumes', volume),
    one('restart', 'RestartPolicy', restart),
    one('disconnect', 'Disconnect', {
      name: 'disconnect',
      fields: [
        duration('lost_after', 'LostAfter'),
        duration('stop_on_client_after', 'StopOnClientAfter'),
        bool('replace', 'Replace'),
        text('reconcile', 'Reconcile'),
      ],
    }),
    one('reschedule', 'ReschedulePolicy', reschedule),
    one('ephemeral_disk', 'EphemeralDisk', {
      name: 'ephemeral_disk',
      fields: [bool('sticky', 'Sticky'), bool('migrate', 'Migrate'), megabytes('size', 'SizeMB')],
    }),
    one('update', 'Update', update),
    one('migrate', 'Migrate', migrate),
    list('network', 'Networks', network),
    freeOrEquals('meta', 'Meta'),
    list('service', 'Services', service),
    duration('shutdown_delay', 'ShutdownDelay'),
    duration('max_run_duration', 'MaxRunDuration'),
    duration('stop_after_client_disconnect', 'StopAfterClientDisconnect'),
    duration('max_client_disconnect', 'MaxClientDisconnect'),
    bool('prevent_reschedule_on_lost', 'PreventRescheduleOnLost'),
    one('scaling', 'Scaling', groupScaling),
    one('consul', 'Consul', consul),
    ...shared,
  ],
  settle: (raw) => {
    hand(raw, (raw['Tasks'] as Raw[] | null) ?? []);
    return undefined;
  },
};

const periodic: Struct = {
  name: 'periodic',
  fields: [
    bool('enabled', 'Enabled'),
    text('cron', 'Spec'),
    texts('crons', 'Specs'),
    text(null, 'SpecType'),
    bool('prohibit_overlap', 'ProhibitOverlap'),
    text('time_zone', 'TimeZone'),
  ],
  settle: (raw) => {
    if (raw['Spec'] !== null || raw['Specs'] !== null) raw['SpecType'] = 'cron';
    return undefined;
  },
};

const multiregion: Struct = {
  name: 'multiregion',
  fields: [
    one('strategy', 'Strategy', {
      name: 'strategy',
      fields: [int('max_parallel', 'MaxParallel'), text('on_failure', 'OnFailure')],
    }),
    list('region', 'Regions', {
      name: 'region',
      fields: [
        label('Name'),
        int('count', 'Count'),
        texts('datacenters', 'Datacenters'),
        textOrEmpty('node_pool', 'NodePool'),
        free('meta', 'Meta'),
      ],
    }),
  ],
};

/** Every block and attribute of a Nomad job file, and every key of the API's job. */
export const job: Struct = {
  name: 'job',
  fields: [
    label('~id'),
    text('region', 'Region'),
    text('namespace', 'Namespace'),
    text('id', 'ID'),
    text('name', 'Name'),
    text('type', 'Type'),
    int('priority', 'Priority'),
    bool('all_at_once', 'AllAtOnce'),
    texts('datacenters', 'Datacenters'),
    text('node_pool', 'NodePool'),
    list('constraint', 'Constraints', constraint),
    list('affinity', 'Affinities', affinity),
    list('group', 'TaskGroups', group),
    one('update', 'Update', update),
    one('multiregion', 'Multiregion', multiregion),
    list('spread', 'Spreads', spread),
    one('periodic', 'Periodic', periodic),
    one('parameterized', 'ParameterizedJob', {
      name: 'parameterized',
      fields: [
        textOrEmpty('payload', 'Payload'),
        texts('meta_required', 'MetaRequired'),
        texts('meta_optional', 'MetaOptional'),
      ],
    }),
    one('reschedule', 'Reschedule', reschedule),
    one('migrate', 'Migrate', migrate),
    freeOrEquals('meta', 'Meta'),
    one('ui', 'UI', {
      name: 'ui',
      fields: [
        textOrEmpty('description', 'Description'),
        list('link', 'Links', { name: 'link', fields: [textOrEmpty('label', 'Label'), textOrEmpty('url', 'URL')] }),
      ],
    }),
    text('consul_token', 'ConsulToken'),
    text('vault_token', 'VaultToken'),
    list('task', '~tasks', task),
    ...shared,
    bool(null, 'Stop'),
    text(null, 'ParentID'),
    boolOrFalse(null, 'Dispatched'),
    text(null, 'DispatchIdempotencyToken'),
    text(null, 'Payload'),
    text(null, 'ConsulNamespace'),
    text(null, 'VaultNamespace'),
    text(null, 'NomadTokenID'),
    text(null, 'Status'),
    text(null, 'StatusDescription'),
    bool(null, 'Stable'),
    int(null, 'Version'),
    one(null, 'VersionTag', {
      name: 'version tag',
      fields: [textOrEmpty(null, 'Name'), textOrEmpty(null, 'Description'), intOrZero(null, 'TaggedTime')],
    }),
    int(null, 'SubmitTime'),
    int(null, 'CreateIndex'),
    int(null, 'ModifyIndex'),
    int(null, 'JobModifyIndex'),
  ],
  settle: (raw) => {
    const id = take(raw, '~id');
    raw['ID'] ??= id;
    raw['Name'] ??= id;
    // A task right under the job is a group of its own, before the others.
    const lone = ((take(raw, '~tasks') as Raw[] | null) ?? []).map((t) => ({
      ...emptyGroup(),
      Name: t['Name'],
      Tasks: [t],
    }));
    const groups = [...lone, ...((raw['TaskGroups'] as Raw[] | null) ?? [])];
    if (groups.length > 0) raw['TaskGroups'] = groups;
    hand(
      raw,
      groups.flatMap((g) => (g.Tasks as Raw[] | null) ?? []),
    );
    return undefined;
  },
};

function emptyGroup(): { Name: unknown; Tasks: unknown } & Raw {
  return { Name: null, Tasks: null, ...zeros(group) };
}

/** An object of the API in which nothing is given. */
function zeros(struct: Struct): Raw {
  return Object.fromEntries(
    struct.fields.filter((f) => !f.json.startsWith('~')).map((f) => [f.json, f.form === 'attribute' ? f.zero : null]),
  );
}
