import type {
  Action,
  LogConfig,
  RestartPolicy,
  ScalingPolicy,
  Secret,
  Task,
  TaskArtifact,
  TaskLifecycle,
  Template,
} from '../structs/job.js';
import type { CsiPluginConfig } from '../structs/volume.js';
import { canonicalIdentities } from './canonicalize-identity.js';
import { canonicalMount } from './canonicalize-mount.js';
import { canonicalResources } from './canonicalize-network.js';
import { canonicalService } from './canonicalize-service.js';
import {
  CHANGE_SCRIPT_TIMEOUT_NS,
  CSI_HEALTH_TIMEOUT_NS,
  KILL_TIMEOUT_NS,
  LOGS,
  TEMPLATE_SPLAY_NS,
} from './defaults.js';
import {
  canonicalAffinity,
  canonicalConstraint,
  eachOrNull,
  listOrNull,
  mapOrNull,
  merge,
  oneOrNull,
  or,
  orNull,
} from './loose.js';
import type { Raw } from './schema/field.js';

export interface TaskPlace {
  namespace: string;
  jobId: string;
  jobName: string;
  group: string;
  restart: RestartPolicy;
}

function canonicalArtifact(raw: Raw): TaskArtifact {
  const source = or<string>(raw['GetterSource'], '');
  const mode = or<string>(raw['GetterMode'], 'any');
  const fallback = mode === 'file' ? `local/${source.replace(/\/+$/, '').split('/').at(-1) || '.'}` : 'local/';
  return {
    GetterSource: source,
    GetterOptions: mapOrNull(raw['GetterOptions']),
    GetterHeaders: mapOrNull(raw['GetterHeaders']),
    GetterMode: mode,
    GetterInsecure: or(raw['GetterInsecure'], false),
    RelativeDest: or(raw['RelativeDest'], fallback),
    Chown: or(raw['Chown'], false),
  };
}

function canonicalTemplate(raw: Raw): Template {
  const changeMode = or<string>(raw['ChangeMode'], 'restart');
  return {
    SourcePath: or(raw['SourcePath'], ''),
    DestPath: or(raw['DestPath'], ''),
    EmbeddedTmpl: or(raw['EmbeddedTmpl'], ''),
    ChangeMode: changeMode,
    ChangeScript: oneOrNull(raw['ChangeScript'], (script) => ({
      Command: or(script['Command'], ''),
      Args: or(script['Args'], []),
      Timeout: or(script['Timeout'], CHANGE_SCRIPT_TIMEOUT_NS),
      FailOnError: or(script['FailOnError'], false),
      RunOnFirstRender: or(script['RunOnFirstRender'], false),
    })),
    ChangeSignal: or(raw['ChangeSignal'], changeMode === 'signal' ? 'SIGHUP' : '').toUpperCase(),
    Once: or(raw['Once'], false),
    Splay: or(raw['Splay'], TEMPLATE_SPLAY_NS),
    Perms: or(raw['Perms'], '0644'),
    Uid: orNull(raw['Uid']),
    Gid: orNull(raw['Gid']),
    LeftDelim: or(raw['LeftDelim'], '{{'),
    RightDelim: or(raw['RightDelim'], '}}'),
    Envvars: or(raw['Envvars'], false),
    VaultGrace: or(raw['VaultGrace'], 0),
    Wait: oneOrNull(raw['Wait'], (wait) => ({ Min: orNull(wait['Min']), Max: orNull(wait['Max']) })),
    ErrMissingKey: or(raw['ErrMissingKey'], false),
  };
}

function canonicalCsiPlugin(raw: Raw): CsiPluginConfig {
  return {
    ID: or(raw['ID'], ''),
    Type: or(raw['Type'], '') as CsiPluginConfig['Type'],
    MountDir: (raw['MountDir'] as string) || '/csi',
    StagePublishBaseDir: (raw['StagePublishBaseDir'] as string) || '/local/csi',
    HealthTimeout: (raw['HealthTimeout'] as number) || CSI_HEALTH_TIMEOUT_NS,
  };
}

function canonicalVault(raw: Raw): Record<string, unknown> {
  return {
    Policies: listOrNull(raw['Policies']),
    Role: or(raw['Role'], ''),
    Namespace: or(raw['Namespace'], ''),
    Cluster: raw['Cluster'] || 'default',
    Env: or(raw['Env'], true),
    DisableFile: or(raw['DisableFile'], false),
    ChangeMode: raw['ChangeMode'] || 'restart',
    ChangeSignal: or(raw['ChangeSignal'], 'SIGHUP').toUpperCase(),
    AllowTokenExpiration: or(raw['AllowTokenExpiration'], false),
  };
}

