import type { Job, JobType, MigrateStrategy, ReschedulePolicy, TaskGroup, UpdateStrategy } from '../structs/job.js';
import type { VolumeRequest } from '../structs/volume.js';
import { atOnce, GROUPS_PER_TURN, mapInTurns, type Resting } from '../util/turns.js';
import { canonicalNetwork } from './canonicalize-network.js';
import { canonicalService } from './canonicalize-service.js';
import { canonicalConsul, canonicalScaling, canonicalTask } from './canonicalize-task.js';
import { EPHEMERAL_DISK, MIGRATE, PRIORITY, rescheduleFor, restartFor, UPDATE } from './defaults.js';
import {
  canonicalAffinity,
  canonicalConstraint,
  canonicalSpread,
  eachOrNull,
  listOrNull,
  mapOrNull,
  merge,
  oneOrNull,
  or,
  orNull,
} from './loose.js';
import type { Raw } from './schema/field.js';

/**
 * The job with every default filled in, as the server keeps it. `partial` has the right types (`parseJob` and
 * `readJobJson` see to that), but may lack anything or hold null. Done twice it changes nothing.
 */
export function canonicalizeJob(partial: Partial<Job>): Job {
  return atOnce(canonicalizeInTurns(partial));
}

/** The same with rests between its groups. */
export function* canonicalizeInTurns(partial: Partial<Job>): Resting<Job> {
  const raw = partial as Raw;
  const id = or(raw['ID'], '');
  const type = or<JobType>(raw['Type'], 'service');
  const place: JobPlace = {
    id,
    type,
    name: or(raw['Name'], id),
    namespace: (raw['Namespace'] as string) || 'default',
    update: updateOf(raw, type),
    reschedule: raw['Reschedule'],
    migrate: raw['Migrate'],
  };
  return {
    ID: id,
    Name: place.name,
    Namespace: place.namespace,
    Region: (raw['Region'] as string) || 'global',
    Type: type,
    Priority: or(raw['Priority'], 0) || PRIORITY,
    AllAtOnce: or(raw['AllAtOnce'], false),
    Datacenters: listOrNull(raw['Datacenters']) ?? ['*'],
    NodePool: (raw['NodePool'] as string) || 'default',
    Constraints: eachOrNull(raw['Constraints'], canonicalConstraint),
    Affinities: eachOrNull(raw['Affinities'], canonicalAffinity),
    Spreads: eachOrNull(raw['Spreads'], canonicalSpread),
    TaskGroups: yield* mapInTurns(
      listOrNull<Raw | null>(raw['TaskGroups']) ?? [],
      (group) => canonicalGroup(group ?? {}, place),
      GROUPS_PER_TURN,
    ),
    Update: jobUpdate(place.update),
    Multiregion: oneOrNull(raw['Multiregion'], canonicalMultiregion),
    Periodic: oneOrNull(raw['Periodic'], (periodic) => ({
      Enabled: or(periodic['Enabled'], true),
      Spec: or(periodic['Spec'], ''),
      Specs: listOrNull(periodic['Specs']),
      SpecType: or(periodic['SpecType'], 'cron'),
      ProhibitOverlap: or(periodic['ProhibitOverlap'], false),
      TimeZone: (periodic['TimeZone'] as string) || 'UTC',
    })),
    ParameterizedJob: oneOrNull(raw['ParameterizedJob'], (parameterized) => ({
      Payload: (parameterized['Payload'] || 'optional') as 'optional',
      MetaRequired: listOrNull(parameterized['MetaRequired']),
      MetaOptional: listOrNull(parameterized['MetaOptional']),
    })),
    Dispatched: or(raw['Dispatched'], false),
    DispatchIdempotencyToken: or(raw['DispatchIdempotencyToken'], ''),
    Payload: orNull(raw['Payload']),
    Meta: mapOrNull(raw['Meta']),
    ParentID: or(raw['ParentID'], ''),
    UI: oneOrNull(raw['UI'], (ui) => ({
      Description: or(ui['Description'], ''),
      // The job file's form writes `URL`, the server's `Url`.
      Links: eachOrNull(ui['Links'], (link) => ({
        Label: or(link['Label'], ''),
        Url: or(link['URL'] ?? link['Url'], ''),
      })),
    })),
    ...serverFields(raw),
  };
}

function serverFields(raw: Raw) {
  return {
    ConsulToken: or(raw['ConsulToken'], ''),
    ConsulNamespace: or(raw['ConsulNamespace'], ''),
    VaultToken: or(raw['VaultToken'], ''),
    VaultNamespace: or(raw['VaultNamespace'], ''),
    NomadTokenID: or(raw['NomadTokenID'], ''),
    Stop: or(raw['Stop'], false),
    Status: ((raw['Status'] as string) || 'pending') as Job['Status'],
    StatusDescription: or(raw['StatusDescription'], ''),
    Stable: or(raw['Stable'], false),
    Version: or(raw['Version'], 0),
    VersionTag: orNull<NonNullable<Job['VersionTag']>>(raw['VersionTag']),
    SubmitTime: or(raw['SubmitTime'], 0),
    CreateIndex: or(raw['CreateIndex'], 0),
    ModifyIndex: or(raw['ModifyIndex'], 0),
    JobModifyIndex: or(raw['JobModifyIndex'], 0),
  };
}

/** What groups take from their job. */
interface JobPlace {
  id: string;
  type: JobType;
  name: string;
  namespace: string;
  update: UpdateStrategy | null;
  reschedule: unknown;
  migrate: unknown;
}

