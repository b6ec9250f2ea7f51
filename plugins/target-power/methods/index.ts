import type { ScalerRpc } from '../../../lib/plugin/sdk/autoscaler.js';
import { assertNever } from '../../../lib/util/assert.js';
import type { PowerConfig } from '../config.js';
import { askPlug } from './http.js';
import { askIpmi } from './ipmi.js';
import { hostOf, type Machine } from './machine.js';
import { runProgram } from './program.js';
import { askRedfish } from './redfish.js';
import { runBySsh } from './ssh.js';
import { wakeOnLan } from './wol.js';

type World = { rpc: ScalerRpc; signal: AbortSignal };

/** Asks a machine to wake up; says by whom, for people. Rejects with what is in the way. */
export async function wakeUp(machine: Machine, config: PowerConfig, { rpc, signal }: World): Promise<string> {
  const { http, bmc, ssh, wakeCommand: command } = config;
  switch (config.wake) {
    case 'wol':
      return wakeOnLan(machine, { rpc, signal });
    case 'ssh':
      return runBySsh({ host: ssh.wakeHost, command, mayGoAway: false }, machine, { config: ssh, signal });
    case 'ipmi':
      return askIpmi('on', machine, { config: bmc, signal });
    case 'redfish':
      return askRedfish('on', machine, { config: bmc, signal });
    case 'http':
      return askPlug({ url: http.wakeUrl, body: http.wakeBody }, machine, { config: http, signal });
    case 'command':
      return runCommand(command, machine, signal);
    default:
      return assertNever(config.wake);
  }
}

/** Puts a machine to sleep that nothing runs on any more. Rejects with what is in the way. */
export async function putToSleep(machine: Machine, config: PowerConfig, { rpc, signal }: World): Promise<void> {
  const { http, bmc, ssh, sleepCommand: command } = config;
  switch (config.sleep) {
    case 'agent':
      await rpc.call('ClientPower.Sleep', { NodeID: machine.node.ID }, { signal });
      return;
    case 'ssh':
      await runBySsh({ host: ssh.host, command, mayGoAway: true }, machine, { config: ssh, signal });
      return;
    case 'ipmi':
      await askIpmi('soft', machine, { config: bmc, signal });
      return;
    case 'redfish':
      await askRedfish('off', machine, { config: bmc, signal });
      return;
    case 'http':
      await askPlug({ url: http.sleepUrl, body: http.sleepBody }, machine, { config: http, signal });
      return;
    case 'command':
      await runCommand(command, machine, signal);
      return;
    default:
      assertNever(config.sleep);
  }
}

/** Cuts the current of a machine that has gone, where that is wanted. */
export async function cutCurrent(machine: Machine, { http }: PowerConfig, { signal }: World): Promise<void> {
  if (http.offUrl === '') return;
  await askPlug({ url: http.offUrl, body: http.sleepBody }, machine, { config: http, signal });
}

async function runCommand(command: readonly string[], machine: Machine, signal: AbortSignal): Promise<string> {
  const { node, mac } = machine;
  const env = { NODE_ID: node.ID, NODE_NAME: node.Name, NODE_ADDRESS: hostOf(node), NODE_MAC: mac };
  await runProgram(command, { signal, env, what: `for ${node.Name}` });
  return command[0] ?? '';
}
