import type { Allocation } from '../../structs/allocation.js';
import type { Deployment, DeploymentState } from '../../structs/deployment.js';
import type { DesiredUpdates } from '../../structs/evaluation.js';
import type { Job, TaskGroup, UpdateStrategy } from '../../structs/job.js';
import { assertNever } from '../../util/assert.js';
import { appendInTurns, filterInTurns, inTurns, type Rest, sortInTurns } from '../turns.js';
import { isServerTerminal, isTerminal } from '../usage.js';
import { type Away, dropAway, noneAway, sortAway, takeBack, timeoutsOf, waitsForClients } from './away.js';
import { type FateContext, fateOf } from './filters.js';
import type { Wait } from './followup.js';
import { allocIndex, byName, NameIndex, SomeAllocs } from './names.js';
import { noUpdates, type Placement, STOP_REASON, type Stop } from './result.js';
import { isHealthy, isHeld, newState } from './roll-out.js';
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
  readonly later: readonly Wait[];
  /** Those that become unknown. */
  readonly unknown: readonly Allocation[];
  /** Unknown ones that are replaced when nobody hears of them until then. */
  readonly replacements: readonly Wait[];
  /** Unknown ones that are lost when nobody hears of them until then. */
  readonly timeouts: readonly Wait[];
  /** Lost ones whose client may need until then to stop them. */
  readonly clientStops: readonly Wait[];
  /** Those that are taken back. */
  readonly back: readonly Allocation[];
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
  later: Wait[];
  away: Away;
}

/** The update strategy that governs a group; null: everything is replaced at once, without a roll-out. */
export function strategyOf(job: Job, group: TaskGroup): UpdateStrategy | null {
  return job.Type === 'service' && group.Update && group.Update.MaxParallel > 0 ? group.Update : null;
}

/** Compares what a group should be with what there is, with rests. Pure: `allocs` are all of the group's, ended ones too. */
export function* reconcileGroup(
  context: GroupContext,
  allocs: readonly Allocation[],
): Generator<Rest, GroupResult, void> {
  const { job, group, deployment } = context;
  const strategy = strategyOf(job, group);
  const known = deployment?.TaskGroups[group.Name];
  const state: DeploymentState = { ...(known ?? newState(strategy)) };
  const desired = noUpdates();
  const stop: Stop[] = [];

  const trial = yield* dropCanaries(context, allocs, stop);
  const sorted = yield* sortByFate(context, trial.allocs, desired);
  const canarying = known !== undefined && known.DesiredCanaries !== 0 && !known.Promoted;
  if (canarying) stopTainted(sorted, trial.canaries, stop);
  yield* takeBack(sorted, { job, apart: canarying ? trial.canaries : [], stop });
  const { kept: all, migrate, lost, now, away } = sorted;
  const canaries = yield* among(trial.canaries, all, now);
  const names = new NameIndex(job.ID, group.Name, group.Count);
  for (const some of [all, migrate, now, lost, away.displaced]) yield* inTurns(some, (alloc) => names.hold(alloc));
  const stops = yield* computeStops({ group, names, kept: all, migrate, lost, canaries, canarying });
  yield* appendInTurns(stop, stops.stop);

  // What cannot be reached cannot be updated: its turn comes when it is back.
  const reachable =
    away.holding.size === 0 ? stops.kept : yield* filterInTurns(stops.kept, (alloc) => !away.holding.has(alloc));
  const { none, inPlace, destructive } = yield* sortByUpdate(context, reachable);
  // Canaries stand beside the count while they are on trial.
  const onTrialNow = new Set(canaries);
  const counted = canarying ? yield* filterInTurns(stops.kept, (alloc) => !onTrialNow.has(alloc)) : stops.kept;
  const place: Placement[] = [];
  const needsCanaries =
    strategy !== null && destructive.length > 0 && canaries.length < strategy.Canary && !state.Promoted;
  if (needsCanaries) {
    state.DesiredCanaries = strategy.Canary;
    if (!isHeld(deployment)) {
      const canaryPlaces = yield* tryOut({ group, names, canaries, destructive, wanted: strategy.Canary });
      yield* appendInTurns(place, canaryPlaces);
    }
  }
  desired.Canary = place.length;
  const onTrial = state.DesiredCanaries !== 0 && !state.Promoted;
  const ready = !isHeld(deployment) && !onTrial;
  const limit = yield* updateLimit({ context, strategy, counted, destructive, migrate: stops.migrate, ready });

  const { wanted, dropped } = yield* computePlacements({
    ...{ group, names, counted, migrate: stops.migrate, onTrial, now, lost },
    displaced: away.displaced,
  });
  const clientStops = waitsForClients(context, away, lost);
  // While a client may still run what is lost here, the whole group waits.
  const admitted = clientStops.length > 0 ? [] : yield* admitPlacements({ wanted, ready, deployment });
  const updated = ready ? yield* firstByName(destructive, limit - admitted.length) : [];
  const gone = new SomeAllocs();
  for (const some of [updated, stops.migrate]) yield* inTurns(some, (alloc) => gone.add(alloc));
  yield* inTurns(stop, ({ alloc }) => gone.add(alloc));
  const later = yield* filterInTurns(sorted.later, ({ alloc }) => !gone.has(alloc));
  const unknown = yield* filterInTurns(away.leaving, (alloc) => !gone.has(alloc));
  const back = yield* filterInTurns(away.returned, (alloc) => !gone.has(alloc));
  if (!known) state.DesiredTotal += destructive.length + inPlace.length + wanted.length;
  yield* appendInTurns(place, admitted);
  yield* inTurns(updated, (alloc) => place.push(replacementOf(group, alloc)));
  yield* inTurns(stops.migrate, (alloc) => place.push(again(group, alloc, onTrial)));
  yield* inTurns(dropped, (alloc) => stop.push(stopUnneeded(alloc)));
  desired.RescheduleNow = yield* stopReplaced(admitted, stop);
  yield* inTurns(stops.migrate, (alloc) => stop.push(stopMigrating(alloc)));
  desired.Ignore += none.length + destructive.length - updated.length;
  desired.InPlaceUpdate = inPlace.length;
  desired.Place = admitted.length;
  desired.DestructiveUpdate = updated.length;
  desired.Migrate = stops.migrate.length;
  desired.Stop = stop.length - stops.migrate.length;
  const replacements = yield* filterInTurns(away.replacements, ({ alloc }) => !gone.has(alloc));
  desired.RescheduleLater = later.length + replacements.length;
  desired.Disconnect = unknown.length;
  desired.Reconnect = back.length;
  const idle = destructive.length + inPlace.length + place.length + now.length + later.length === 0;
  return {
    place,
    stop,
    inPlace,
    later,
    unknown,
    replacements,
    timeouts: timeoutsOf(away, unknown, context.now),
    clientStops,
    back,
    desired,
    state,
    startsDeployment:
      strategy !== null && !known && state.DesiredTotal > 0 && isNews({ job, allocs, inPlace, destructive }),
    complete: idle && !needsCanaries && isHealthy(known),
  };
}

