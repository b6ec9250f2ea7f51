import type { CheckRestart, Service, ServiceCheck } from '../structs/service.js';
import { canonicalConnect } from './canonicalize-connect.js';
import { canonicalIdentity } from './canonicalize-identity.js';
import { CHECK_RESTART_GRACE_NS } from './defaults.js';
import { eachOrNull, listOrNull, mapOrNull, oneOrNull, or, orNull } from './loose.js';
import type { Raw } from './schema/field.js';

/** Where a service stands; `task` is '' for a service of the group. */
export interface ServicePlace {
  namespace: string;
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

/** A check's own wishes come before those of its service. */
function canonicalCheckRestart(service: Raw | null, check: Raw | null): CheckRestart | null {
  if (!service && !check) return null;
  return {
    Limit: or(check?.['Limit'] || service?.['Limit'], 0),
    Grace: or(check?.['Grace'] ?? service?.['Grace'], CHECK_RESTART_GRACE_NS),
    IgnoreWarnings: or(check?.['IgnoreWarnings'] || service?.['IgnoreWarnings'], false),
  };
}

/** What a check takes from its service. */
interface CheckPlace {
  service: string;
  onUpdate: string;
  restart: Raw | null;
  task: string;
  /** Of the group: its checks may name a task themselves. */
  ofGroup: boolean;
}

const atLeastZero = (value: unknown): number => Math.max(0, or(value, 0));

function canonicalCheck(raw: Raw, place: CheckPlace): ServiceCheck {
  return {
    Name: (raw['Name'] as string) || `service: ${JSON.stringify(place.service)} check`,
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
    CheckRestart: canonicalCheckRestart(place.restart, orNull<Raw>(raw['CheckRestart'])),
    GRPCService: or(raw['GRPCService'], ''),
    GRPCUseTLS: or(raw['GRPCUseTLS'], false),
    TaskName: (place.ofGroup && (raw['TaskName'] as string)) || place.task,
    SuccessBeforePassing: atLeastZero(raw['SuccessBeforePassing']),
    FailuresBeforeCritical: atLeastZero(raw['FailuresBeforeCritical']),
    FailuresBeforeWarning: atLeastZero(raw['FailuresBeforeWarning']),
    Body: or(raw['Body'], ''),
    OnUpdate: (raw['OnUpdate'] as string) || place.onUpdate,
  };
}

/** Of the registry: the job's own, or Consul's; of a provider that is neither there is none. */
function namespaceOf(raw: Raw, provider: string, place: ServicePlace): string {
  if (provider === 'nomad') return place.namespace;
  return or(raw['Namespace'], '') || (provider === 'consul' ? 'default' : '');
}

export function canonicalService(raw: Raw, place: ServicePlace): Service {
  const fallback = [place.job, place.group, place.task].filter((part) => part !== '').join('-');
  const name = interpolateName((raw['Name'] as string) || fallback, place);
  const onUpdate = (raw['OnUpdate'] as string) || 'require_healthy';
  const provider = ((raw['Provider'] as string) || 'consul') as Service['Provider'];
  const task = (raw['TaskName'] as string) || place.task;
  const port = or(raw['PortLabel'], '');
  const checkPlace: CheckPlace = {
    service: name,
    onUpdate,
    restart: orNull<Raw>(raw['CheckRestart']),
    task,
    ofGroup: place.task === '',
  };
  return {
    Name: name,
    PortLabel: port,
    Provider: provider,
    Namespace: namespaceOf(raw, provider, place),
    TaskName: task,
    AddressMode: (raw['AddressMode'] as string) || 'auto',
    Address: or(raw['Address'], ''),
    Tags: listOrNull(raw['Tags']),
    CanaryTags: listOrNull(raw['CanaryTags']),
    EnableTagOverride: or(raw['EnableTagOverride'], false),
    Checks: eachOrNull(raw['Checks'], (check) => canonicalCheck(check, checkPlace)),
    // It has gone into the checks.
    CheckRestart: null,
    Connect: oneOrNull(raw['Connect'], canonicalConnect),
    Meta: mapOrNull(raw['Meta']),
    CanaryMeta: mapOrNull(raw['CanaryMeta']),
    TaggedAddresses: mapOrNull(raw['TaggedAddresses']),
    OnUpdate: onUpdate,
    Cluster: (raw['Cluster'] as string) || 'default',
    Weights: oneOrNull(raw['Weights'], (weights) => ({
      Passing: atLeastZero(weights['Passing']) || 1,
      Warning: atLeastZero(weights['Warning']) || 1,
    })),
    Identity: oneOrNull(raw['Identity'], (identity) => ({
      ...canonicalIdentity(identity),
      ChangeSignal: or(identity['ChangeSignal'], ''),
      // With Consul both follow from the service, whatever the file says.
      ...(provider === 'consul' && { Name: `consul-service_${task && `${task}-`}${name}-${port}`, ServiceName: name }),
    })),
    Kind: or(raw['Kind'], ''),
  };
}
