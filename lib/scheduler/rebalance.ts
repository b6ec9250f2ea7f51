import type { Allocation } from '../structs/allocation.js';
import { groupOf } from '../structs/group-of.js';
import type { Job, TaskGroup } from '../structs/job.js';
import type { Node } from '../structs/node.js';
import type { Rebalance, RebalanceMove } from '../structs/rebalance.js';
import { createJudge } from './explain/refusal.js';
import { compileCheck } from './feasible/constraint.js';
import { compileTarget } from './feasible/target.js';
import { isReady } from './fleet.js';
import type { StateReader } from './ports.js';
import { algorithmOf } from './rank/algorithm.js';
import { inTurns, type Rest } from './turns.js';
import { addResources, capacityOf, emptyUsage, isClientTerminal, isTerminal, type Usage } from './usage.js';

/** A move must relieve the fuller node by this share, or it is not worth a restart. */
const GAIN_MIN = 0.05;
/** Moves in one proposal. */
const MOVES_MAX = 50;

/** Nodes counted between two rests, each with perhaps a hundred allocations. */
const NODES_PER_TURN = 10;

/** Allocations between two rests, each held against the emptiest nodes. */
const ALLOCS_PER_TURN = 100;

/** So many of the fullest and of the emptiest nodes are looked at for a move. */
const NODES_TRIED = 20;

/** Where everything would be after the moves so far. */
class Layout {
  readonly nodes: readonly Node[];
  readonly #held = new Map<string, readonly Allocation[]>();
  readonly #used = new Map<string, Usage>();

  constructor(state: StateReader) {
    this.nodes = [...state.nodes()].filter(isReady);
  }

  /** Counts what each node has; must come first. */
  count(state: StateReader): Generator<Rest, void, void> {
    const add = ({ ID }: Node): void => {
      const held = state.allocsByNode(ID).filter((alloc) => !isClientTerminal(alloc));
      const used = emptyUsage();
      for (const { AllocatedResources } of held) addResources(used, AllocatedResources);
      this.#held.set(ID, held);
      this.#used.set(ID, used);
    };
    return inTurns(this.nodes, add, NODES_PER_TURN);
  }

  held(nodeId: string): readonly Allocation[] {
    return this.#held.get(nodeId) ?? [];
  }