export function canonicalConsul(raw: Raw): Record<string, unknown> {
  return {
    Namespace: or(raw['Namespace'], ''),
    Cluster: raw['Cluster'] || 'default',
    Partition: or(raw['Partition'], ''),
  };
}

function canonicalSecret(raw: Raw): Secret {
  return {
    Name: or(raw['Name'], ''),
    Provider: or(raw['Provider'], ''),
    Path: or(raw['Path'], ''),
    Config: mapOrNull(raw['Config']),
    Env: mapOrNull(raw['Env']),
  };
}

/** Without hours a schedule is none. */
function canonicalSchedule(raw: Raw | null): Record<string, unknown> | null {
  return oneOrNull(raw?.['Cron'], (cron) => ({
    Cron: { Start: or(cron['Start'], ''), End: or(cron['End'], ''), Timezone: or(cron['Timezone'], '') },
  }));
}

/** `count` is the group's, which the policy's minimum falls back to. */
export function canonicalScaling(raw: Raw, target: Record<string, string>, count: number): ScalingPolicy {
  return {
    ID: or(raw['ID'], ''),
    Type: (raw['Type'] as string) || 'horizontal',
    Target: target,
    Min: or(raw['Min'], count),
    Max: orNull(raw['Max']),
    Policy: mapOrNull(raw['Policy']),
    Enabled: or(raw['Enabled'], true),
    CreateIndex: or(raw['CreateIndex'], 0),
    ModifyIndex: or(raw['ModifyIndex'], 0),
  };
}

export function canonicalTask(raw: Raw, place: TaskPlace): Task {
  const name = or(raw['Name'], '');
  const target = { Namespace: place.namespace, Job: place.jobId, Group: place.group, Task: name };
  const servicePlace = { namespace: place.namespace, job: place.jobName, group: place.group, task: name };
  return {
    Name: name,
    Driver: or(raw['Driver'], ''),
    User: or(raw['User'], ''),
    Config: mapOrNull(raw['Config']),
    Env: mapOrNull(raw['Env']),
    Services: eachOrNull(raw['Services'], (service) => canonicalService(service, servicePlace)),
    Resources: canonicalResources(or<Raw>(raw['Resources'], {})),
    RestartPolicy: merge(place.restart, raw['RestartPolicy']),
    Meta: mapOrNull(raw['Meta']),
    Constraints: eachOrNull(raw['Constraints'], canonicalConstraint),
    Affinities: eachOrNull(raw['Affinities'], canonicalAffinity),
    KillTimeout: (raw['KillTimeout'] as number) || KILL_TIMEOUT_NS,
    KillSignal: or(raw['KillSignal'], ''),
    LogConfig: merge<LogConfig>(LOGS, raw['LogConfig']),
    Artifacts: eachOrNull(raw['Artifacts'], canonicalArtifact),
    Templates: eachOrNull(raw['Templates'], canonicalTemplate),
    DispatchPayload: oneOrNull(raw['DispatchPayload'], (payload) => ({ File: or(payload['File'], '') })),
    VolumeMounts: eachOrNull(raw['VolumeMounts'], canonicalMount),
    CSIPluginConfig: oneOrNull(raw['CSIPluginConfig'], canonicalCsiPlugin),
    Leader: or(raw['Leader'], false),
    Lifecycle: oneOrNull(raw['Lifecycle'], (lifecycle) => ({
      Hook: or(lifecycle['Hook'], '') as TaskLifecycle['Hook'],
      Sidecar: or(lifecycle['Sidecar'], false),
    })),
    ShutdownDelay: or(raw['ShutdownDelay'], 0),
    Kind: or(raw['Kind'], ''),
    Vault: oneOrNull(raw['Vault'], canonicalVault),
    Consul: oneOrNull(raw['Consul'], canonicalConsul),
    ScalingPolicies: eachOrNull(raw['ScalingPolicies'], (policy) => canonicalScaling(policy, target, 0)),
    ...canonicalIdentities(orNull<Raw>(raw['Identity']), listOrNull<Raw>(raw['Identities'])),
    Secrets: eachOrNull(raw['Secrets'], canonicalSecret),
    Actions: eachOrNull<Action>(raw['Actions'], (action) => ({
      Name: or(action['Name'], ''),
      Command: or(action['Command'], ''),
      Args: listOrNull(action['Args']),
    })),
    Schedule: canonicalSchedule(orNull<Raw>(raw['Schedule'])),
  };
}
