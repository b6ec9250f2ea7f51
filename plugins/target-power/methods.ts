import { execFile } from 'node:child_process';
import type { ScalerRpc } from '../../lib/plugin/sdk/autoscaler.js';
import type { NodeListStub } from '../../lib/structs/rpc.js';
import type { PowerConfig } from './config.js';

const COMMAND_TIMEOUT_MS = 60_000;

/** A machine as its methods need it. */
export interface Machine {
  node: NodeListStub;
  /** '' when it was never seen. */
  mac: string;
  /** Nodes that may be on its local network, the likeliest first. */
  neighbours: readonly NodeListStub[];
}

/** Asks a machine to wake up; says by whom, for people. */
export async function wakeUp(
  machine: Machine,
  config: PowerConfig,
  { rpc, signal }: { rpc: ScalerRpc; signal: AbortSignal },
): Promise<string> {
  switch (config.method) {
    case 'command':
      await run(config.wakeCommand, machine, signal);
      return config.wakeCommand[0] ?? '';
    case 'http':
      await post(config.wakeUrl, machine, signal);
      return new URL(config.wakeUrl).host;
    default:
      return await wakeOnLan(machine, rpc, signal);
  }
}

/** Puts a machine to sleep that nothing runs on any more. */
export async function putToSleep(
  machine: Machine,
  config: PowerConfig,
  { rpc, signal }: { rpc: ScalerRpc; signal: AbortSignal },
): Promise<void> {
  if (config.method === 'command') await run(config.sleepCommand, machine, signal);
  else if (config.method === 'http') await post(config.sleepUrl, machine, signal);
  else await rpc.call('ClientPower.Sleep', { NodeID: machine.node.ID }, { signal });
}

async function wakeOnLan({ node, mac, neighbours }: Machine, rpc: ScalerRpc, signal: AbortSignal): Promise<string> {
  if (mac === '') throw new Error(`the hardware address of ${node.Name} is not known: it must have been up once`);
  const failures: string[] = [];
  for (const neighbour of neighbours) {
    try {
      await rpc.call('ClientPower.Wake', { NodeID: neighbour.ID, MacAddress: mac }, { signal });
      return neighbour.Name;
    } catch (error) {
      failures.push(`${neighbour.Name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(failures.length > 0 ? failures.join('; ') : `no node is up that could wake ${node.Name}`);
}

function run(command: readonly string[], { node, mac }: Machine, signal: AbortSignal): Promise<void> {
  const [program = '', ...args] = command;
  const env = { ...process.env, NODE_ID: node.ID, NODE_NAME: node.Name, NODE_ADDRESS: node.Address, NODE_MAC: mac };
  return new Promise((resolve, reject) => {
    execFile(program, args, { env, signal, timeout: COMMAND_TIMEOUT_MS }, (error, _, stderr) => {
      if (error) reject(new Error(`${program} failed for ${node.Name}: ${stderr.trim().slice(-300) || error.message}`));
      else resolve();
    });
  });
}

async function post(url: string, { node, mac }: Machine, signal: AbortSignal): Promise<void> {
  const values: Record<string, string> = { name: node.Name, id: node.ID, mac };
  const filled = url.replace(/\{(name|id|mac)\}/g, (_, key: string) => encodeURIComponent(values[key] ?? ''));
  const answer = await fetch(filled, { method: 'POST', signal });
  if (!answer.ok) throw new Error(`${new URL(filled).host} answered ${answer.status} for ${node.Name}`);
}
