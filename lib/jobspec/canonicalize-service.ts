import type { CheckRestart, Service, ServiceCheck } from '../structs/service.js';
import { CHECK_RESTART_GRACE_NS } from './defaults.js';
import { eachOrNull, listOrNull, mapOrNull, oneOrNull, or, orNull } from './loose.js';
import type { Raw } from './schema/field.js';

/** Where a service stands; `task` is '' for a service of the group. */
export interface ServicePlace {
  job: string;
  group: string;
  task: string;
}

/** `${JOB}`, `${TASKGROUP}`, `${TASK}` and `${BASE}` are known when the job is registered; other references are not. */
function interpolateName(name: string, { job, group, task }: ServicePlace): string {
  const taskOrGroup = task === '' ? 'group' : task;
  const known: Record<string, string> = {
    JOB: job,
    TASKGROUP: group,
    TASK: taskOrGroup,
    BASE: `${job}-${group}-${taskOrGroup}`,
  };
  return name.replace(/\$\{(JOB|TASKGROUP|TASK|BASE)\}/g, (_, word: string) => known[word] ?? '');
}

function canonicalCheckRestart(raw: Raw): CheckRestart {
  return {
    Limit: or(raw['Limit'], 0),
    Grace: or(raw['Grace'], CHECK_RESTART_GRACE_NS),
    IgnoreWarnings: or(raw['IgnoreWarnings'], false),
  };
}

function canonicalCheck(raw: Raw, service: string, onUpdate: string, restart: CheckRestart | null): ServiceCheck {
  const own = oneOrNull(raw['CheckRestart'], canonicalCheckRestart);
  return {
    Name: (raw['Name'] as string) || `service: ${JSON.stringify(service)} check`,
    Type: or(raw['Type'], ''),
    Command: or(raw['Command'], ''),
    Args: listOrNull(raw['Args']),
    Path: or(raw['Path'], ''),
    Protocol: or(raw['Protocol'], ''),
    PortLabel: or(raw['PortLabel'], ''),
    Expose: or(raw['Expose'], false),
    AddressMode: or(raw['AddressMode'], ''),
    Interval: or(raw['Interval'], 0),
    Timeout: or(raw['Timeout'], 0),
    InitialStatus: or(raw['InitialStatus'], ''),
    Notes: or(raw['Notes'], ''),
    TLSServerName: or(raw['TLSServerName'], ''),
    TLSSkipVerify: or(raw['TLSSkipVerify'], false),
    Header: mapOrNull(raw['Header']),
    Method: or(raw['Method'], ''),
    CheckRestart: own ?? restart,
    GRPCService: or(raw['GRPCService'], ''),
    GRPCUseTLS: or(raw['GRPCUseTLS'], false),
    TaskName: or(raw['TaskName'], ''),
    SuccessBeforePassing: or(raw['SuccessBeforePassing'], 0),
    FailuresBeforeCritical: or(raw['FailuresBeforeCritical'], 0),
    FailuresBeforeWarning: or(raw['FailuresBeforeWarning'], 0),
    Body: or(raw['Body'], ''),
    OnUpdate: (raw['OnUpdate'] as string) || onUpdate,
  };
}

export function canonicalService(raw: Raw, place: ServicePlace): Service {
  const fallback = [place.job, place.group, place.task].filter((part) => part !== '').join('-');
  const name = interpolateName((raw['Name'] as string) || fallback, place);
  const onUpdate = (raw['OnUpdate'] as string) || 'require_healthy';
  const restart = oneOrNull(raw['CheckRestart'], canonicalCheckRestart);
  return {
    Name: name,
    PortLabel: or(raw['PortLabel'], ''),
    Provider: ((raw['Provider'] as string) || 'consul') as Service['Provider'],
    TaskName: or(raw['TaskName'], ''),
    AddressMode: (raw['AddressMode'] as string) || 'auto',
    Address: or(raw['Address'], ''),
    Tags: listOrNull(raw['Tags']),
    CanaryTags: listOrNull(raw['CanaryTags']),
    EnableTagOverride: or(raw['EnableTagOverride'], false),
    Checks: eachOrNull(raw['Checks'], (check) => canonicalCheck(check, name, onUpdate, restart)),
    CheckRestart: restart,
    Connect: orNull(raw['Connect']),
    Meta: mapOrNull(raw['Meta']),
    CanaryMeta: mapOrNull(raw['CanaryMeta']),
    TaggedAddresses: mapOrNull(raw['TaggedAddresses']),
    OnUpdate: onUpdate,
    Cluster: (raw['Cluster'] as string) || 'default',
    Weights: oneOrNull(raw['Weights'], (weights) => ({
      Passing: or(weights['Passing'], 0) || 1,
      Warning: or(weights['Warning'], 0) || 1,
    })),
    Identity: orNull(raw['Identity']),
    Kind: or(raw['Kind'], ''),
  };
}
