import { VolumeLease } from '../../../lib/client/volume-lease.js';
import { NodeLeases } from '../../../lib/server/node-leases.js';
import { type ClaimStep, grantClaim, nextClaimAction, stepClaim } from '../../../lib/state/claims.js';
import type { CsiAccessMode, CsiClaim, StoredCsiVolume } from '../../../lib/structs/csi.js';
import type { Millis } from '../../../lib/util/clock.js';
import { type Random, randomInt, seededRandom } from '../../../lib/util/random.js';

// One volume, some nodes that want it, servers that lead one after the other, a controller behind which the storage lies: in
// simulated time, from one seed. Messages are late, doubled or lost; whoever leads no more may not know it yet. Only what the
// log decides is taken for granted: one order of entries, and none of a leader that was. What stands here for a node does what
// VOLUME_LEASE and the methods of ClientCSI ask of one.

const TICK_MS = 1_000;
const HEARTBEAT_MS = 10_000;
const DOWN_AFTER_MS = 40_000;
/** The longest a task takes to die: kill_timeout's highest, and a little. */
const KILL_MS_MAX = 35_000;

interface Alloc {
  readonly id: string;
  readonly node: number;
  desired: 'run' | 'stop';
  client: 'pending' | 'running' | 'ended' | 'lost';
}

/** What a node has of an allocation. */
interface Local {
  readonly allocId: string;
  fence: number;
  askedMs: Millis;
  /** The task runs, and writes. */
  writes: boolean;
  published: boolean;
  /** It is being killed, and dead at this time. */
  diesMs: Millis | null;
  ended: boolean;
  told: boolean;
}

interface Node {
  readonly id: string;
  agent: 'up' | 'down';
  cutOff: boolean;
  locals: Map<string, Local>;
  lease: VolumeLease;
  beatMs: Millis;
  /** Highest fence under which it was asked to let go, by allocation. */
  refused: Map<string, number>;
}

interface Server {
  /** Believes to lead. */
  leads: boolean;
  leases: NodeLeases;
  heard: Map<string, Millis>;
  retryMs: Map<string, Millis>;
}

type Deliver = () => void;

export interface Outcome {
  seed: number;
  violation: string;
  /** How often each kind of thing happened, so that a test can tell that it did. */
  counts: Record<string, number>;
}

export interface Options {
  readonly seed: number;
  readonly accessMode: CsiAccessMode;
  readonly controller: boolean;
  readonly chaosTicks?: number;
  readonly calmTicks?: number;
  /** For tests of the test: what is left out of the rules. */
  readonly broken?: 'lease' | 'fence' | 'early' | 'covers' | 'force';
}

export class ClaimWorld {
  readonly #random: Random;
  readonly #options: Options;
  #now: Millis = 1_000_000;
  #index = 100;
  #volume: StoredCsiVolume;
  #allocs = new Map<string, Alloc>();
  /** As committed. */
  #nodeStatus: ('up' | 'down')[] = [];
  readonly #nodes: Node[] = [];
  readonly #servers: Server[] = [];
  /** The one whose entries are committed; -1 = nobody. */
  #leader = 0;
  #wire: { at: Millis; deliver: Deliver }[] = [];
  #controllerUp = true;
  /** What is on its way to the controller when its agent dies is lost: links break. */
  #controllerLife = 0;
  /** What the storage lets write: by node, with the fence it was attached under. */
  readonly #attached = new Map<string, number>();
  /** What the controller has seen, by node. */
  readonly #seenFence = new Map<string, number>();
  #calm = false;
  #violation = '';
  readonly #counts: Record<string, number> = {};

