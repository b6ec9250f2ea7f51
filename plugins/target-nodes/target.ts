import {
  type ScaleCall,
  type ScalerOptions,
  type ScalerRpc,
  ScalingNoOp,
  type Target,
} from '../../lib/plugin/sdk/autoscaler.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { ScalingAction, TargetStatus } from '../../lib/structs/autoscaling.js';
import type { NodeListStub } from '../../lib/structs/rpc.js';
import type { Given, NodesConfig } from './config.js';
import { type Call, nodeOf, until } from './node.js';
import { protectedOf } from './protect.js';
import { ASLEEP, inPool, selectToRest, standingOf } from './select.js';

/** Whoever drains ends what is left a little after the deadline. */
const DRAIN_GRACE_MS = 60_000;
const RELEASE_MS = 10_000;
/** So long a node that could not be given rest is left alone. */
const FAILED_REST_MS = 30 * 60_000;
const LAST_EVENT = 'nomad_autoscaler.last_event';

/** What a node at rest is, and how it comes there and back. `C`: the target block. */
export interface Rest<C extends NodesConfig> {
  /** Nodes at rest are switched off: those which are up have been woken, and a server's vote would be lost. */
  readonly switched: boolean;
  /** Reads a target block. Throws an Error that names what is wrong. */
  readConfig(given: Given): C;
  /** Said of a node that is drained, to who looks at its drain. */
  readonly drainMessage: string;
  /** A drained node is given rest; resolves, with a line for people, when that is so. */
  rest(node: NodeListStub, config: C, call: ScaleCall): Promise<string>;
  /** A node is to work again: resolves, with a line for people, when it can. */
  wake(node: NodeListStub, config: C, call: ScaleCall): Promise<string>;
  /** Nodes that are up, and kept from work by a rest that is long over. */
  forgotten(nodes: readonly NodeListStub[], config: C): NodeListStub[];
  /** What the target says of itself, besides its count. */
  meta(asleep: readonly NodeListStub[], config: C): Record<string, string>;
}

/** The nodes of a pool or class: taken back when more are needed, drained and given rest when fewer are. */
export class NodesTarget<C extends NodesConfig> implements Target {
  readonly name: string;
  private readonly way: Rest<C>;
  private readonly rpc: ScalerRpc;
  private readonly log: ScalerOptions['log'];
  private lastEventMs = 0;
  /** When a node was last asked in vain, by its id: others come first for a while. */
  private readonly failedMs = new Map<string, number>();

  constructor(name: string, way: Rest<C>, { rpc, log }: ScalerOptions) {
    this.name = name;
    this.way = way;
    this.rpc = rpc;
    this.log = log;
  }

  async status(given: Given, call: Call): Promise<TargetStatus> {
    const config = this.way.readConfig(given);
    const nodes = await this.pool(config, call);
    for (const node of this.way.forgotten(nodes, config)) await this.takeBack(node, call);
    const standings = nodes.map((node) => standingOf(node, this.way));
    const isMoving = standings.some((standing) => standing === 'draining' || standing === 'starting');
    const count = standings.filter((standing) => standing === 'awake').length;
    const event: Record<string, string> = this.lastEventMs > 0 ? { [LAST_EVENT]: String(this.lastEventMs * 1e6) } : {};
    const asleep = nodes.filter((_, i) => standings[i] === 'asleep');
    return { ready: !isMoving, count, meta: { ...event, ...this.way.meta(asleep, config) } };
  }

  async scale(action: ScalingAction, given: Given, call: ScaleCall): Promise<void> {
    if (action.count < 0) throw new ScalingNoOp(action.reason);
    const config = this.way.readConfig(given);
    const nodes = await this.pool(config, call);
    const awake = nodes.filter((node) => standingOf(node, this.way) === 'awake');
    const more = action.count - awake.length;
    if (more === 0) throw new ScalingNoOp(`there are ${awake.length} already`);
    if (more > 0) await this.wakeSome(more, nodes, config, call);
    else await this.restSome(-more, awake, config, call);
    this.lastEventMs = Date.now();
  }

  async close(): Promise<void> {}

  private async pool(config: C, call: Call): Promise<NodeListStub[]> {
    const { Nodes } = await this.rpc.call('Node.List', { Resources: true }, call);
    return Nodes.filter((node) => inPool(node, config));
  }

  /** Nodes that are up again without our doing take work again; so that they may be given rest again, too. */
  private async takeBack({ ID, Name }: NodeListStub, call: Call): Promise<void> {
    await this.rpc.call('Node.UpdateEligibility', { NodeID: ID, Eligibility: 'eligible' }, call);
    this.log('info', `${Name} is up again and takes work`);
  }

