import type { BmcConfig } from '../config.js';
import { fillInHost, type Machine } from './machine.js';
import { type ProgramFailure, runProgram } from './program.js';
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
  const what = `the controller ${host} of ${machine.node.Name}`;
  try {
    // Only with -v does it say what is wrong.
    await runProgram(['ipmitool', '-v', ...who, ...cipher, 'chassis', 'power', action], { signal, what });
  } catch (error) {
    const [, why] = REASONS.find(([said]) => said.test((error as ProgramFailure).stderr)) ?? [];
    throw why === undefined ? error : new Error(`${what}: ipmitool: ${why}`);
  }
  return host;
}

/** What ipmitool says, and what that means to who is to put it right; the first that fits. */
const REASONS: readonly [RegExp, string][] = [
  [/HMAC is invalid/, 'the password is refused: see bmc_password_file'],
  [/unauthorized name/i, 'the user is refused: see bmc_user'],
  [/Address lookup .* failed/, 'this name is not known: see bmc_address'],
  [
    /Unable to establish/,
    'it does not answer: is this its address, and IPMI over LAN switched on? Some need bmc_cipher_suite = "3" or "17"',
  ],
];

/** "bmc.lan:6623", "[fd00::1]:623", "fd00::1". */
function splitPort(address: string): [string, string | undefined] {
  const match = /^\[(.+)\](?::(\d+))?$/.exec(address) ?? /^([^:]+):(\d+)$/.exec(address);
  return match ? [match[1] ?? '', match[2]] : [address, undefined];
}
