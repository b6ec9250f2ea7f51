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
import type { NodeListStub } from '../../lib/structs/rpc.js';
import { type PowerConfig, readConfig } from './config.js';
import { type Machine, putToSleep, wakeUp } from './methods.js';
import { ASLEEP, heldBy, inPool, savedBy, selectToSleep, standingOf } from './select.js';

type Call = { signal: AbortSignal };

const POLL_MS = 2_000;
const LAST_EVENT = 'nomad_autoscaler.last_event';

/** The machines of a pool: woken when more are needed, drained and put to sleep when fewer are. */
class PowerTarget implements Target {
  readonly name = 'power';
  private readonly rpc: ScalerRpc;
  private readonly log: ScalerOptions['log'];
  private lastEventMs = 0;

  constructor({ rpc, log }: ScalerOptions) {
    this.rpc = rpc;
    this.log = log;
  }

  async status(given: Record<string, string>, call: Call): Promise<TargetStatus> {
    const config = readConfig(given);
    const nodes = await this.pool(config, call);
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

  private async wakeSome(
    count: number,
    nodes: readonly NodeListStub[],
    config: PowerConfig,
    call: ScaleCall,
  ): Promise<void> {
    const asleep = nodes.filter((node) => standingOf(node) === 'asleep').slice(0, count);
    if (asleep.length === 0) throw new ScalingNoOp('no machine of the pool is asleep');
    const woken = await Promise.allSettled(asleep.map((node) => this.wake(node, config, call)));
    const failures = woken.flatMap((one) => (one.status === 'rejected' ? [String((one.reason as Error).message)] : []));
    if (failures.length === asleep.length) throw new Error(failures.join('; '));
    for (const failure of failures) this.log('warn', 'a machine did not wake up', { why: failure });
  }

  private async wake(node: NodeListStub, config: PowerConfig, call: ScaleCall): Promise<void> {
    const machine = await this.machineOf(node, call);
    const begunMs = Date.now();
    const by = await wakeUp(machine, config, { rpc: this.rpc, ...call });
    const savedWh = savedBy(node, config, begunMs);
    this.log('info', `waking ${node.Name}`, { via: by });
    call.tell(`waking ${node.Name} via ${by} …`);
    const deadlineMs = begunMs + config.wakeTimeoutMs;
    await this.until(
      async () => (await this.rpc.call('Node.GetNode', { NodeID: node.ID }, call)).Node?.Status === 'ready',
      { deadlineMs, call, what: `${node.Name} did not come up within ${config.wakeTimeoutMs / 1000} s` },
    );
    await this.rpc.call('Node.UpdateEligibility', { NodeID: node.ID, Eligibility: 'eligible' }, call);
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
    const protectedNodes = await this.protectedNodes(awake, allocs, call);
    const chosen = selectToSleep(awake, { count, strategy: config.strategy, allocs, protectedNodes });
    if (chosen.length === 0) {
      const why = [...protectedNodes].map(([id, reason]) => `${awake.find(({ ID }) => ID === id)?.Name}: ${reason}`);
      throw new ScalingNoOp(`no machine may sleep now${why.length > 0 ? ` (${why.join('; ')})` : ''}`);
    }
    for (const node of chosen) await this.sleep(node, config, call);
  }

  /** A server must not sleep: the quorum needs it. A held volume stays where it is. */
  private async protectedNodes(
    nodes: readonly NodeListStub[],
    allocs: ReadonlyMap<string, Allocation[]>,
    call: Call,
  ): Promise<Map<string, string>> {
    const { Configuration } = await this.rpc.call('Operator.RaftGetConfiguration', {}, call);
    const servers = new Set(Configuration.Servers.map(({ Node: name }) => name.replace(/\.[^.]*$/, '')));
    const found = new Map<string, string>();
    for (const { ID, Name } of nodes) {
      const held = heldBy(allocs.get(ID) ?? []);
      if (servers.has(Name) || Configuration.Servers.some(({ Node: name }) => name === Name))
        found.set(ID, 'it is a server');
      else if (held !== undefined) found.set(ID, held);
    }
    return found;
  }

  /** Drained first, with everything on it; taken back when it cannot be put to sleep. */
  private async sleep(node: NodeListStub, config: PowerConfig, call: ScaleCall): Promise<void> {
    const deadlineMs = Date.now() + config.drainDeadlineMs;
    const strategy = {
      Deadline: config.drainDeadlineMs * 1e6,
      IgnoreSystemJobs: false,
      ForceDeadline: '',
      StartedAt: '',
    };
    const meta = { [ASLEEP]: 'true', message: 'put to sleep by the autoscaler' };
    await this.rpc.call('Node.UpdateDrain', { NodeID: node.ID, DrainStrategy: strategy, Meta: meta }, call);
    try {
      await this.until(
        async () => (await this.rpc.call('Node.GetNode', { NodeID: node.ID }, call)).Node?.Drain === false,
        {
          deadlineMs: deadlineMs + 60_000,
          call,
          what: `${node.Name} was not drained in time`,
        },
      );
      await putToSleep(await this.machineOf(node, call), config, { rpc: this.rpc, ...call });
      call.tell(`${node.Name} sleeps`);
      this.log('info', `${node.Name} sleeps`, config.watts > 0 ? { saves_watts: config.watts } : {});
    } catch (error) {
      await this.rpc
        .call(
          'Node.UpdateDrain',
          { NodeID: node.ID, DrainStrategy: null, MarkEligible: true, Meta: {} },
          { signal: AbortSignal.timeout(10_000) },
        )
        .catch(() => {});
      throw error;
    }
  }

  private async machineOf(node: NodeListStub, call: Call): Promise<Machine> {
    const networks = node.NodeResources?.NodeNetworks ?? [];
    const isReal = ({ MacAddress, Mode }: (typeof networks)[number]): boolean =>
      Mode === 'host' && !/^(00:)*00$|^$/.test(MacAddress);
    const [address = ''] = node.Address.split(':');
    const own = networks.find((one) => isReal(one) && one.Addresses.some(({ Address }) => Address === address));
    const { Nodes } = await this.rpc.call('Node.List', { Resources: true }, call);
    const prefix = address.split('.').slice(0, 3).join('.');
    const others = Nodes.filter(({ ID, Status }) => ID !== node.ID && Status === 'ready');
    const near = (one: NodeListStub): number => (prefix !== '' && one.Address.startsWith(`${prefix}.`) ? 0 : 1);
    return {
      node,
      mac: (own ?? networks.find(isReal))?.MacAddress ?? '',
      neighbours: others.sort((a, b) => near(a) - near(b)),
    };
  }

  private async until(
    done: () => Promise<boolean>,
    { deadlineMs, call, what }: { deadlineMs: number; call: Call; what: string },
  ): Promise<void> {
    const { setTimeout: pause } = await import('node:timers/promises');
    while (!(await done())) {
      if (Date.now() > deadlineMs) throw new Error(what);
      await pause(POLL_MS, undefined, { signal: call.signal });
    }
  }
}

const plugin: TargetPlugin = {
  kind: 'target',
  name: 'power',
  configProblems: (config) =>
    Object.keys(config).map((path) => ({ path, message: 'is not known: say it in the policy’s target block' })),
  create: (options) => new PowerTarget(options),
};
export default plugin;
