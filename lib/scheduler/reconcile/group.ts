import type { Allocation } from '../../structs/allocation.js';
import type { Deployment, DeploymentState } from '../../structs/deployment.js';
import type { DesiredUpdates } from '../../structs/evaluation.js';
import type { Job, TaskGroup, UpdateStrategy } from '../../structs/job.js';
import type { Millis } from '../../util/clock.js';
import { isTerminal } from '../usage.js';
import { type FateContext, fateOf } from './filters.js';
import { NameIndex } from './names.js';
import { noUpdates, type Placement, STOP_REASON, type Stop } from './result.js';
import { computeStops } from './stops.js';

/** How an allocation of an older job becomes one of the new. */
export type UpdateKind = 'none' | 'in-place' | 'destructive';

/** What deciding about one group takes. */
export interface GroupContext extends FateContext {
  readonly group: TaskGroup;
  /** The roll-out before this job version, if the latest is not of this version. */
  readonly oldDeployment: Deployment | null;
  readonly updateKind: (alloc: Allocation, group: TaskGroup) => UpdateKind;
}

/** What one group needs. */
export interface GroupResult {
  readonly place: Placement[];
  readonly stop: Stop[];
  readonly inPlace: Allocation[];
  /** Failed ones that wait, and until when. */
  readonly later: { readonly alloc: Allocation; readonly at: Millis }[];
  readonly desired: DesiredUpdates;
  /** The group's part in the roll-out: as it is, or as it will be when one begins. */
  readonly state: DeploymentState;
  /** A roll-out must begin. */
  readonly startsDeployment: boolean;
  /** Nothing is left to do for the roll-out. */
  readonly complete: boolean;
}

/** Allocations of a group sorted by what becomes of them. */
export interface Sorted {
  kept: Allocation[];
  migrate: Allocation[];
  lost: Allocation[];
  now: Allocation[];
  later: { alloc: Allocation; at: Millis }[];
}

/** Whether a roll-out makes no progress at the moment. */
export function isHeld(deployment: Deployment | null): boolean {
  return deployment !== null && deployment.Status !== 'running' && deployment.Status !== 'successful';
}

/** The update strategy that governs a group; null: everything is replaced at once, without a roll-out. */
export function strategyOf(job: Job, group: TaskGroup): UpdateStrategy | null {
  return job.Type === 'service' && group.Update && group.Update.MaxParallel > 0 ? group.Update : null;
}

