import { setTimeout as pause } from 'node:timers/promises';
import {
  type ScaleCall,
  type ScalerOptions,
  type ScalerRpc,
  ScalingNoOp,
  type Target,
  type TargetPlugin,
} from '../../lib/plugin/sdk/autoscaler.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { ScalingAction, TargetStatus } from '../../lib/structs/autoscaling.js';
import type { Node } from '../../lib/structs/node.js';
import type { NodeListStub } from '../../lib/structs/rpc.js';
import { type PowerConfig, readConfig } from './config.js';
import { cutCurrent, putToSleep, wakeUp } from './methods/index.js';
import { hostOf, type Machine } from './methods/machine.js';
import { protectedOf } from './protect.js';
import { ASLEEP, inPool, isForgotten, savedBy, selectToSleep, standingOf } from './select.js';

type Call = { signal: AbortSignal };

const POLL_MS = 2_000;
/** Whoever drains ends what is left a little after the deadline. */
const DRAIN_GRACE_MS = 60_000;
const RELEASE_MS = 10_000;
/** So long a machine that would not sleep is left alone. */
const FAILED_REST_MS = 30 * 60_000;
const LAST_EVENT = 'nomad_autoscaler.last_event';

/** The machines of a pool: woken when more are needed, drained and put to sleep when fewer are. */
class PowerTarget implements Target {
  readonly name = 'power';
  private readonly rpc: ScalerRpc;
  private readonly log: ScalerOptions['log'];
  private lastEventMs = 0;
  /** When a machine was last asked in vain, by its id: others come first for a while. */
  private readonly failedMs = new Map<string, number>();

  constructor({ rpc, log }: ScalerOptions) {
    this.rpc = rpc;
    this.log = log;
  }

  async status(given: Record<string, string>, call: Call): Promise<TargetStatus> {
    const config = readConfig(given);
    const nodes = await this.pool(config, call);
    await this.takeBack(nodes, config, call);
    const standings = nodes.map(standingOf);
    const isMoving = standings.some((standing) => standing === 'draining' || standing === 'starting');
    const count = standings.filter((standing) => standing === 'awake').length;
    const meta = this.lastEventMs > 0 ? { [LAST_EVENT]: String(this.lastEventMs * 1e6) } : {};
    const asleep = nodes.filter((node) => standingOf(node) === 'asleep');
    const savedWh = asleep.reduce((sum, node) => sum + savedBy(node, config, Date.now()), 0);
    const saved: Record<string, string> = config.watts > 0 ? { saved_wh: savedWh.toFixed(1) } : {};
    return { ready: !isMoving, count, meta: { ...meta, asleep: String(asleep.length), ...saved } };
  }

  async scale(action: ScalingAction, given: Record<string, string>, call: ScaleCall): Promise<void> {
    if (action.count < 0) throw new ScalingNoOp(action.reason);
    const config = readConfig(given);
    const nodes = await this.pool(config, call);
    const awake = nodes.filter((node) => standingOf(node) === 'awake').length;
    if (action.count === awake) throw new ScalingNoOp(`there are ${awake} already`);
    if (action.count > awake) await this.wakeSome(action.count - awake, nodes, config, call);
    else await this.sleepSome(awake - action.count, nodes, config, call);
    this.lastEventMs = Date.now();
  }

  async close(): Promise<void> {}

  private async pool(config: PowerConfig, call: Call): Promise<NodeListStub[]> {
    const { Nodes } = await this.rpc.call('Node.List', { Resources: true }, call);
    return Nodes.filter((node) => inPool(node, config));
  }

  /** Machines that are up again without our doing take work again; so that they may be put to sleep again, too. */
  private async takeBack(nodes: readonly NodeListStub[], config: PowerConfig, call: Call): Promise<void> {
    for (const { ID, Name } of nodes.filter((node) => isForgotten(node, config, Date.now()))) {
      await this.rpc.call('Node.UpdateEligibility', { NodeID: ID, Eligibility: 'eligible' }, call);
      this.log('info', `${Name} is up again and takes work`);
    }
  }

