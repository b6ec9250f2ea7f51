import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FarFetch } from './far-fetch.js';
import { type CliResult, eventually, freePort, MESHNOMAD } from './mesh-agent.js';
import type { Testnet } from './testnet.js';

/** What `-json` says of the way into a mesh. */
export interface Step {
  Step: string;
  [key: string]: unknown;
}

/** Starts programs where the machine stands: in a network namespace, for example. */
export type Place = (file: string, args: readonly string[], options?: SpawnOptions) => ChildProcess;

export interface MachineOptions {
  testnet: Pick<Testnet, 'bootstrap'>;
  name: string;
  /** Default: on this very machine. */
  place?: Place;
  /** Whether it looks for others by multicast. */
  mdns?: boolean;
  /** More configuration, in HCL. */
  config?: string;
  /** More environment of the agent. */
  env?: Record<string, string>;
}

/** One machine in a process of its own, brought into a mesh by the commands a person types. */
export class Machine {
  readonly dir: string;
  readonly name: string;
  readonly port: number;
  readonly #options: MachineOptions;
  readonly #place: Place;
  #far: FarFetch | undefined;
  #process: ChildProcess | undefined;
  #unended = '';
  steps: Step[] = [];
  log = '';
  /** What is run from the next start on; another one stands for another version. */
  program = MESHNOMAD;

  private constructor(dir: string, port: number, options: MachineOptions) {
    this.dir = dir;
    this.port = port;
    this.name = options.name;
    this.#options = options;
    this.#place = options.place ?? ((file, args, how) => spawn(file, args, how ?? {}));
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

  /** Runs init, up or join as a person does, and waits for its first screen. */
  async start(command: string, ...args: string[]): Promise<Step> {
    this.#spawn([command, '-json', ...args]);
    return this.step('started');
  }

  /** Runs a command to its end. */
  async run(command: string, ...args: string[]): Promise<number | null> {
    const child = this.#spawn([command, '-json', ...args]);
    return new Promise((resolve) => child.once('close', resolve));
  }

  /** Runs the agent as a service does, with an invite in a file; waits until it is healthy. */
  async startAgent(invite: string): Promise<void> {
    const file = join(this.dir, 'invite');
    writeFileSync(file, invite, { mode: 0o600 });
    this.#spawn(['agent', `-join-key-file=${file}`]);
    await eventually(`${this.name} to be healthy`, async () => {
      if (this.ended) throw new Error(this.log.slice(-3000));
      return (await this.fetch('/v1/agent/health')).status === 200 || undefined;
    });
  }

  #spawn(words: readonly string[]): ChildProcess {
    const file = join(this.dir, 'config', 'agent.hcl');
    const bootstrap = this.#options.testnet.bootstrap.map(({ host, port }) => `${host}:${port}`);
    const lines = [
      `data_dir = ${JSON.stringify(join(this.dir, 'data'))}`,
      `name = ${JSON.stringify(this.name)}`,
      `ports {\n  http = ${this.port}\n  rpc = 0\n}`,
      `mesh {\n  bootstrap = ${JSON.stringify(bootstrap)}\n  mdns = ${this.#options.mdns ?? false}\n}`,
      'plugin "raw_exec" {\n  config {\n    enabled = true\n  }\n}',
      this.#options.config ?? '',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    this.steps = [];
    const args = [this.program, ...words.slice(0, 1), `-config=${file}`, ...words.slice(1)];
    const env = { ...process.env, ...this.#options.env };
    const child = this.#place(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
    this.#unended = '';
    child.stdout?.on('data', (chunk: Buffer) => this.#hear(chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => {
      this.log = (this.log + chunk.toString()).slice(-400_000);
    });
    this.#process = child;
    return child;
  }

  #hear(text: string): void {
    this.log = (this.log + text).slice(-400_000);
    // A pipe may end in the middle of a line.
    const lines = (this.#unended + text).split('\n');
    this.#unended = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('{"Step":')) this.steps.push(JSON.parse(line) as Step);
    }
  }

  /** Waits for one of the steps; fails at once when the process ends. */
  async step(name: string, limitMs = 90_000): Promise<Step> {
    const found = await eventually(
      `${this.name} to be ${name}`,
      () => this.steps.find(({ Step }) => Step === name) ?? (this.ended ? 'ended' : undefined),
      limitMs,
    ).catch((error: Error) => {
      throw new Error(`${error.message}:\n${this.log.slice(-3000)}`);
    });
    if (found !== 'ended') return found;
    throw new Error(`${this.name} ended:\n${this.log.slice(-3000)}`);
  }

  get ended(): boolean {
    return this.#process !== undefined && (this.#process.exitCode !== null || this.#process.signalCode !== null);
  }

  async get<T>(path: string): Promise<T> {
    const { status, text } = await this.fetch(path);
    if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
    return JSON.parse(text) as T;
  }

  /** A request to its own agent, made on the machine itself. */
  fetch(path: string, init?: { method?: string; body?: string }): Promise<{ status: number; text: string }> {
    this.#far ??= new FarFetch((file, args) => this.#place(file, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
    return this.#far.fetch(this.address + path, init);
  }

  /** Registers a job that must be accepted. */
  async register(job: object): Promise<void> {
    const { status, text } = await this.fetch('/v1/jobs', { method: 'PUT', body: JSON.stringify(job) });
    if (status !== 200) throw new Error(`the job was refused: ${status} ${text}`);
  }

  /** A command on this machine, for its own agent. */
  cli(args: string[], input?: string): Promise<CliResult> {
    return this.#run(args, { NOMAD_ADDR: this.address }, input);
  }

  #run(args: string[], env: Record<string, string>, input = '', until?: RegExp): Promise<CliResult> {
    const child = this.#place(process.execPath, [MESHNOMAD, ...args], {
      env: { ...process.env, NO_COLOR: '1', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const text = { out: '', err: '' };
    child.stdout?.on('data', (chunk: Buffer) => {
      text.out += chunk;
      if (until?.test(text.out)) child.kill('SIGINT');
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      text.err += chunk;
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
    return new Promise((resolve) => child.once('close', (code) => resolve({ code: code ?? -1, ...text })));
  }

  /** An invite, made here. */
  async invite(...args: string[]): Promise<string> {
    const said = await this.cli(['invite', '-json', ...args]);
    if (said.code !== 0) throw new Error(said.err);
    return (JSON.parse(said.out) as { Invite: string }).Invite;
  }

  /**
   * A command of a person whose key lies in a profile on this machine's disk, where no agent runs; one that has no end is
   * interrupted when it has said `until`.
   */
  operator(args: string[], input?: string, until?: RegExp): Promise<CliResult> {
    const env = { XDG_CONFIG_HOME: join(this.dir, 'profile'), HOME: this.dir, NOMAD_ADDR: '', MESHNOMAD_ADDR: '' };
    return this.#run(args, env, input, until);
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#process;
    if (!child || this.ended) return child?.exitCode ?? null;
    const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.kill(signal);
    return exit;
  }

  async dispose(): Promise<void> {
    this.#far?.close();
    await this.end('SIGTERM');
    this.killAll();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Tasks and their supervisors outlive their agent, sessions their command: none is to outlive the test. */
  killAll(): void {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${this.dir}/`)) process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
  }
}