function updateOf(raw: Raw, type: JobType): UpdateStrategy | null {
  if (raw['Update']) return merge(UPDATE, raw['Update']);
  return type === 'service' || type === 'system' ? UPDATE : null;
}

const NO_UPDATE: UpdateStrategy = {
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

/** What the job itself keeps of its update: the groups have it all. */
function jobUpdate(update: UpdateStrategy | null): UpdateStrategy {
  if (!update || update.MaxParallel <= 0) return NO_UPDATE;
  return { ...NO_UPDATE, Stagger: update.Stagger, MaxParallel: update.MaxParallel };
}

function canonicalMultiregion(raw: Raw): unknown {
  const strategy = orNull<Raw>(raw['Strategy']);
  return {
    Strategy: { MaxParallel: or(strategy?.['MaxParallel'], 0), OnFailure: or(strategy?.['OnFailure'], '') },
    Regions:
      eachOrNull(raw['Regions'], (region) => ({
        Name: or(region['Name'], ''),
        Count: or(region['Count'], 1),
        Datacenters: listOrNull(region['Datacenters']),
        NodePool: or(region['NodePool'], ''),
        Meta: mapOrNull(region['Meta']),
      })) ?? [],
  };
}

/** Nothing in it is set: a job that another server printed without one says it this way. */
function isEmpty(update: UpdateStrategy): boolean {
  return Object.values(update).every((value) => !value);
}

function groupUpdate(raw: Raw, { update }: JobPlace): UpdateStrategy | null {
  if (raw['Update']) return merge(UPDATE, update, raw['Update']);
  return update && !isEmpty(update) ? update : null;
}

function groupReschedule(raw: Raw, { type, reschedule }: JobPlace): ReschedulePolicy | null {
  const given = raw['ReschedulePolicy'] ?? reschedule;
  if (!given && type !== 'service' && type !== 'batch') return null;
  return merge(rescheduleFor(type), reschedule, raw['ReschedulePolicy']);
}

function groupMigrate(raw: Raw, { type, migrate }: JobPlace): MigrateStrategy | null {
  const given = raw['Migrate'] ?? migrate;
  return given || type === 'service' ? merge(MIGRATE, migrate, raw['Migrate']) : null;
}

function canonicalVolume(raw: Raw, name: string): VolumeRequest {
  return {
    Name: (raw['Name'] as string) || name,
    Type: or(raw['Type'], '') as VolumeRequest['Type'],
    Source: or(raw['Source'], ''),
    ReadOnly: or(raw['ReadOnly'], false),
    Sticky: or(raw['Sticky'], false),
    AccessMode: or(raw['AccessMode'], ''),
    AttachmentMode: or(raw['AttachmentMode'], ''),
    MountOptions: oneOrNull(raw['MountOptions'], (options) => ({
      FSType: or(options['FSType'], ''),
      MountFlags: listOrNull(options['MountFlags']),
    })),
    PerAlloc: or(raw['PerAlloc'], false),
  };
}

function canonicalVolumes(value: unknown): Record<string, VolumeRequest> | null {
  const volumes = mapOrNull<Raw | null>(value);
  if (!volumes) return null;
  return Object.fromEntries(Object.entries(volumes).map(([name, raw]) => [name, canonicalVolume(raw ?? {}, name)]));
}

function canonicalGroup(raw: Raw, job: JobPlace): TaskGroup {
  const name = or(raw['Name'], '');
  const scaling = orNull<Raw>(raw['Scaling']);
  const count = or<number>(raw['Count'], or(scaling?.['Min'], 1));
  const restart = merge(restartFor(job.type), raw['RestartPolicy']);
  const place = { namespace: job.namespace, jobId: job.id, jobName: job.name, group: name, restart };
  const target = { Namespace: job.namespace, Job: job.id, Group: name };
  return {
    Name: name,
    Count: count,
    Constraints: eachOrNull(raw['Constraints'], canonicalConstraint),
    Affinities: eachOrNull(raw['Affinities'], canonicalAffinity),
    Spreads: eachOrNull(raw['Spreads'], canonicalSpread),
    Networks: eachOrNull(raw['Networks'], canonicalNetwork),
    Services: eachOrNull(raw['Services'], (service) =>
      canonicalService(service, { namespace: job.namespace, job: job.name, group: name, task: '' }),
    ),
    Volumes: canonicalVolumes(raw['Volumes']),
    RestartPolicy: restart,
    ReschedulePolicy: groupReschedule(raw, job),
    Disconnect: oneOrNull(raw['Disconnect'], (disconnect) => ({
      LostAfter: or(disconnect['LostAfter'], 0),
      StopOnClientAfter: orNull(disconnect['StopOnClientAfter']),
      Replace: or(disconnect['Replace'], true),
      Reconcile: (disconnect['Reconcile'] || 'best_score') as 'best_score',
    })),
    EphemeralDisk: merge(EPHEMERAL_DISK, raw['EphemeralDisk']),
    Update: groupUpdate(raw, job),
    Migrate: groupMigrate(raw, job),
    Scaling: scaling && canonicalScaling(scaling, target, count),
    Consul: oneOrNull(raw['Consul'], canonicalConsul),
    ShutdownDelay: orNull(raw['ShutdownDelay']),
    MaxRunDuration: orNull(raw['MaxRunDuration']),
    StopAfterClientDisconnect: orNull(raw['StopAfterClientDisconnect']),
    MaxClientDisconnect: orNull(raw['MaxClientDisconnect']),
    PreventRescheduleOnLost: or(raw['PreventRescheduleOnLost'], false),
    Meta: mapOrNull(raw['Meta']),
    Tasks: eachOrNull(raw['Tasks'], (task) => canonicalTask(task, place)) ?? [],
  };
}