  private async wakeSome(
    count: number,
    nodes: readonly NodeListStub[],
    config: PowerConfig,
    call: ScaleCall,
  ): Promise<void> {
    const failed = ({ ID }: NodeListStub): number => this.failedMs.get(ID) ?? 0;
    const asleep = nodes
      .filter((node) => standingOf(node) === 'asleep')
      .sort((a, b) => failed(a) - failed(b))
      .slice(0, count);
    if (asleep.length === 0) throw new ScalingNoOp('no machine of the pool is asleep');
    const woken = await Promise.allSettled(asleep.map((node) => this.wake(node, config, call)));
    const failures = woken.flatMap((one) => (one.status === 'rejected' ? [messageOf(one.reason)] : []));
    if (failures.length === asleep.length) throw new Error(failures.join('; '));
    for (const failure of failures) this.log('warn', 'a machine did not wake up', { why: failure });
  }

  private async wake(node: NodeListStub, config: PowerConfig, call: ScaleCall): Promise<void> {
    const begunMs = Date.now();
    // Until it is up: whoever ends this leaves it last in the order.
    this.failedMs.set(node.ID, begunMs);
    const machine = await this.machineOf(node, call);
    const by = await wakeUp(machine, config, { rpc: this.rpc, ...call });
    const savedWh = savedBy(node, config, begunMs);
    this.log('info', `waking ${node.Name}`, { via: by });
    call.tell(`waking ${node.Name} via ${by} …`);
    const deadlineMs = begunMs + config.wakeTimeoutMs;
    const what = `${node.Name} did not come up within ${config.wakeTimeoutMs / 1000} s`;
    await this.until(async () => (await this.nodeOf(node, call))?.Status === 'ready', { deadlineMs, call, what });
    await this.rpc.call('Node.UpdateEligibility', { NodeID: node.ID, Eligibility: 'eligible' }, call);
    this.failedMs.delete(node.ID);
    const seconds = Math.round((Date.now() - begunMs) / 1_000);
    this.log('info', `${node.Name} is up`, { via: by, seconds });
    const saved = config.watts > 0 ? `; its sleep saved some ${savedWh.toFixed(1)} Wh` : '';
    call.tell(`waking ${node.Name} via ${by} … up ${seconds} s${saved}`);
  }

  private async sleepSome(
    count: number,
    nodes: readonly NodeListStub[],
    config: PowerConfig,
    call: ScaleCall,
  ): Promise<void> {
    const awake = nodes.filter((node) => standingOf(node) === 'awake');
    const allocs = new Map<string, Allocation[]>();
    for (const { ID } of awake) allocs.set(ID, (await this.rpc.call('Node.GetAllocs', { NodeID: ID }, call)).Allocs);
    const protectedNodes = await protectedOf(awake, { allocs, rpc: this.rpc, call });
    for (const { ID } of awake) {
      const sinceMs = Date.now() - (this.failedMs.get(ID) ?? Number.NEGATIVE_INFINITY);
      if (sinceMs < FAILED_REST_MS && !protectedNodes.has(ID))
        protectedNodes.set(ID, `it did not go to sleep ${Math.round(sinceMs / 60_000)} min ago`);
    }
    const chosen = selectToSleep(awake, { count, strategy: config.strategy, allocs, protectedNodes });
    if (chosen.length === 0) {
      const why = [...protectedNodes].map(([id, reason]) => `${awake.find(({ ID }) => ID === id)?.Name}: ${reason}`);
      throw new ScalingNoOp(`no machine may sleep now${why.length > 0 ? ` (${why.join('; ')})` : ''}`);
    }
    for (const node of chosen) await this.sleep(node, config, call);
  }