/** A roll-out begins with a job's first allocations and with a change of running ones, not when one is merely replaced. */
function isNews(options: {
  job: Job;
  allocs: readonly Allocation[];
  inPlace: readonly Allocation[];
  destructive: readonly Allocation[];
}): boolean {
  const { job, allocs, inPlace, destructive } = options;
  if (inPlace.length + destructive.length > 0) return true;
  return !allocs.some(({ Job: own }) => own?.Version === job.Version && own.CreateIndex === job.CreateIndex);
}

function* tryOut(options: {
  group: TaskGroup;
  names: NameIndex;
  canaries: readonly Allocation[];
  destructive: readonly Allocation[];
  wanted: number;
}): Generator<Rest, Placement[], void> {
  const { group, names, canaries, destructive, wanted } = options;
  const fresh = yield* names.nextCanaries(wanted - canaries.length, canaries, destructive);
  return fresh.map((name) => placementOf(group, name, { canary: true }));
}

function replacementOf(group: TaskGroup, alloc: Allocation): Placement {
  const replaces: Stop = { alloc, description: STOP_REASON.updating, clientStatus: null };
  return placementOf(group, alloc.Name, { previous: alloc, replaces });
}

/** Stops those that are tried again; returns how many are. */
function* stopReplaced(placements: readonly Placement[], stop: Stop[]): Generator<Rest, number, void> {
  let tried = 0;
  yield* inTurns(placements, ({ previous, reschedule, lost }) => {
    if (!reschedule) return;
    tried++;
    if (lost || !previous) return;
    stop.push({ alloc: previous, description: STOP_REASON.rescheduled, clientStatus: null });
  });
  return tried;
}

function stopUnneeded(alloc: Allocation): Stop {
  return { alloc, description: STOP_REASON.notNeeded, clientStatus: null };
}

function stopMigrating(alloc: Allocation): Stop {
  return { alloc, description: STOP_REASON.migrating, clientStatus: null };
}

/** The same name once more. While canaries are on trial, what is none keeps running what it ran. */
function again(group: TaskGroup, alloc: Allocation, onTrial: boolean, as: Partial<Placement> = {}): Placement {
  const canary = isCanary(alloc);
  return placementOf(group, alloc.Name, { previous: alloc, canary, downgrade: onTrial && !canary, ...as });
}

