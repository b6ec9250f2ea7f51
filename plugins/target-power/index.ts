import type { ScaleCall, ScalerOptions, TargetPlugin } from '../../lib/plugin/sdk/autoscaler.js';
import type { NodeListStub } from '../../lib/structs/rpc.js';
import { refuseTargetConfig } from '../target-nodes/config.js';
import { nodeOf, until } from '../target-nodes/node.js';
import { NodesTarget, type Rest } from '../target-nodes/target.js';
import { type PowerConfig, readConfig } from './config.js';
import { cutCurrent, putToSleep, wakeUp } from './methods/index.js';
import { machineOf } from './methods/machine.js';
import { isForgotten, savedBy } from './sleep.js';

/** Machines that are not needed are switched off, and on again by the ways of `methods/`. */
class Sleep implements Rest<PowerConfig> {
  readonly switched = true;
  readonly readConfig = readConfig;
  readonly drainMessage = 'put to sleep by the autoscaler';
  private readonly rpc: ScalerOptions['rpc'];
  private readonly log: ScalerOptions['log'];

  constructor({ rpc, log }: ScalerOptions) {
    this.rpc = rpc;
    this.log = log;
  }

  async rest(node: NodeListStub, config: PowerConfig, call: ScaleCall): Promise<string> {
    const { rpc } = this;
    const machine = await machineOf(node, { rpc, call });
    await putToSleep(machine, config, { rpc, ...call });
    call.tell(`${node.Name} goes to sleep …`);
    await until(async () => (await nodeOf(rpc, node, call))?.Status !== 'ready', {
      deadlineMs: Date.now() + config.sleepTimeoutMs,
      call,
      what: `${node.Name} was told to sleep, and is still up after ${config.sleepTimeoutMs / 1_000} s`,
    });
    await cutCurrent(machine, config, { rpc, ...call });
    return `${node.Name} sleeps`;
  }

  async wake(node: NodeListStub, config: PowerConfig, call: ScaleCall): Promise<string> {
    const { rpc } = this;
    const begunMs = Date.now();
    const by = await wakeUp(await machineOf(node, { rpc, call }), config, { rpc, ...call });
    const savedWh = savedBy(node, config, begunMs);
    const waking = `waking ${node.Name} via ${by} …`;
    this.log('info', waking);
    call.tell(waking);
    await until(async () => (await nodeOf(rpc, node, call))?.Status === 'ready', {
      deadlineMs: begunMs + config.wakeTimeoutMs,
      call,
      what: `${node.Name} did not come up within ${config.wakeTimeoutMs / 1_000} s`,
    });
    const saved = config.watts > 0 ? `; its sleep saved some ${savedWh.toFixed(1)} Wh` : '';
    return `${waking} up ${Math.round((Date.now() - begunMs) / 1_000)} s${saved}`;
  }

  forgotten(nodes: readonly NodeListStub[], config: PowerConfig): NodeListStub[] {
    return nodes.filter((node) => isForgotten(node, config, Date.now()));
  }

  meta(asleep: readonly NodeListStub[], config: PowerConfig): Record<string, string> {
    const savedWh = asleep.reduce((sum, node) => sum + savedBy(node, config, Date.now()), 0);
    return { asleep: String(asleep.length), ...(config.watts > 0 ? { saved_wh: savedWh.toFixed(1) } : {}) };
  }
}

const plugin: TargetPlugin = {
  kind: 'target',
  name: 'power',
  configProblems: refuseTargetConfig,
  create: (options) => new NodesTarget('power', new Sleep(options), options),
};
export default plugin;
