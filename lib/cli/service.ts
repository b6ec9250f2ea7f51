import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VERSION } from './version.js';

/** The unit that runs an agent of this machine. */
const UNIT = 'meshnomad.service';
const UNIT_PATH = `/etc/systemd/system/${UNIT}`;
/** Where the program is kept when it was started from a cache that npm may clear. */
const PROGRAM_DIR = '/opt/meshnomad';

export interface ServiceOptions {
  /** The program and its script, absolute. */
  node: string;
  script: string;
  /** What the agent is started with. */
  args: readonly string[];
}

/**
 * The text of the unit. What is forbidden to the agent is forbidden to its tasks too, which are its children: so nothing is
 * taken from it here that a task may need. No secret is in it: who has joined needs no key any more.
 */
export function serviceUnit({ node, script, args }: ServiceOptions): string {
  return `[Unit]
Description=meshnomad agent
# Not network-online.target: a machine that starts without a network runs its tasks, and links when there is one.
After=network.target docker.service
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${[node, script, 'agent', ...args].map(quoted).join(' ')}
ExecReload=/bin/kill -HUP $MAINPID
# Tasks outlive the agent: the next one takes them up again.
KillMode=process
KillSignal=SIGINT
Delegate=yes
Restart=on-failure
RestartSec=2
LimitNOFILE=65536
TasksMax=infinity
KeyringMode=private

[Install]
WantedBy=multi-user.target
`;
}

/** One word of ExecStart, in which systemd finds neither a variable nor a specifier. */
function quoted(word: string): string {
  const safe = word.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./-]+$/.test(safe) ? safe : `"${safe}"`;
}

/** Why a unit cannot be installed here; undefined when it can. Asked before anything is done that cannot be undone. */
export function serviceObstacle(): string | undefined {
  if (process.platform !== 'linux' || !existsSync('/run/systemd/system')) {
    return 'systemd does not run on this machine: leave -install-service out, and have "meshnomad agent" started by what runs here';
  }
  if (process.getuid?.() !== 0) return 'a service is installed by root: use sudo';
  return undefined;
}

/** Writes the unit, enables it and starts it; the text says what was done and how it is undone. Throws what systemctl says. */
export function installService(args: readonly string[]): string {
  const script = keptProgram(realpathSync(fileURLToPath(new URL('../../bin/meshnomad.js', import.meta.url))));
  writeFileSync(UNIT_PATH, serviceUnit({ node: process.execPath, script, args }));
  execFileSync('systemctl', ['daemon-reload'], { stdio: 'pipe' });
  execFileSync('systemctl', ['enable', '--now', UNIT], { stdio: 'pipe' });
  return [
    `The agent runs as ${UNIT} and is started with the machine.`,
    `  its log:     journalctl -fu ${UNIT}`,
    `  to undo it:  systemctl disable --now ${UNIT} && rm ${UNIT_PATH} && systemctl daemon-reload`,
    '               Its tasks go on: "meshnomad node drain -enable -self" moves them away before, "meshnomad leave" takes the machine out.',
  ].join('\n');
}

/** npm clears what npx has fetched as it likes: a service needs a program that stays. */
function keptProgram(script: string): string {
  const match = /^(.*\/_npx\/[^/]+)\/node_modules\/(.*)$/.exec(script);
  if (!match) return script;
  const [, cache, inside] = match as unknown as [string, string, string];
  const target = join(PROGRAM_DIR, VERSION);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(join(cache, 'node_modules'), join(target, 'node_modules'), { recursive: true, verbatimSymlinks: true });
  return join(target, 'node_modules', inside);
}