/** Sets canaries aside that no one needs any more: those of an older roll-out, or of one that has failed. */
function* dropCanaries(
  { deployment, oldDeployment, group }: GroupContext,
  allocs: readonly Allocation[],
  stop: Stop[],
): Generator<Rest, { allocs: Allocation[]; canaries: Allocation[] }, void> {
  const [placed, placedBefore] = [placedCanaries(deployment, group), placedCanaries(oldDeployment, group)];
  const unpromoted = (of: Deployment | null): boolean => of?.TaskGroups[group.Name]?.Promoted === false;
  const dropped = (alloc: Allocation): boolean => {
    if (isCanaryOf(alloc, oldDeployment, placedBefore)) return unpromoted(oldDeployment);
    if (isCanaryOf(alloc, deployment, placed)) return deployment?.Status === 'failed' && unpromoted(deployment);
    // A promotion takes the mark away: who bears it is left over from an even older roll-out.
    return isCanary(alloc);
  };
  const left: Allocation[] = [];
  const canaries: Allocation[] = [];
  yield* inTurns(allocs, (alloc) => {
    if (!dropped(alloc)) {
      left.push(alloc);
      if (isCanaryOf(alloc, deployment, placed)) canaries.push(alloc);
    } else if (!isServerTerminal(alloc)) stop.push(stopUnneeded(alloc));
  });
  return { allocs: left, canaries };
}

/** A canary on trial whose node goes, or cannot be reached, is not moved: a fresh one takes its part. */
function stopTainted(sorted: Sorted, trial: readonly Allocation[], stop: Stop[]): void {
  const canaries = new Set(trial);
  const dropped = dropAway(sorted.away, canaries);
  for (const alloc of [...sorted.lost, ...dropped]) {
    if (canaries.has(alloc)) stop.push({ alloc, description: STOP_REASON.lost, clientStatus: 'lost' });
  }
  for (const moving of sorted.migrate) if (canaries.has(moving)) stop.push(stopMigrating(moving));
  sorted.lost = sorted.lost.filter((alloc) => !canaries.has(alloc));
  if (dropped.size > 0) sorted.kept = sorted.kept.filter((alloc) => !dropped.has(alloc));
  sorted.migrate = sorted.migrate.filter((alloc) => !canaries.has(alloc));
}

function placedCanaries(deployment: Deployment | null, { Name }: TaskGroup): ReadonlySet<string> {
  return new Set(deployment?.TaskGroups[Name]?.PlacedCanaries ?? []);
}

function isCanaryOf(alloc: Allocation, deployment: Deployment | null, placed: ReadonlySet<string>): boolean {
  if (!deployment) return false;
  if (placed.has(alloc.ID)) return true;
  return alloc.DeploymentID === deployment.ID && isCanary(alloc);
}

function isCanary(alloc: Allocation): boolean {
  return alloc.DeploymentStatus?.Canary === true;
}

function* sortByFate(
  context: GroupContext,
  allocs: readonly Allocation[],
  desired: DesiredUpdates,
): Generator<Rest, Sorted, void> {
  const sorted: Sorted = { kept: [], migrate: [], lost: [], now: [], later: [], away: noneAway() };
  yield* inTurns(allocs, (alloc) => {
    const fate = fateOf(alloc, context);
    switch (fate.kind) {
      case 'keep':
        sorted.kept.push(alloc);
        break;
      case 'ignore':
        // What was stopped long ago is history: who plans a job wants to read of what runs.
        if (!isServerTerminal(alloc)) desired.Ignore++;
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
      case 'disconnecting':
      case 'away':
      case 'reconnecting':
      case 'client-stops':
        sortAway(sorted, alloc, fate, context);
        break;
      default:
        assertNever(fate);
    }
  });
  return sorted;
}

/** Those of the first list that are in one of the others: mostly few, or none. */
function* among(
  allocs: readonly Allocation[],
  ...lists: readonly (readonly Allocation[])[]
): Generator<Rest, Allocation[], void> {
  if (allocs.length === 0) return [];
  const wanted = new Set(allocs);
  const found = new Set<Allocation>();
  for (const list of lists) {
    yield* inTurns(list, (alloc) => {
      if (wanted.has(alloc)) found.add(alloc);
    });
  }
  return allocs.filter((alloc) => found.has(alloc));
}

/** Allocations by what an update of the job means for them. */
interface ByUpdate {
  readonly none: Allocation[];
  readonly inPlace: Allocation[];
  readonly destructive: Allocation[];
}

