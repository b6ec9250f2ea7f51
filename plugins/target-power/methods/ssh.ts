import type { SshConfig } from '../config.js';
import { fillIn, fillInHost, type Machine } from './machine.js';
import { type ProgramFailure, runProgram } from './program.js';
import { checkSecretFile } from './secret.js';

/** How ssh says that the other side went away: what a machine does that falls asleep. */
const WENT_AWAY = /closed by (remote host|foreign host)|not responding|Connection reset|Broken pipe/i;

/** What ssh says, and what helps. */
const HINTS: readonly [RegExp, string][] = [
  [/Permission denied/, 'ssh_key_file names a key that this host accepts for ssh_user, without a passphrase'],
  [/Host key verification failed/, 'ssh_known_hosts must have the key of this host'],
];

/** Runs a command on a host by ssh, with a key and never a password; says where. */
export async function runBySsh(
  { host, command, mayGoAway }: { host: string; command: readonly string[]; mayGoAway: boolean },
  machine: Machine,
  { config, signal }: { config: SshConfig; signal: AbortSignal },
): Promise<string> {
  const where = fillInHost(host, machine, 'the host for ssh');
  const { user, port, keyFile, knownHosts } = config;
  if (keyFile !== '') checkSecretFile(keyFile, 'ssh_key_file');
  const options = [
    'BatchMode=yes',
    'ConnectTimeout=15',
    'ServerAliveInterval=5',
    'ServerAliveCountMax=2',
    // Without a list of hosts the first key that is seen is the right one.
    `StrictHostKeyChecking=${knownHosts === '' ? 'accept-new' : 'yes'}`,
    ...(knownHosts === '' ? [] : [`UserKnownHostsFile=${knownHosts}`]),
    ...(keyFile === '' ? [] : ['IdentitiesOnly=yes']),
  ];
  const identity = keyFile === '' ? [] : ['-i', keyFile];
  const asked = ['ssh', ...options.flatMap((one) => ['-o', one]), ...identity, '-p', port, '-l', user, '--', where];
  // The shell of the other side reads this line: what a node calls itself must be nothing but a word there.
  const line = command.join(' ').replace(/\{(name|id|mac|address)\}/g, (key) => quote(fillIn(key, machine)));
  try {
    await runProgram([...asked, line], { signal, what: `${where} for ${machine.node.Name}` });
  } catch (error) {
    const { stderr, message } = error as ProgramFailure;
    if (mayGoAway && WENT_AWAY.test(stderr)) return where;
    const hint = HINTS.find(([said]) => said.test(stderr))?.[1];
    throw hint === undefined ? error : new Error(`${message}; ${hint}`);
  }
  return where;
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
