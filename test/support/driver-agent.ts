// A stand-in for an agent that is killed: starts or takes up the tasks it is told, and reports the handles.
//   node driver-agent.js PLUGIN_URL   reads one JSON line: { config, stateDir, start: TaskConfig[], recover: {handle, task}[] }
import { createInterface } from 'node:readline';
import type { DriverPlugin, TaskConfig, TaskHandle } from '../../lib/plugin/sdk/driver.js';
import { quietStart } from './driver-task.js';

/** What the stand-in is told. */
export interface AgentOrder {
  config: Record<string, unknown>;
  stateDir: string;
  start: TaskConfig[];
  recover: { handle: TaskHandle; task: TaskConfig }[];
}

const { default: plugin } = (await import(process.argv[2] ?? '')) as { default: DriverPlugin };
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as AgentOrder;
  const driver = plugin.create({ config: order.config, stateDir: order.stateDir, log: () => {} });
  const handles = await Promise.all(order.start.map((task) => driver.startTask(task, quietStart())));
  for (const { handle, task } of order.recover) await driver.recoverTask(handle, task);
  console.log(JSON.stringify(handles));
}
