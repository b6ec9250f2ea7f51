import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadAgentConfig } from '../../lib/agent/config/index.js';
import { diagnosticLine } from '../../lib/hcl/index.js';
import { ROOT } from './mesh-agent.js';

const run = promisify(execFile);
const MACHINE = join(ROOT, 'test/nix/machine.nix');

/** What nix/module.nix makes of a machine. */
export interface NixosMachine {
  failed: string[];
  settings: Record<string, unknown>;
  service: { path: string[]; after: string[]; serviceConfig: Record<string, unknown> } | null;
  firewall: { allowedTCPPorts: number[]; allowedUDPPorts: number[] };
  docker: boolean;
  gpuContainers: boolean;
  packages: string[];
}

/** Why nothing of Nix can be evaluated here; undefined when it can. For the `skip` of a test. */
export function missingForNix(): string | undefined {
  try {
    execFileSync('nix-instantiate', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'nix-instantiate is not installed';
  }
}

/** The value of an expression as JSON. Nothing is built and no store is needed: an evaluation that builds would want to write to /nix. */
export async function nixEval(...args: string[]): Promise<string> {
  const { stdout } = await run('nix-instantiate', ['--eval', '--strict', '--json', ...args]);
  return stdout;
}

/** Evaluates the module for `services.meshnomad = { enable = true; } // { OPTIONS }`; rejects with what Nix says of it. */
export async function nixosMachine(options: string, ...args: string[]): Promise<NixosMachine> {
  const module = `{ lib, ... }: { services.meshnomad = { enable = true; } // { ${options} }; }`;
  const made = JSON.parse(await nixEval(MACHINE, '--arg', 'machine', module, ...args)) as NixosMachine;
  acceptedByAgent(made.settings);
  return made;
}

/** What the module renders, the agent reads: no key that it does not know, or has learned to read otherwise. */
function acceptedByAgent(settings: Record<string, unknown>): void {
  if (Object.keys(settings).length === 0) return;
  // What it is comes from its mesh; a key to join by in the settings is the module's own matter: it warns of it.
  const source = JSON.stringify(settings, (key, value: unknown) => (key === 'join_key' ? undefined : value));
  const file = { name: 'meshnomad.json', source };
  const read = loadAgentConfig({ files: [file], flags: { client: true }, dev: false });
  if (!read.ok) throw new Error(read.error.map(diagnosticLine).join('\n'));
}

/** As NixOS writes it: a list is a line for each, a truth is true or false. */
export function unitText(service: Record<string, unknown>): string {
  const lines = Object.entries(service).flatMap(([key, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) => `${key}=${String(one)}`),
  );
  return [
    '[Unit]',
    'Description=meshnomad agent',
    '[Service]',
    ...lines,
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n');
}