function* sortByUpdate(
  { updateKind, group }: GroupContext,
  allocs: readonly Allocation[],
): Generator<Rest, ByUpdate, void> {
  const result: ByUpdate = { none: [], inPlace: [], destructive: [] };
  yield* inTurns(allocs, (alloc) => {
    const kind = updateKind(alloc, group);
    if (kind === 'none') result.none.push(alloc);
    else if (kind === 'in-place') result.inPlace.push(alloc);
    else result.destructive.push(alloc);
  });
  return result;
}

/** How many allocations may be replaced or added at once by a roll-out. */
function* updateLimit(options: {
  context: GroupContext;
  strategy: UpdateStrategy | null;
  counted: readonly Allocation[];
  destructive: readonly Allocation[];
  migrate: readonly Allocation[];
  ready: boolean;
}): Generator<Rest, number, void> {
  const { context, strategy, counted, destructive, migrate, ready } = options;
  if (!strategy || destructive.length + migrate.length === 0) return context.group.Count;
  if (!ready) return 0;
  let limit = strategy.MaxParallel;
  yield* inTurns(counted, (alloc) => {
    if (!context.deployment || alloc.DeploymentID !== context.deployment.ID) return;
    const healthy = alloc.DeploymentStatus?.Healthy ?? null;
    if (healthy === false) limit = Number.NEGATIVE_INFINITY;
    if (healthy === null) limit--;
  });
  return Math.max(0, limit);
}

/** What must be placed to reach the count: failed ones again and lost ones as far as the count goes, then new names. */
function* computePlacements(options: {
  group: TaskGroup;
  names: NameIndex;
  counted: readonly Allocation[];
  migrate: readonly Allocation[];
  now: readonly Allocation[];
  lost: readonly Allocation[];
  displaced: readonly Allocation[];
  onTrial: boolean;
}): Generator<Rest, { wanted: Placement[]; dropped: Allocation[] }, void> {
  const { group, names, counted, migrate, now, displaced, onTrial } = options;
  const lostCount = options.lost.length + displaced.length;
  const place: Placement[] = [];
  const dropped: Allocation[] = [];
  let existing = counted.length + migrate.length;
  // A promoted canary that has failed may share its name with one that still runs: the name is not given twice.
  const held = byName<true>();
  yield* inTurns(now.length + lostCount === 0 ? [] : counted, (alloc) => {
    if (!isTerminal(alloc)) held.set(alloc.Name, true);
  });
  yield* inTurns(now, (alloc) => {
    const beside = onTrial && isCanary(alloc);
    if (!beside && (existing >= group.Count || held.has(alloc.Name))) {
      dropped.push(alloc);
      return;
    }
    if (!beside) {
      existing++;
      held.set(alloc.Name, true);
    }
    place.push(again(group, alloc, onTrial, { reschedule: true }));
  });
  const placeLost = (alloc: Allocation, reschedule: boolean): void => {
    if (existing >= group.Count || held.has(alloc.Name)) return;
    held.set(alloc.Name, true);
    existing++;
    place.push(again(group, alloc, onTrial, { lost: true, reschedule }));
  };
  yield* inTurns(options.lost, (alloc) => placeLost(alloc, false));
  yield* inTurns(displaced, (alloc) => placeLost(alloc, true));
  const as = { downgrade: onTrial };
  const fresh = yield* names.next(group.Count - existing);
  yield* inTurns(fresh, (name) => place.push(placementOf(group, name, as)));
  return { wanted: place, dropped };
}

/** While a roll-out is held, only what was lost, has failed outside it, or is placed again because somebody asked for that. */
function* admitPlacements(options: {
  wanted: readonly Placement[];
  ready: boolean;
  deployment: Deployment | null;
}): Generator<Rest, readonly Placement[], void> {
  const { wanted, ready, deployment } = options;
  if (ready) return wanted;
  const failed = deployment?.Status === 'failed';
  return yield* filterInTurns(wanted, ({ lost, reschedule, previous }) => {
    if (lost) return true;
    const wasAskedFor = previous?.DesiredTransition.ForceReschedule === true;
    return reschedule && (wasAskedFor || !(failed && previous?.DeploymentID === deployment?.ID));
  });
}

function placementOf(group: TaskGroup, name: string, as: Partial<Placement> = {}): Placement {
  return {
    name,
    group,
    previous: as.previous ?? null,
    reschedule: as.reschedule ?? false,
    lost: as.lost ?? false,
    canary: as.canary ?? false,
    downgrade: as.downgrade ?? false,
    replaces: as.replaces ?? null,
  };
}

/** The first so many in the order of their indexes, as numbers: comparing the names of 100,000 takes too long. */
function* firstByName(allocs: readonly Allocation[], count: number): Generator<Rest, Allocation[], void> {
  if (count <= 0 || allocs.length === 0) return [];
  // An index of −1, of a name without one, comes first.
  return yield* sortInTurns(allocs, ({ Name }) => allocIndex(Name), count);
}