  private async wakeSome(count: number, nodes: readonly NodeListStub[], config: C, call: ScaleCall): Promise<void> {
    const failed = ({ ID }: NodeListStub): number => this.failedMs.get(ID) ?? 0;
    const asleep = nodes
      .filter((node) => standingOf(node, this.way) === 'asleep')
      .sort((a, b) => failed(a) - failed(b))
      .slice(0, count);
    if (asleep.length === 0) throw new ScalingNoOp('no machine of the pool is asleep');
    const woken = await Promise.allSettled(asleep.map((node) => this.wake(node, config, call)));
    const failures = woken.flatMap((one) => (one.status === 'rejected' ? [messageOf(one.reason)] : []));
    if (failures.length === asleep.length) throw new Error(failures.join('; '));
    for (const failure of failures) this.log('warn', 'a machine did not wake up', { why: failure });
  }

  private async wake(node: NodeListStub, config: C, call: ScaleCall): Promise<void> {
    // Until it is up: whoever ends this leaves it last in the order.
    this.failedMs.set(node.ID, Date.now());
    const line = await this.way.wake(node, config, call);
    await this.rpc.call('Node.UpdateEligibility', { NodeID: node.ID, Eligibility: 'eligible' }, call);
    this.failedMs.delete(node.ID);
    this.log('info', line);
    call.tell(line);
  }

  private async restSome(count: number, awake: readonly NodeListStub[], config: C, call: ScaleCall): Promise<void> {
    const allocs = new Map<string, Allocation[]>();
    for (const { ID } of awake) allocs.set(ID, (await this.rpc.call('Node.GetAllocs', { NodeID: ID }, call)).Allocs);
    const { switched } = this.way;
    const protectedNodes = await protectedOf(awake, { allocs, switched, rpc: this.rpc, call });
    for (const { ID } of awake) {
      const sinceMs = Date.now() - (this.failedMs.get(ID) ?? Number.NEGATIVE_INFINITY);
      if (sinceMs < FAILED_REST_MS && !protectedNodes.has(ID))
        protectedNodes.set(ID, `it did not go to sleep ${Math.round(sinceMs / 60_000)} min ago`);
    }
    const chosen = selectToRest(awake, { count, strategy: config.strategy, allocs, protectedNodes });
    if (chosen.length === 0) {
      const why = [...protectedNodes].map(([id, reason]) => `${awake.find(({ ID }) => ID === id)?.Name}: ${reason}`);
      throw new ScalingNoOp(`no machine may sleep now${why.length > 0 ? ` (${why.join('; ')})` : ''}`);
    }
    for (const node of chosen) await this.rest(node, config, call);
  }

  /** Drained first, with everything on it; taken back when it cannot be given rest. */
  private async rest(node: NodeListStub, config: C, call: ScaleCall): Promise<void> {
    this.failedMs.set(node.ID, Date.now());
    try {
      await this.drain(node, config, call);
      // Much may have come to pass during a drain: it may be a voter now, or somebody looks at logs there.
      const { switched } = this.way;
      const why = await protectedOf([node], { allocs: new Map(), switched, rpc: this.rpc, call });
      if (why.has(node.ID)) throw new ScalingNoOp(`${node.Name} may not sleep any more: ${why.get(node.ID)}`);
      const line = await this.way.rest(node, config, call);
      this.failedMs.delete(node.ID);
      this.log('info', line);
      call.tell(line);
    } catch (error) {
      // The next leader sees for itself; a machine that is gone after all is left as it is.
      if (!call.signal.aborted && (await nodeOf(this.rpc, node, call).catch(() => null))?.Status === 'ready') {
        await this.release(node);
      }
      throw error;
    }
  }

  private async drain(node: NodeListStub, config: C, call: Call): Promise<void> {
    const strategy = {
      Deadline: config.drainDeadlineMs * 1e6,
      IgnoreSystemJobs: config.ignoreSystemJobs,
      ForceDeadline: '',
      StartedAt: '',
    };
    const meta = { [ASLEEP]: 'true', message: this.way.drainMessage };
    await this.rpc.call('Node.UpdateDrain', { NodeID: node.ID, DrainStrategy: strategy, Meta: meta }, call);
    await until(async () => (await nodeOf(this.rpc, node, call))?.Drain === false, {
      deadlineMs: Date.now() + config.drainDeadlineMs + DRAIN_GRACE_MS,
      call,
      what: `${node.Name} was not drained in time`,
    });
  }

  private async release({ ID, Name }: NodeListStub): Promise<void> {
    const call = { signal: AbortSignal.timeout(RELEASE_MS) };
    const args = { NodeID: ID, DrainStrategy: null, MarkEligible: true, Meta: {} };
    await this.rpc.call('Node.UpdateDrain', args, call).catch((error: unknown) => {
      this.log('warn', `${Name} was not given back its work`, { why: messageOf(error) });
    });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
