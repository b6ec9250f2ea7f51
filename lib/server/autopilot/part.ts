import { MeshError } from '../../structs/errors.js';
import type { AutopilotConfiguration, AutopilotEvent, ServerStats, ServerVerdict } from '../../structs/operator.js';
import type { Millis } from '../../util/clock.js';
import type { LeaderPart } from '../leader.js';
import type { ConsensusGroup, ServerPeers } from '../ports.js';
import { propose } from '../propose.js';
import type { ServerWorld } from '../world.js';
import { Autopilot, type Decision } from './autopilot.js';
import { observe } from './observe.js';
import type { Action } from './step.js';
import type { View } from './view.js';

const LOOK_MS = 1_000;
const ASK_EVERY_MS = 2_000;
const ASK_MS = 1_500;
/** What was refused is not tried again before. */
const RETRY_MS = 10_000;
const EVENTS_MAX = 50;

/** The leader's autopilot: measures, decides, and does one change after the other. */
export interface AutopilotPart extends LeaderPart {
  /** How it sees the servers, and what it did lately. Rejects with E_NO_LEADER elsewhere. */
  report(): { servers: ServerVerdict[]; events: AutopilotEvent[] };
}

/** `initial` seeds the configuration of a mesh that has none. Does nothing on a server that is alone for ever. */
export function createAutopilotPart(world: ServerWorld, initial?: Partial<AutopilotConfiguration>): AutopilotPart {
  const { group, peers } = world;
  if (!group || !peers) return { name: 'autopilot', begin() {}, end() {}, report: () => aloneReport(world) };
  return new RunningAutopilot({ world, group, peers, ...(initial && { initial }) });
}

interface Parts {
  readonly world: ServerWorld;
  readonly group: ConsensusGroup;
  readonly peers: ServerPeers;
  readonly initial?: Partial<AutopilotConfiguration>;
}

class RunningAutopilot implements AutopilotPart {
  readonly name = 'autopilot';
  readonly #parts: Parts;
  readonly #autopilot = new Autopilot();
  /** What the others said of themselves last. */
  readonly #stats = new Map<string, ServerStats>();
  /** When what was refused may be tried again. */
  readonly #notBefore = new Map<string, Millis>();
  #events: AutopilotEvent[] = [];
  #seen: { view: View; decision: Decision; atMs: Millis } | null = null;
  /** Counts the times that this server led: what an earlier one began is nobody's business later. */
  #reign = 0;
  #leads = false;
  #busy = false;
  #askedMs = Number.NEGATIVE_INFINITY;
  #cancel = (): void => {};

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  begin(): void {
    this.#leads = true;
    this.#reign++;
    this.#askedMs = Number.NEGATIVE_INFINITY;
    void this.#seed();
    this.#look();
  }

  end(): void {
    this.#leads = false;
    this.#busy = false;
    this.#cancel();
    this.#autopilot.forget();
    this.#stats.clear();
    this.#notBefore.clear();
    this.#events = [];
    this.#seen = null;
  }

