// A stand-in for an agent that is killed: starts a task of driver "test", says its handle, and is gone.
//   node plugin-agent.js PLUGIN_DIR STATE_DIR   reads the task as one JSON line
import { createInterface } from 'node:readline';
import type { TaskConfig } from '../../lib/plugin/sdk/driver.js';
import { quietStart } from './driver-task.js';
import { openPluginDir } from './plugin-driver.js';

const [dir = '', stateDir = ''] = process.argv.slice(2);
const { drivers } = await openPluginDir({ dir, stateDir });
for await (const line of createInterface({ input: process.stdin })) {
  const handle = await drivers['test']?.startTask(JSON.parse(line) as TaskConfig, quietStart());
  process.stdout.write(`${JSON.stringify(handle)}\n`, () => process.kill(process.pid, 'SIGKILL'));
}
