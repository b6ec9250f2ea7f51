import type { BmcConfig } from '../config.js';
import { fillInHost, type Machine } from './machine.js';
import { runProgram } from './program.js';
import { checkSecretFile } from './secret.js';

/** Has ipmitool ask the controller of a machine; says who was asked. The password is read by ipmitool, from its file. */
export async function askIpmi(
  action: 'on' | 'soft',
  machine: Machine,
  { config, signal }: { config: BmcConfig; signal: AbortSignal },
): Promise<string> {
  const [host, port = '623'] = splitPort(fillInHost(config.address, machine, 'bmc_address'));
  checkSecretFile(config.passwordFile, 'bmc_password_file');
  const who = ['-I', 'lanplus', '-H', host, '-p', port, '-U', config.user, '-f', config.passwordFile];
  const cipher = config.cipherSuite === '' ? [] : ['-C', config.cipherSuite];
  await runProgram(['ipmitool', ...who, ...cipher, 'chassis', 'power', action], {
    signal,
    what: `the controller ${host} of ${machine.node.Name}`,
  });
  return host;
}

/** "bmc.lan:6623", "[fd00::1]:623", "fd00::1". */
function splitPort(address: string): [string, string | undefined] {
  const match = /^\[(.+)\](?::(\d+))?$/.exec(address) ?? /^([^:]+):(\d+)$/.exec(address);
  return match ? [match[1] ?? '', match[2]] : [address, undefined];
}