/** Compares what a group should be with what there is. Pure: `allocs` are all of the group's, ended ones too. */
export function reconcileGroup(context: GroupContext, allocs: readonly Allocation[]): GroupResult {
  const { job, group, deployment } = context;
  const strategy = strategyOf(job, group);
  const known = deployment?.TaskGroups[group.Name];
  const state: DeploymentState = { ...(known ?? newState(strategy)) };
  const desired = noUpdates();
  const stop: Stop[] = [];

  const trial = dropCanaries(context, allocs, stop);
  const { kept: all, migrate, lost, now, later } = sortByFate(context, trial.allocs, desired);
  const canaries = trial.canaries.filter((alloc) => all.includes(alloc));
  const canarying = known !== undefined && known.DesiredCanaries !== 0 && !known.Promoted;

  const names = new NameIndex(job.ID, group.Name, group.Count, [...all, ...migrate, ...now, ...lost]);
  const stops = computeStops({ group, names, kept: all, migrate, lost, canaries, canarying });
  stop.push(...stops.stop);
  const staying = stops.kept;

  const { none, inPlace, destructive } = sortByUpdate(context, staying);
  desired.InPlaceUpdate = inPlace.length;
  desired.Ignore += none.length;
  if (!known) state.DesiredTotal += destructive.length + inPlace.length;
  // Canaries stand beside the count while they are on trial.
  const counted = canarying ? staying.filter((alloc) => !canaries.includes(alloc)) : staying;

  const place: Placement[] = [];
  const needsCanaries =
    strategy !== null && destructive.length > 0 && canaries.length < strategy.Canary && !state.Promoted;
  if (needsCanaries) {
    state.DesiredCanaries = strategy.Canary;
    if (!isHeld(deployment)) {
      const missing = strategy.Canary - canaries.length;
      desired.Canary += missing;
      for (const name of names.nextCanaries(missing, canaries, destructive)) {
        place.push({ ...placementOf(group, name), canary: true });
      }
    }
  }
  const onTrial = state.DesiredCanaries !== 0 && !state.Promoted;
  const ready = !isHeld(deployment) && !onTrial;
  let limit = updateLimit({ context, strategy, counted, destructive, migrate: stops.migrate, ready });

  const wanted = computePlacements({ group, names, counted, migrate: stops.migrate, now, lost, onTrial });
  if (!known) state.DesiredTotal += wanted.length;
  const replaced = admitPlacements({ wanted, ready, deployment, lost });
  place.push(...replaced);
  desired.Place += replaced.length;
  desired.RescheduleNow += replaced.filter(({ reschedule }) => reschedule).length;
  for (const { previous, reschedule } of replaced) {
    if (reschedule && previous)
      stop.push({ alloc: previous, description: STOP_REASON.rescheduled, clientStatus: null });
  }
  if (ready) limit -= Math.min(limit, replaced.length);

  const updated = ready ? byName(destructive).slice(0, limit) : [];
  desired.DestructiveUpdate += updated.length;
  desired.Ignore += destructive.length - updated.length;
  for (const alloc of updated) {
    const replaces: Stop = { alloc, description: STOP_REASON.updating, clientStatus: null };
    place.push({ ...placementOf(group, alloc.Name), previous: alloc, replaces });
  }
  desired.Migrate += stops.migrate.length;
  for (const alloc of stops.migrate) {
    stop.push({ alloc, description: STOP_REASON.migrating, clientStatus: null });
    place.push({
      ...placementOf(group, alloc.Name),
      previous: alloc,
      canary: isCanary(alloc),
      downgrade: onTrial && !isCanary(alloc),
    });
  }
  desired.Stop = stop.length - stops.migrate.length;
  desired.RescheduleLater = later.length;

  const updating = destructive.length + inPlace.length > 0;
  const ranBefore = allocs.some(
    (alloc) => alloc.Job?.Version === job.Version && alloc.Job.CreateIndex === job.CreateIndex,
  );
  return {
    place,
    stop,
    inPlace,
    later,
    desired,
    state,
    startsDeployment: strategy !== null && !known && state.DesiredTotal > 0 && (!ranBefore || updating),
    complete:
      destructive.length + inPlace.length + place.length + stops.migrate.length + now.length + later.length === 0 &&
      !needsCanaries &&
      isHealthy(known),
  };
}

/** Sets canaries aside that no one needs any more: those of an older roll-out, or of one that has failed. */
function dropCanaries(
  { deployment, oldDeployment, group }: GroupContext,
  allocs: readonly Allocation[],
  stop: Stop[],
): { allocs: Allocation[]; canaries: Allocation[] } {
  const unpromoted = (of: Deployment | null): boolean => of?.TaskGroups[group.Name]?.Promoted === false;
  const dropped = (alloc: Allocation): boolean => {
    if (isCanaryOf(alloc, oldDeployment, group)) return unpromoted(oldDeployment);
    return isCanaryOf(alloc, deployment, group) && deployment?.Status === 'failed' && unpromoted(deployment);
  };
  const left: Allocation[] = [];
  for (const alloc of allocs) {
    if (!dropped(alloc)) left.push(alloc);
    else if (!isTerminal(alloc)) stop.push({ alloc, description: STOP_REASON.notNeeded, clientStatus: null });
  }
  return { allocs: left, canaries: left.filter((alloc) => isCanaryOf(alloc, deployment, group)) };
}

function isCanaryOf(alloc: Allocation, deployment: Deployment | null, group: TaskGroup): boolean {
  if (!deployment) return false;
  if (deployment.TaskGroups[group.Name]?.PlacedCanaries?.includes(alloc.ID)) return true;
  return alloc.DeploymentID === deployment.ID && isCanary(alloc);
}

function isCanary(alloc: Allocation): boolean {
  return alloc.DeploymentStatus?.Canary === true;
}

function sortByFate(context: GroupContext, allocs: readonly Allocation[], desired: DesiredUpdates): Sorted {
  const sorted: Sorted = { kept: [], migrate: [], lost: [], now: [], later: [] };
  for (const alloc of allocs) {
    const fate = fateOf(alloc, context);
    switch (fate.kind) {
      case 'keep':
        sorted.kept.push(alloc);
        break;
      case 'ignore':
        desired.Ignore++;
        break;
      case 'migrate':
        sorted.migrate.push(alloc);
        break;
      case 'lost':
        sorted.lost.push(alloc);
        break;
      case 'reschedule-now':
        sorted.now.push(alloc);
        break;
      case 'reschedule-later':
        sorted.kept.push(alloc);
        sorted.later.push({ alloc, at: fate.at });
        break;
    }
  }
  return sorted;
}