  report(): { servers: ServerVerdict[]; events: AutopilotEvent[] } {
    if (!this.#seen) throw new MeshError('E_NO_LEADER', 'No cluster leader here: the leader’s autopilot decides');
    const { view, decision, atMs } = this.#seen;
    return {
      servers: verdicts({ view, decision, atMs, stats: this.#stats, group: this.#parts.group }),
      events: this.#events,
    };
  }

  /** The agent's configuration is the mesh's until somebody has set another. */
  async #seed(): Promise<void> {
    const { world, initial } = this.#parts;
    const config = world.store.snapshot().autopilotConfig();
    if (!initial || config.ModifyIndex > 0) return;
    const command = { type: 'autopilot-config', config: { ...config, ...initial }, casModifyIndex: 0 } as const;
    await propose(world.consensus, command).catch(() => {});
  }

  #look(): void {
    const { world } = this.#parts;
    if (!this.#leads) return;
    this.#cancel();
    this.#cancel = world.timers.setTimeout(LOOK_MS, () => this.#look());
    const view = observe(this.#parts, this.#stats);
    this.#ask(view);
    // While a change is under way nobody knows yet who votes.
    if (this.#busy) return;
    const atMs = world.now();
    const decision = this.#autopilot.decide(view, world.store.snapshot().autopilotConfig(), atMs);
    this.#seen = { view, decision, atMs };
    const { action } = decision;
    if (action && (this.#notBefore.get(keyOf(action)) ?? 0) <= atMs) void this.#act(action);
  }

  /** Has every other server tell about itself, now and then. */
  #ask({ servers }: View): void {
    const { world, group, peers } = this.#parts;
    if (world.now() - this.#askedMs < ASK_EVERY_MS) return;
    this.#askedMs = world.now();
    const reign = this.#reign;
    for (const { id } of servers) {
      if (id === group.id) continue;
      peers
        .serverCaller(id)
        .call('Status.ServerStats', {}, { timeoutMs: ASK_MS })
        .then(
          (stats) => {
            if (this.#leads && this.#reign === reign) this.#stats.set(id, stats);
          },
          // It shows by its silence.
          () => {},
        );
    }
  }

  async #act(action: Action): Promise<void> {
    const { world, group } = this.#parts;
    const log = world.log.child('autopilot');
    const reign = this.#reign;
    this.#busy = true;
    try {
      await carryOut(group, action);
      log.info(action.reason, { action: action.type, server: action.id });
      this.#events = [...this.#events.slice(1 - EVENTS_MAX), { At: world.now(), Text: action.reason }];
    } catch (error) {
      this.#notBefore.set(keyOf(action), world.now() + RETRY_MS);
      log.warn('a change of the servers failed, and will be tried again', {
        action: action.type,
        server: action.id,
        error: (error as Error).message,
      });
    }
    if (this.#reign !== reign) return;
    this.#busy = false;
    // The second of a pair follows at once.
    if (this.#leads) world.timers.soon(() => this.#look());
  }
}

const keyOf = ({ type, id }: Action): string => `${type} ${id}`;

async function carryOut(group: ConsensusGroup, { type, id }: Action): Promise<void> {
  switch (type) {
    case 'standby':
    case 'demote':
      await group.change({ type: 'addLearner', id });
      return;
    case 'promote':
      await group.change({ type: 'addVoter', id });
      return;
    case 'release':
      await group.change({ type: 'remove', id });
      return;
    case 'handOver':
      await group.transferLeadership(id);
  }
}

function verdicts(seen: {
  view: View;
  decision: Decision;
  atMs: Millis;
  stats: ReadonlyMap<string, ServerStats>;
  group: ConsensusGroup;
}): ServerVerdict[] {
  const { view, decision, atMs, stats, group } = seen;
  const reasons = decision.reasons();
  return view.servers.map((server) => {
    const isLeader = server.id === view.leader;
    const told = stats.get(server.id);
    const healthyMs = decision.healthyMs.get(server.id);
    const reason = reasons.get(server.id);
    return {
      ID: server.id,
      Name: server.name,
      Standing: isLeader
        ? 'leader'
        : server.group === 'voter'
          ? 'voter'
          : server.group === 'learner'
            ? 'standby'
            : 'plain',
      Wanted: reason?.wanted ?? 'plain',
      Healthy: healthyMs !== undefined,
      Reason: reason?.text ?? '',
      Version: server.version,
      LastTerm: isLeader ? group.term() : (told?.Term ?? 0),
      LastIndex: isLeader ? group.lastIndex() : Math.max(0, group.lastIndex() - server.trailing),
      Trailing: server.trailing,
      LastContactMs: server.lastContactMs,
      SyncMs: server.syncMs,
      RttMs: server.rttMs,
      Gossip: server.gossip,
      StableSince: healthyMs === undefined ? 0 : atMs - healthyMs,
    };
  });
}

/** Of a server that is alone for ever: it votes for itself, and is as well as the answer is there. */
function aloneReport({ consensus, store, config }: ServerWorld): ReturnType<AutopilotPart['report']> {
  if (!consensus.isLeader) throw new MeshError('E_NO_LEADER', 'this server does not lead yet: ask again in a moment');
  const server: ServerVerdict = {
    ID: consensus.leader,
    Name: config.about?.name ?? '',
    Standing: 'leader',
    Wanted: 'voter',
    Healthy: true,
    Reason: 'leads: it is the only server, started without a mesh',
    Version: config.about?.version ?? '',
    LastTerm: 0,
    LastIndex: store.index,
    Trailing: 0,
    LastContactMs: 0,
    SyncMs: null,
    RttMs: null,
    Gossip: 'alive',
    StableSince: 0,
  };
  return { servers: [server], events: [] };
}