  move(alloc: Allocation, to: Node): void {
    const rest = this.held(alloc.NodeID).filter(({ ID }) => ID !== alloc.ID);
    this.#held.set(alloc.NodeID, rest);
    this.#held.set(to.ID, [...this.held(to.ID), { ...alloc, NodeID: to.ID }]);
    addResources(this.#used.get(alloc.NodeID) ?? emptyUsage(), alloc.AllocatedResources, -1);
    addResources(this.#used.get(to.ID) ?? emptyUsage(), alloc.AllocatedResources);
  }

  /** The larger share in use, of CPU or of memory; `without` and `plus` as if they were gone or there. */
  load(node: Node, change: { without?: Allocation; plus?: Allocation } = {}): number {
    const used = { ...(this.#used.get(node.ID) ?? emptyUsage()), cores: [] };
    if (change.plus) addResources(used, change.plus.AllocatedResources);
    if (change.without) addResources(used, change.without.AllocatedResources, -1);
    const { cpuMhz, memoryMb } = capacityOf(node);
    return Math.max(cpuMhz > 0 ? used.cpuMhz / cpuMhz : 1, memoryMb > 0 ? used.memoryMb / memoryMb : 1);
  }
}

/**
 * Proposes moves from the fullest to the emptiest nodes, one after the other, as long as one is worth it. Only services
 * that run undisturbed are moved, no more of a group than its `migrate` allows at once, and never to where a constraint, a
 * spread or an affinity would be served worse. With rests. Deterministic: the same state gives the same proposal.
 */
export function* proposeRebalance(state: StateReader): Generator<Rest, Rebalance, void> {
  const layout = new Layout(state);
  yield* layout.count(state);
  const before = layout.nodes.map((node) => layout.load(node));
  const moves: RebalanceMove[] = [];
  const moved = new Map<string, number>();
  const view: StateReader = { ...viewOf(state), allocsByNode: (id) => layout.held(id) };
  while (moves.length < MOVES_MAX) {
    yield undefined;
    const best = yield* bestMove(view, layout, moved);
    if (!best) break;
    const { alloc, from, to, gain } = best;
    layout.move(alloc, to);
    const key = groupKey(alloc);
    moved.set(key, (moved.get(key) ?? 0) + 1);
    moves.push({
      ...{ AllocID: alloc.ID, Name: alloc.Name, Namespace: alloc.Namespace, JobID: alloc.JobID },
      ...{ FromNodeID: from.ID, FromNode: from.Name, ToNodeID: to.ID, ToNode: to.Name, Gain: gain },
    });
  }
  const after = layout.nodes.map((node) => layout.load(node));
  const unevenness = { before: unevennessOf(before), after: unevennessOf(after) };
  const rolling = moves.length > 0 ? [] : yield* jobsRollingOut(state, layout);
  const { name } = algorithmOf(state.schedulerConfig(), [...state.nodes()].length);
  return {
    Summary: summary(moves.length, layout.nodes.length, { ...unevenness, rolling }),
    Algorithm: name,
    Moves: moves,
    Nodes: layout.nodes.map((node, i) => ({
      ...{ NodeID: node.ID, Name: node.Name },
      ...{ LoadBefore: before[i] ?? 0, LoadAfter: after[i] ?? 0 },
    })),
    UnevennessBefore: unevenness.before,
    UnevennessAfter: unevenness.after,
  };
}

/** So many jobs are named in a summary. */
const JOBS_NAMED = 3;

/** The methods of a snapshot, bound, so that one of them can be replaced. */
function viewOf(state: StateReader): StateReader {
  return {
    index: state.index,
    nodes: () => state.nodes(),
    nodeById: (id) => state.nodeById(id),
    jobById: (namespace, id) => state.jobById(namespace, id),
    jobByVersion: (namespace, id, version) => state.jobByVersion(namespace, id, version),
    allocById: (id) => state.allocById(id),
    allocsByJob: (namespace, id) => state.allocsByJob(namespace, id),
    allocsByNode: (id) => state.allocsByNode(id),
    latestDeploymentByJob: (namespace, id) => state.latestDeploymentByJob(namespace, id),
    schedulerConfig: () => state.schedulerConfig(),
  };
}

interface Candidate {
  readonly alloc: Allocation;
  readonly from: Node;
  readonly to: Node;
  readonly gain: number;
}

/** From the fullest node that has something to give: what relieves it most, and where to. */
function* bestMove(
  state: StateReader,
  layout: Layout,
  moved: ReadonlyMap<string, number>,
): Generator<Rest, Candidate | null, void> {
  let tried = 0;
  const byLoad = layout.nodes
    .map((node) => ({ node, load: layout.load(node) }))
    .sort((a, b) => b.load - a.load || (a.node.ID < b.node.ID ? -1 : 1));
  const emptiest = byLoad.slice(-NODES_TRIED).reverse();
  for (const { node: from, load } of byLoad.slice(0, NODES_TRIED)) {
    let best: Candidate | null = null;
    for (const alloc of layout.held(from.ID)) {
      if (++tried % ALLOCS_PER_TURN === 0) yield undefined;
      const target = movable(alloc, state, moved);
      if (!target) continue;
      for (const { node: to, load: toLoad } of emptiest) {
        // From here on nodes are too full themselves.
        if (to.ID === from.ID || load - toLoad < GAIN_MIN) break;
        const gain = load - Math.max(layout.load(from, { without: alloc }), layout.load(to, { plus: alloc }));
        if (gain < GAIN_MIN || (best && gain <= best.gain)) continue;
        if (!(yield* suits(alloc, { ...target, from, to }, state, layout))) continue;
        best = { alloc, from, to, gain };
      }
    }
    if (best) return best;
  }
  return null;
}

/** The jobs that nothing is moved of, because they are being rolled out. */
function* jobsRollingOut(state: StateReader, layout: Layout): Generator<Rest, string[], void> {
  const seen = new Map<string, boolean>();
  let looked = 0;
  for (const { ID } of layout.nodes) {
    for (const { Namespace, JobID } of layout.held(ID)) {
      if (++looked % ALLOCS_PER_TURN === 0) yield undefined;
      if (!seen.has(JobID)) seen.set(JobID, isRollingOut(state, Namespace, JobID));
    }
  }
  return [...seen].flatMap(([job, rolls]) => (rolls ? [job] : [])).sort();
}

/** Also a paused one: whoever looks at half a roll-out wants it to stay as it is. */
function isRollingOut(state: StateReader, namespace: string, job: string): boolean {
  return ['running', 'paused'].includes(state.latestDeploymentByJob(namespace, job)?.Status ?? '');
}

const groupKey = ({ Namespace, JobID, TaskGroup }: Allocation): string => `${Namespace}\0${JobID}\0${TaskGroup}`;

/** The job and the group of what may be moved; null for what had better stay. */
function movable(
  alloc: Allocation,
  state: StateReader,
  moved: ReadonlyMap<string, number>,
): { job: Job; group: TaskGroup } | null {
  if (isTerminal(alloc) || alloc.ClientStatus !== 'running' || alloc.DeploymentStatus?.Healthy === false) return null;
  const job = state.jobById(alloc.Namespace, alloc.JobID);
  // A batch would begin anew; a system job belongs where it is.
  if (job?.Type !== 'service' || job.Stop || job.Version !== alloc.Job?.Version) return null;
  if (isRollingOut(state, job.Namespace, job.ID)) return null;
  const group = groupOf(job, alloc.TaskGroup);
  if (!group || group.EphemeralDisk.Sticky || Object.keys(group.Volumes ?? {}).length > 0) return null;
  // What has been moved already keeps the node of the state: it is moved once only.
  if (state.allocById(alloc.ID)?.NodeID !== alloc.NodeID) return null;
  return (moved.get(groupKey(alloc)) ?? 0) < (group.Migrate?.MaxParallel ?? 1) ? { job, group } : null;
}

function* suits(
  alloc: Allocation,
  move: { job: Job; group: TaskGroup; from: Node; to: Node },
  state: StateReader,
  layout: Layout,
): Generator<Rest, boolean, void> {
  const { job, group, from, to } = move;
  const siblings = (node: Node): number =>
    layout.held(node.ID).filter((other) => groupKey(other) === groupKey(alloc) && !isTerminal(other)).length;
  // Not where as many of the group would be as here: one machine's failure should not take more of them.
  if (siblings(to) >= siblings(from)) return false;
  const affinities = [...(job.Affinities ?? []), ...(group.Affinities ?? [])];
  const liking = (node: Node): number =>
    affinities.reduce((sum, affinity) => sum + (compileCheck(affinity).holds(node) ? affinity.Weight : 0), 0);
  if (liking(to) < liking(from)) return false;
  for (const { Attribute, SpreadTarget } of [...(job.Spreads ?? []), ...(group.Spreads ?? [])]) {
    const property = compileTarget(Attribute);
    if (property(from) === property(to)) continue;
    if ((SpreadTarget ?? []).length > 0) return false;
    const count = (value: string | undefined): number =>
      layout.nodes.reduce((sum, node) => sum + (property(node) === value ? siblings(node) : 0), 0);
    if (count(property(to)) >= count(property(from))) return false;
  }
  if (
    [...(job.Constraints ?? []), ...(group.Constraints ?? [])].some(({ Operand }) => Operand === 'distinct_property')
  ) {
    return false;
  }
  const judge = yield* createJudge(state, job, group);
  return judge(to) === null;
}

function unevennessOf(loads: readonly number[]): number {
  return loads.length === 0 ? 0 : Math.max(...loads) - Math.min(...loads);
}

function summary(
  moves: number,
  nodes: number,
  unevenness: { before: number; after: number; rolling: readonly string[] },
): string {
  const percent = (share: number): string => `${Math.round(share * 100)}`;
  if (nodes < 2) return 'There are not two nodes that take work: nothing can be moved.';
  const now = `The fullest and the emptiest of ${nodes} nodes differ by ${percent(unevenness.before)} percent of their capacity`;
  const { rolling } = unevenness;
  if (moves === 0 && rolling.length > 0) {
    const more = rolling.length > JOBS_NAMED ? ` and ${rolling.length - JOBS_NAMED} more` : '';
    const jobs = `${rolling.slice(0, JOBS_NAMED).join(', ')}${more}`;
    return `${now}. Nothing is moved of what is being rolled out (${jobs}): ask again when that is done. Of the rest no move is worth a restart.`;
  }
  if (moves === 0) return `${now}; no move is worth a restart.`;
  return `${now}; ${moves} ${moves === 1 ? 'move' : 'moves'} would make it ${percent(unevenness.after)}.`;
}