  /** Drained first, with everything on it; taken back when it cannot be put to sleep. */
  private async sleep(node: NodeListStub, config: PowerConfig, call: ScaleCall): Promise<void> {
    const world = { rpc: this.rpc, ...call };
    this.failedMs.set(node.ID, Date.now());
    try {
      await this.drain(node, config, call);
      // Much may have come to pass during a drain: it may be a voter now, or somebody looks at logs there.
      const why = await protectedOf([node], { allocs: new Map(), rpc: this.rpc, call });
      if (why.has(node.ID)) throw new ScalingNoOp(`${node.Name} may not sleep any more: ${why.get(node.ID)}`);
      const machine = await this.machineOf(node, call);
      await putToSleep(machine, config, world);
      call.tell(`${node.Name} goes to sleep …`);
      const seconds = config.sleepTimeoutMs / 1_000;
      await this.until(async () => (await this.nodeOf(node, call))?.Status !== 'ready', {
        deadlineMs: Date.now() + config.sleepTimeoutMs,
        call,
        what: `${node.Name} was told to sleep, and is still up after ${seconds} s`,
      });
      await cutCurrent(machine, config, world);
      this.failedMs.delete(node.ID);
      call.tell(`${node.Name} sleeps`);
      this.log('info', `${node.Name} sleeps`, config.watts > 0 ? { saves_watts: config.watts } : {});
    } catch (error) {
      // The next leader sees for itself; a machine that is gone after all is left as it is.
      if (!call.signal.aborted && (await this.nodeOf(node, call).catch(() => null))?.Status === 'ready') {
        await this.release(node);
      }
      throw error;
    }
  }

  private async drain(node: NodeListStub, config: PowerConfig, call: Call): Promise<void> {
    const strategy = {
      Deadline: config.drainDeadlineMs * 1e6,
      IgnoreSystemJobs: false,
      ForceDeadline: '',
      StartedAt: '',
    };
    const meta = { [ASLEEP]: 'true', message: 'put to sleep by the autoscaler' };
    await this.rpc.call('Node.UpdateDrain', { NodeID: node.ID, DrainStrategy: strategy, Meta: meta }, call);
    await this.until(async () => (await this.nodeOf(node, call))?.Drain === false, {
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

  private async nodeOf({ ID }: NodeListStub, call: Call): Promise<Node | null> {
    return (await this.rpc.call('Node.GetNode', { NodeID: ID }, call)).Node;
  }

  private async machineOf(node: NodeListStub, call: Call): Promise<Machine> {
    const networks = node.NodeResources?.NodeNetworks ?? [];
    const isReal = ({ MacAddress, Mode }: (typeof networks)[number]): boolean =>
      Mode === 'host' && !/^(00:)*00$|^$/.test(MacAddress);
    const address = hostOf(node);
    const own = networks.find((one) => isReal(one) && one.Addresses.some(({ Address }) => Address === address));
    const { Nodes } = await this.rpc.call('Node.List', { Resources: true }, call);
    const prefix = address.split('.').slice(0, 3).join('.');
    const others = Nodes.filter(({ ID, Status }) => ID !== node.ID && Status === 'ready');
    const near = (one: NodeListStub): number => (prefix !== '' && one.Address.startsWith(`${prefix}.`) ? 0 : 1);
    return {
      node,
      mac: (own ?? networks.find(isReal))?.MacAddress ?? '',
      meta: (await this.nodeOf(node, call))?.Meta ?? {},
      neighbours: others.sort((a, b) => near(a) - near(b)),
    };
  }

  private async until(
    done: () => Promise<boolean>,
    { deadlineMs, call, what }: { deadlineMs: number; call: Call; what: string },
  ): Promise<void> {
    while (!(await done())) {
      if (Date.now() > deadlineMs) throw new Error(what);
      await pause(POLL_MS, undefined, { signal: call.signal });
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const plugin: TargetPlugin = {
  kind: 'target',
  name: 'power',
  configProblems: (config) =>
    Object.keys(config).map((path) => ({ path, message: 'is not known: say it in the policy’s target block' })),
  create: (options) => new PowerTarget(options),
};
export default plugin;