function sortByUpdate(
  { updateKind, group }: GroupContext,
  allocs: readonly Allocation[],
): { none: Allocation[]; inPlace: Allocation[]; destructive: Allocation[] } {
  const result = { none: [] as Allocation[], inPlace: [] as Allocation[], destructive: [] as Allocation[] };
  for (const alloc of allocs) {
    const kind = updateKind(alloc, group);
    if (kind === 'none') result.none.push(alloc);
    else if (kind === 'in-place') result.inPlace.push(alloc);
    else result.destructive.push(alloc);
  }
  return result;
}

/** How many allocations may be replaced or added at once by a roll-out. */
function updateLimit(options: {
  context: GroupContext;
  strategy: UpdateStrategy | null;
  counted: readonly Allocation[];
  destructive: readonly Allocation[];
  migrate: readonly Allocation[];
  ready: boolean;
}): number {
  const { context, strategy, counted, destructive, migrate, ready } = options;
  if (!strategy || destructive.length + migrate.length === 0) return context.group.Count;
  if (!ready) return 0;
  let limit = strategy.MaxParallel;
  for (const alloc of counted) {
    if (!context.deployment || alloc.DeploymentID !== context.deployment.ID) continue;
    const healthy = alloc.DeploymentStatus?.Healthy ?? null;
    if (healthy === false) return 0;
    if (healthy === null) limit--;
  }
  return Math.max(0, limit);
}

/** What must be placed to reach the count: failed ones again, lost ones as far as the count goes, then new names. */
function computePlacements(options: {
  group: TaskGroup;
  names: NameIndex;
  counted: readonly Allocation[];
  migrate: readonly Allocation[];
  now: readonly Allocation[];
  lost: readonly Allocation[];
  onTrial: boolean;
}): Placement[] {
  const { group, names, counted, migrate, now, lost, onTrial } = options;
  const again = (alloc: Allocation): Placement => ({
    ...placementOf(group, alloc.Name),
    previous: alloc,
    canary: isCanary(alloc),
    downgrade: onTrial && !isCanary(alloc),
  });
  const place: Placement[] = now.map((alloc) => ({ ...again(alloc), reschedule: true }));
  let existing = counted.length + migrate.length + now.length;
  for (const alloc of lost) {
    if (existing >= group.Count) break;
    existing++;
    place.push({ ...again(alloc), lost: true });
  }
  if (existing < group.Count) {
    for (const name of names.next(group.Count - existing)) {
      place.push({ ...placementOf(group, name), downgrade: onTrial });
    }
  }
  return place;
}

/** While a roll-out is held, only what was lost or has failed outside it is placed again. */
function admitPlacements(options: {
  wanted: readonly Placement[];
  ready: boolean;
  deployment: Deployment | null;
  lost: readonly Allocation[];
}): Placement[] {
  const { wanted, ready, deployment } = options;
  if (ready) return [...wanted];
  const failed = deployment?.Status === 'failed';
  return wanted.filter(({ lost, reschedule, previous }) => {
    if (lost) return true;
    return reschedule && !(failed && previous?.DeploymentID === deployment?.ID);
  });
}

function isHealthy(state: DeploymentState | undefined): boolean {
  if (!state) return true;
  if (state.DesiredCanaries > 0 && !state.Promoted) return false;
  return state.HealthyAllocs >= Math.max(state.DesiredTotal, state.DesiredCanaries);
}

function newState(strategy: UpdateStrategy | null): DeploymentState {
  return {
    AutoRevert: strategy?.AutoRevert ?? false,
    AutoPromote: strategy?.AutoPromote ?? false,
    ProgressDeadline: strategy?.ProgressDeadline ?? 0,
    RequireProgressBy: '0001-01-01T00:00:00Z',
    Promoted: false,
    PlacedCanaries: null,
    DesiredCanaries: 0,
    DesiredTotal: 0,
    PlacedAllocs: 0,
    HealthyAllocs: 0,
    UnhealthyAllocs: 0,
  };
}

function placementOf(group: TaskGroup, name: string): Placement {
  return {
    name,
    group,
    previous: null,
    reschedule: false,
    lost: false,
    canary: false,
    downgrade: false,
    replaces: null,
  };
}

function byName(allocs: readonly Allocation[]): Allocation[] {
  const collator = (a: Allocation, b: Allocation): number =>
    a.Name.length - b.Name.length || (a.Name < b.Name ? -1 : a.Name > b.Name ? 1 : 0);
  return [...allocs].sort(collator);
}