  constructor(options: Options) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    for (let i = 0; i < 3; i++) {
      this.#nodes.push({
        id: `node-${i}`,
        agent: 'up',
        cutOff: false,
        locals: new Map(),
        lease: new VolumeLease(),
        beatMs: 0,
        refused: new Map(),
      });
      this.#nodeStatus.push('up');
      this.#servers.push({
        leads: i === 0,
        leases: new NodeLeases(),
        heard: new Map(),
        retryMs: new Map(),
      });
    }
    this.#servers[0]?.leases.begin(this.#now);
    const spec = {
      ID: 'v',
      Name: 'v',
      Namespace: 'default',
      ExternalID: 'v',
      PluginID: 'p',
      CloneID: '',
      SnapshotID: '',
    };
    this.#volume = {
      ...spec,
      RequestedTopologies: null,
      Topologies: null,
      AccessMode: '',
      AttachmentMode: '',
      MountOptions: null,
      Secrets: null,
      Parameters: null,
      Context: null,
      Capacity: 0,
      RequestedCapacityMin: 0,
      RequestedCapacityMax: 0,
      RequestedCapabilities: [],
      CreateIndex: 1,
      ModifyIndex: 1,
      CreateTime: 0,
      ModifyTime: 0,
      Claims: {},
      PastClaims: [],
    };
  }

  run(): Outcome {
    const { chaosTicks = 240, calmTicks = 500 } = this.#options;
    for (let i = 0; i < chaosTicks && this.#violation === ''; i++) this.#tick(true);
    this.#heal();
    for (let i = 0; i < calmTicks && this.#violation === ''; i++) this.#tick(false);
    if (this.#violation === '') this.#checkEnd();
    return { seed: this.#options.seed, violation: this.#violation, counts: this.#counts };
  }

  #count(what: string): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + 1;
  }

  #chance(share: number): boolean {
    return this.#random.next() < share;
  }

  #tick(chaos: boolean): void {
    this.#now += TICK_MS;
    if (chaos) this.#disturb();
    const due = this.#wire.filter(({ at }) => at <= this.#now);
    this.#wire = this.#wire.filter(({ at }) => at > this.#now);
    for (const { deliver } of due) deliver();
    for (const node of this.#nodes) this.#nodeTurn(node);
    for (const server of this.#servers) this.#serverTurn(server);
    this.#checkNow();
  }

  /** A message: late, lost or doubled while there is chaos. */
  #send(deliver: Deliver): void {
    if (!this.#calm && this.#chance(0.05)) {
      this.#count('message lost');
      return;
    }
    const late = !this.#calm && this.#chance(0.03);
    if (late) this.#count('message late');
    const delay = late ? randomInt(this.#random, 200_000) : randomInt(this.#random, 1_500);
    this.#wire.push({ at: this.#now + delay, deliver });
    if (!this.#calm && this.#chance(0.02))
      this.#wire.push({ at: this.#now + randomInt(this.#random, 60_000), deliver });
  }

  #disturb(): void {
    const node = this.#nodes[randomInt(this.#random, this.#nodes.length)] as Node;
    const dice = this.#random.next();
    if (dice < 0.02) {
      node.cutOff = !node.cutOff;
      this.#count('partition');
    } else if (dice < 0.035) {
      this.#toggleAgent(node);
    } else if (dice < 0.045) {
      // The machine is off: nothing runs on it any more, and nothing is mounted.
      this.#count('node loss');
      node.locals.clear();
      node.refused.clear();
      node.agent = 'down';
    } else if (dice < 0.065) {
      this.#changeLeader();
    } else if (dice < 0.08) {
      this.#controllerUp = !this.#controllerUp;
      this.#count('plugin crash');
      this.#controllerLife++;
      this.#seenFence.clear();
    } else if (dice < 0.11) {
      const running = [...this.#allocs.values()].filter(({ desired }) => desired === 'run');
      const one = running[randomInt(this.#random, Math.max(1, running.length))];
      if (one) {
        one.desired = 'stop';
        this.#count('stop');
      }
    } else if (dice < 0.12) this.#force();
  }

  /** A person takes the volume away from somebody, whatever that one does. */
  #force(): void {
    const claims = Object.values(this.#volume.Claims);
    const claim = claims[randomInt(this.#random, Math.max(1, claims.length))];
    const server = this.#servers[this.#leader] as Server;
    if (!claim) return;
    const word = { kind: 'node-detached', proof: 'forced', reason: 'because' } as const;
    const step = this.#options.broken === 'force' ? word : ({ kind: 'release', reason: 'because' } as const);
    if (claim.State === 'taken') this.#count('taken by force');
    this.#commit(server, [{ claim, step }]);
  }

  #toggleAgent(node: Node): void {
    if (node.agent === 'up') {
      node.agent = 'down';
      this.#count('agent crash');
      return;
    }
    node.agent = 'up';
    this.#count('agent restart');
    // It remembers what runs and when it renewed its leases last; what it waited for is forgotten.
    node.lease = new VolumeLease(node.lease.renewedMs);
    for (const [id, local] of node.locals) if (!local.published) node.locals.delete(id);
  }

  #changeLeader(): void {
    this.#count('leader loss');
    const before = this.#servers[this.#leader];
    // Who led may be cut off, and go on for a while in the belief that it leads.
    if (before) before.leads = this.#chance(0.5);
    this.#leader = randomInt(this.#random, this.#servers.length);
    this.#begin();
  }

  #begin(): void {
    const server = this.#servers[this.#leader] as Server;
    server.leads = true;
    server.leases.begin(this.#now);
    server.heard.clear();
    server.retryMs.clear();
    for (const { id } of this.#nodes) server.heard.set(id, this.#now);
  }

  #heal(): void {
    this.#calm = true;
    // One machine may be gone for good: what it held must pass on all the same.
    const dead = this.#chance(0.3) ? this.#nodes[randomInt(this.#random, this.#nodes.length)] : undefined;
    for (const node of this.#nodes) {
      node.cutOff = false;
      if (node.agent === 'down' && node !== dead) this.#toggleAgent(node);
    }
    if (dead) {
      this.#count('node lost for good');
      dead.agent = 'down';
      dead.locals.clear();
    }
    this.#controllerUp = true;
    for (const server of this.#servers) server.leads = false;
    this.#begin();
  }

  // ---- the log: only of the one who leads

  #commit(server: Server, steps: { claim: CsiClaim; step: ClaimStep }[]): boolean {
    if (this.#servers[this.#leader] !== server) {
      server.leads = false;
      return false;
    }
    for (const { claim, step } of steps) {
      this.#index++;
      const which = { allocId: claim.AllocationID, fence: claim.Fence };
      this.#volume = stepClaim(this.#volume, which, step, this.#now);
      this.#count(step.kind === 'node-detached' ? `${step.kind} by ${step.proof}` : step.kind);
    }
    return true;
  }

  // ---- what servers do

  #serverTurn(server: Server): void {
    if (!server.leads) return;
    const leads = this.#servers[this.#leader] === server;
    if (leads) this.#schedule(server);
    for (const claim of Object.values(this.#volume.Claims)) this.#watch(server, claim);
  }

  /** The leader's node watch and scheduler. */
  #schedule(server: Server): void {
    for (const [i, { id }] of this.#nodes.entries()) {
      const silent = this.#now - (server.heard.get(id) ?? 0) > DOWN_AFTER_MS;
      if (!silent || this.#nodeStatus[i] === 'down') continue;
      this.#nodeStatus[i] = 'down';
      this.#count('node down');
      for (const alloc of this.#allocs.values()) {
        if (alloc.node !== i || alloc.client === 'ended') continue;
        alloc.desired = 'stop';
        alloc.client = 'lost';
      }
    }
    const live = [...this.#allocs.values()].filter(
      (a) => a.desired === 'run' && a.client !== 'ended' && a.client !== 'lost',
    );
    const up = this.#nodes.map((_, i) => i).filter((i) => this.#nodeStatus[i] === 'up');
    const wanted = this.#options.accessMode.startsWith('multi') ? 2 : 1;
    if (live.length >= wanted || up.length === 0) return;
    const id = `alloc-${this.#allocs.size}`;
    this.#allocs.set(id, {
      id,
      node: up[randomInt(this.#random, up.length)] as number,
      desired: 'run',
      client: 'pending',
    });
  }

  #watch(server: Server, claim: CsiClaim): void {
    const alloc = this.#allocs.get(claim.AllocationID) as Alloc;
    const nodeIndex = alloc.node;
    const over = alloc.client === 'ended' || alloc.client === 'lost';
    const leaseEndsMs = this.#options.broken === 'early' ? this.#now : server.leases.endsMs(claim.NodeID);
    const action = nextClaimAction(claim, {
      now: this.#now,
      alloc: over ? 'ended' : 'live',
      node: this.#nodeStatus[nodeIndex] === 'up' ? 'up' : 'away',
      leaseEndsMs,
    });
    if (action.kind === 'none' || action.kind === 'wait') return;
    if (action.kind === 'step') {
      this.#commit(server, [{ claim, step: action.step }]);
      return;
    }
    // Before it asks anybody to do anything it makes sure, with a majority, that it still leads.
    if (!this.#commit(server, [])) return;
    const key = `${claim.AllocationID} ${action.kind}`;
    if ((server.retryMs.get(key) ?? 0) > this.#now) return;
    server.retryMs.set(key, this.#now + 2_000 + randomInt(this.#random, 8_000));
    if (action.kind === 'ask-node') this.#askNode(server, claim, nodeIndex);
    else this.#askController(server, claim);
  }

  #askNode(server: Server, claim: CsiClaim, nodeIndex: number): void {
    const node = this.#nodes[nodeIndex] as Node;
    this.#send(() => {
      if (node.agent === 'down' || node.cutOff) return;
      node.refused.set(claim.AllocationID, Math.max(claim.Fence, node.refused.get(claim.AllocationID) ?? 0));
      const local = node.locals.get(claim.AllocationID);
      // While a task of it runs, not now.
      if (local?.writes) {
        this.#kill(local);
        return;
      }
      node.locals.delete(claim.AllocationID);
      this.#send(() => this.#commit(server, [{ claim, step: { kind: 'node-detached', proof: 'node' } }]));
    });
  }

  #askController(server: Server, claim: CsiClaim): void {
    const life = this.#controllerLife;
    const fence = this.#index;
    this.#send(() => {
      if (!this.#controllerUp || life !== this.#controllerLife) return;
      const seen = this.#seenFence.get(claim.NodeID) ?? 0;
      if (fence < seen && this.#options.broken !== 'fence') {
        this.#count('late detach refused');
        return;
      }
      this.#seenFence.set(claim.NodeID, Math.max(seen, fence));
      this.#attached.delete(claim.NodeID);
      this.#send(() => this.#commit(server, [{ claim, step: { kind: 'controller-detached' } }]));
    });
  }

  // ---- what nodes do

  #nodeTurn(node: Node): void {
    for (const local of node.locals.values()) {
      if (local.diesMs !== null && local.diesMs <= this.#now) {
        local.writes = false;
        local.ended = true;
        local.diesMs = null;
      }
      // Not the agent alone: what it has set to watch over the lease does it when the agent cannot.
      const isOver = this.#now >= node.lease.stopsMs() && this.#options.broken !== 'lease';
      if (local.writes && local.diesMs === null && isOver) {
        this.#count('stopped by lease');
        this.#kill(local);
      }
    }
    if (node.agent === 'down') return;
    if (this.#now - node.beatMs >= HEARTBEAT_MS) this.#beat(node);
    if (node.cutOff) return;
    this.#pull(node);
  }

  #kill(local: Local): void {
    local.diesMs ??= this.#now + randomInt(this.#random, KILL_MS_MAX);
  }

  #beat(node: Node): void {
    node.beatMs = this.#now;
    const sentMs = this.#now;
    const target = this.#servers.find(({ leads }) => leads);
    this.#send(() => {
      if (!target?.leads || node.cutOff) return;
      target.heard.set(node.id, this.#now);
      // A majority has to stand behind the answer.
      const renews = this.#servers[this.#leader] === target;
      if (!renews) return;
      const i = this.#nodes.indexOf(node);
      if (this.#nodeStatus[i] === 'down') {
        this.#nodeStatus[i] = 'up';
        this.#count('node back');
      }
      target.leases.renewed(node.id, this.#now);
      this.#send(() => {
        if (node.agent === 'up' && !node.cutOff) node.lease.renewed(sentMs, this.#now);
      });
    });
  }

  /** What should run here is started, what should not is ended, and what has ended is told. */
  #pull(node: Node): void {
    const i = this.#nodes.indexOf(node);
    for (const alloc of this.#allocs.values()) {
      if (alloc.node !== i) continue;
      const local = node.locals.get(alloc.id);
      if (alloc.desired === 'stop') {
        if (local?.writes) this.#kill(local);
        else if (!local || local.ended || !local.published) this.#end(node, alloc, local);
        continue;
      }
      if (local?.ended) this.#end(node, alloc, local);
      else if (!local) this.#claim(node, alloc);
    }
  }

  /** All its tasks are dead: unmounts, and says so. */
  #end(node: Node, alloc: Alloc, local: Local | undefined): void {
    if (local?.told) return;
    if (local) local.told = true;
    const claim = this.#volume.Claims[alloc.id];
    node.locals.delete(alloc.id);
    this.#send(() => {
      if (alloc.client !== 'lost') alloc.client = 'ended';
    });
    if (!claim || !local) return;
    this.#send(() => {
      const server = this.#servers[this.#leader] as Server;
      this.#commit(server, [
        { claim, step: { kind: 'release' } },
        { claim, step: { kind: 'node-detached', proof: 'node' } },
      ]);
    });
  }

  #claim(node: Node, alloc: Alloc): void {
    const local: Local = {
      allocId: alloc.id,
      fence: 0,
      askedMs: this.#now,
      writes: false,
      published: false,
      diesMs: null,
      ended: false,
      told: false,
    };
    node.locals.set(alloc.id, local);
    const giveUp = (): void => {
      if (node.locals.get(alloc.id) === local && !local.published) node.locals.delete(alloc.id);
    };
    // Asked again when no answer comes.
    this.#wire.push({ at: this.#now + 10_000 + randomInt(this.#random, 200_000), deliver: giveUp });
    this.#send(() => {
      if (node.cutOff) return;
      if (alloc.desired === 'stop' || alloc.client === 'ended' || alloc.client === 'lost') return;
      this.#index++;
      const { accessMode } = this.#options;
      const granted = grantClaim(
        this.#volume,
        {
          AllocationID: alloc.id,
          NodeID: node.id,
          ExternalNodeID: node.id,
          Mode: accessMode.endsWith('reader-only') ? 'read' : 'write',
          AccessMode: accessMode,
          AttachmentMode: 'file-system',
          ControllerRequired: this.#options.controller,
        },
        { index: this.#index, time: this.#now },
      );
      if (!granted.ok) {
        this.#count('claim refused');
        this.#send(giveUp);
        return;
      }
      this.#volume = granted.value.volume;
      this.#count('claim granted');
      this.#checkDetached(node);
      const { Fence } = granted.value.claim;
      this.#attach(node, Fence, () => this.#start(node, local, Fence));
    });
  }

  #attach(node: Node, fence: number, then: Deliver): void {
    if (!this.#options.controller) {
      this.#send(then);
      return;
    }
    const life = this.#controllerLife;
    this.#send(() => {
      if (!this.#controllerUp || life !== this.#controllerLife) return;
      if (fence < (this.#seenFence.get(node.id) ?? 0)) return;
      this.#seenFence.set(node.id, fence);
      this.#attached.set(node.id, fence);
      this.#send(then);
    });
  }

  /** The answer to a claim came. */
  #start(node: Node, local: Local, fence: number): void {
    if (node.agent === 'down' || node.cutOff || node.locals.get(local.allocId) !== local || local.published) return;
    const isCovered = node.lease.covers(local.askedMs, this.#now) || this.#options.broken === 'covers';
    if (!isCovered || fence <= (node.refused.get(local.allocId) ?? 0)) {
      this.#count('late grant refused');
      node.locals.delete(local.allocId);
      return;
    }
    local.fence = fence;
    local.published = true;
    local.writes = true;
    this.#count('started');
    const alloc = this.#allocs.get(local.allocId) as Alloc;
    if (alloc.client === 'pending') alloc.client = 'running';
  }

  // ---- what must hold

  #checkNow(): void {
    const writers = this.#nodes.flatMap((node) =>
      [...node.locals.values()].filter(({ writes }) => writes).map((local) => ({ node, local })),
    );
    const nodes = new Set(writers.map(({ node }) => node));
    const { accessMode } = this.#options;
    if (accessMode === 'single-node-writer' && writers.length > 1)
      this.#fail('two writers of a single-node-writer volume');
    if (accessMode.startsWith('single-node') && nodes.size > 1) this.#fail('a single-node volume is used on two nodes');
    if (accessMode === 'multi-node-single-writer' && writers.length > 1)
      this.#fail('two writers of a single-writer volume');
    for (const { node, local } of writers) {
      const claim = this.#volume.Claims[local.allocId];
      if (!claim || claim.Fence !== local.fence) this.#fail(`${local.allocId} writes without a claim`);
      else if (this.#options.controller && claim.State === 'taken' && !this.#attached.has(node.id)) {
        this.#fail(`the volume was torn away from ${local.allocId}, which holds it`);
      }
    }
  }

  /** Who is given a volume of one node alone gets storage that no other node can write to any more. */
  #checkDetached(node: Node): void {
    if (!this.#options.accessMode.startsWith('single-node')) return;
    const others = [...this.#attached.keys()].filter((id) => id !== node.id);
    if (others.length > 0) this.#fail(`granted to ${node.id} while it is attached to ${others.join(', ')}`);
  }

  /** In the end nobody waits: what ended holds nothing, and what is to run has the volume. */
  #checkEnd(): void {
    for (const claim of Object.values(this.#volume.Claims)) {
      const alloc = this.#allocs.get(claim.AllocationID) as Alloc;
      if (alloc.desired === 'stop') this.#fail(`${alloc.id} has ended and still holds the volume (${claim.State})`);
    }
    const held = new Set(Object.values(this.#volume.Claims).map(({ NodeID }) => NodeID));
    for (const id of this.#attached.keys()) if (!held.has(id)) this.#fail(`attached to ${id}, where nobody holds it`);
    const live = [...this.#allocs.values()].filter((a) => a.desired === 'run' && a.client !== 'ended');
    const single =
      this.#options.accessMode.startsWith('single') || this.#options.accessMode === 'multi-node-single-writer';
    const holders = live.filter(({ id }) => this.#volume.Claims[id]?.State === 'taken');
    if (live.length > 0 && holders.length < (single ? 1 : live.length))
      this.#fail('somebody still waits for the volume');
  }

  #fail(what: string): void {
    if (this.#violation === '')
      this.#violation = `seed=${this.#options.seed} t=${this.#now / 1_000 - 1_000} s: ${what}`;
  }
}
