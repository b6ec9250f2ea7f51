import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CliResult, cli, eventually, freePort, MESHNOMAD } from './mesh-agent.js';
import type { Testnet } from './testnet.js';

/** What `-json` says of the way into a mesh. */
export interface Step {
  Step: string;
  [key: string]: unknown;
}

/** How a machine is started: its own words before the command line, `ip netns exec home` for example. */
export interface MachineOptions {
  testnet: Pick<Testnet, 'bootstrap'>;
  name: string;
  prefix?: readonly string[];
  /** More configuration, in HCL. */
  config?: string;
}

/** One machine in a process of its own, brought into a mesh by the commands a person types. */
export class Machine {
  readonly dir: string;
  readonly name: string;
  readonly port: number;
  readonly #options: MachineOptions;
  #process: ChildProcess | undefined;
  steps: Step[] = [];
  log = '';

  private constructor(dir: string, port: number, options: MachineOptions) {
    this.dir = dir;
    this.port = port;
    this.name = options.name;
    this.#options = options;
  }

  static async make(options: MachineOptions): Promise<Machine> {
    const dir = mkdtempSync(join(tmpdir(), `meshnomad-${options.name}-`));
    // As /var/lib is: users of tasks pass through.
    chmodSync(dir, 0o711);
    mkdirSync(join(dir, 'config'));
    return new Machine(dir, await freePort(), options);
  }

  get address(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  /** Runs init, up, join or agent as a person does, and waits for its first screen. */
  async start(command: string, ...args: string[]): Promise<Step> {
    const file = join(this.dir, 'config', 'agent.hcl');
    const bootstrap = this.#options.testnet.bootstrap.map(({ host, port }) => `${host}:${port}`);
    const lines = [
      `data_dir = ${JSON.stringify(join(this.dir, 'data'))}`,
      `name = ${JSON.stringify(this.name)}`,
      `ports {\n  http = ${this.port}\n  rpc = 0\n}`,
      `mesh {\n  bootstrap = ${JSON.stringify(bootstrap)}\n  mdns = false\n}`,
      'plugin "raw_exec" {\n  config {\n    enabled = true\n  }\n}',
      this.#options.config ?? '',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    this.steps = [];
    const [program = process.execPath, ...words] = [
      ...(this.#options.prefix ?? []),
      process.execPath,
      MESHNOMAD,
      command,
      '-json',
      `-config=${file}`,
      ...args,
    ];
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (chunk: Buffer) => this.#hear(chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => this.#hear(chunk.toString()));
    this.#process = child;
    return this.step('started');
  }

  #hear(text: string): void {
    this.log = (this.log + text).slice(-400_000);
    for (const line of text.split('\n')) {
      if (line.startsWith('{"Step":')) this.steps.push(JSON.parse(line) as Step);
    }
  }

  /** Waits for one of the steps; fails at once when the process ends. */
  async step(name: string, limitMs = 30_000): Promise<Step> {
    const found = await eventually(
      `${this.name} to be ${name}`,
      () => this.steps.find(({ Step }) => Step === name) ?? (this.ended ? 'ended' : undefined),
      limitMs,
    );
    if (found !== 'ended') return found;
    throw new Error(`${this.name} ended:\n${this.log.slice(-3000)}`);
  }

  get ended(): boolean {
    return this.#process !== undefined && (this.#process.exitCode !== null || this.#process.signalCode !== null);
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(this.address + path);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  /** A command on this machine, for its own agent. */
  cli(args: string[], input?: string): Promise<CliResult> {
    return cli(args, { env: { NOMAD_ADDR: this.address }, ...(input === undefined ? {} : { input }) });
  }

  /** An invite, made here. */
  async invite(...args: string[]): Promise<string> {
    const said = await this.cli(['invite', '-json', ...args]);
    if (said.code !== 0) throw new Error(said.err);
    return (JSON.parse(said.out) as { Invite: string }).Invite;
  }

  /** A command of a person whose key lies in a profile on this machine's disk, where no agent runs. */
  operator(args: string[], input?: string): Promise<CliResult> {
    const env = { XDG_CONFIG_HOME: join(this.dir, 'profile'), HOME: this.dir, NOMAD_ADDR: '', MESHNOMAD_ADDR: '' };
    return cli(args, { env, ...(input === undefined ? {} : { input }) });
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#process;
    if (!child || this.ended) return child?.exitCode ?? null;
    const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.kill(signal);
    return exit;
  }

  async dispose(): Promise<void> {
    await this.end('SIGTERM');
    rmSync(this.dir, { recursive: true, force: true });
  }
}
