import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TaskHandle } from '../../lib/plugin/sdk/driver.js';
import type { AgentOrder } from './driver-agent.js';

/** Starts an agent's stand-in with an order; `kill` is kill -9. */
export async function startAgent(
  plugin: string,
  order: AgentOrder,
): Promise<{ handles: TaskHandle[]; kill: () => Promise<void> }> {
  const script = fileURLToPath(new URL('./driver-agent.js', import.meta.url));
  const url = new URL(`../../plugins/${plugin}/index.js`, import.meta.url).href;
  const child = spawn(process.execPath, [script, url], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.stdin.write(`${JSON.stringify(order)}\n`);
  const answer = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', (code) => reject(new Error(`the agent's stand-in ended with ${code}`)));
  });
  return {
    handles: JSON.parse(answer) as TaskHandle[],
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Checks that numbered lines `prefix N` are 1 … n without a gap or a double; the problem in words, '' when all is well. */
export function numberingProblem(output: string, count: number): string {
  const lines = output.split('\n');
  if (lines.pop() !== '') return 'the last line is cut';
  for (let i = 0; i < lines.length; i++) {
    if (lines[i] !== `line ${i + 1}`) return `at line ${i + 1} stands ${JSON.stringify(lines[i])}`;
  }
  return lines.length === count ? '' : `${lines.length} lines instead of ${count}`;
}
