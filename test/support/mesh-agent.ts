import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { patience } from './patience.js';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const MESHNOMAD = join(ROOT, 'dist/bin/meshnomad.js');

/** What a finished command said. */
export interface CliResult {
  code: number;
  out: string;
  err: string;
}

/** Runs the command line as a user does; `input` is its standard input. */
export function cli(
  args: string[],
  options: { env?: Record<string, string>; input?: string; cwd?: string } = {},
): Promise<CliResult> {
  const child = spawn(process.execPath, [MESHNOMAD, ...args], {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const text = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    text.out += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    text.err += chunk;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  return new Promise((resolve) => child.once('close', (code) => resolve({ code: code ?? -1, ...text })));
}

/** Waits for a condition: the probe's first value that is not undefined. A probe that throws is asked again. On a busy machine it waits longer. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  limitMs = 60_000,
): Promise<T> {
  const end = performance.now() + patience(limitMs);
  let last: unknown;
  for (;;) {
    try {
      const found = await probe();
      if (found !== undefined) return found;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end)
      throw new Error(`gave up waiting for ${what}${last ? ` (${(last as Error).message})` : ''}`);
    await sleep(20);
  }
}

/** A port of loopback that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface TestAgentOptions {
  /** Of the node and the server; absent = "test". */
  name?: string;
  /** More configuration, in HCL. */
  config?: string;
  roles?: { server?: boolean; client?: boolean };
  /** For an agent that takes up another's state. */
  dataDir?: string;
  env?: Record<string, string>;
}

/** An agent in a process of its own, as a user starts it. */
export class TestAgent {
  readonly dir: string;
  readonly port: number;
  readonly rpcPort: number;
  readonly #options: TestAgentOptions;
  #process: ChildProcess | undefined;
  log = '';

  private constructor(dir: string, ports: [number, number], options: TestAgentOptions) {
    this.dir = dir;
    [this.port, this.rpcPort] = ports;
    this.#options = options;
  }

  static async start(options: TestAgentOptions = {}): Promise<TestAgent> {
    const dir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'meshnomad-test-'));
    // As /var/lib is: users of tasks pass through.
    chmodSync(dir, 0o711);
    const agent = new TestAgent(dir, [await freePort(), await freePort()], options);
    agent.launch();
    await agent.ready();
    return agent;
  }

  get address(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  /** Starts the process; the same command and the same directory each time. */
  launch(): void {
    const { server = true, client = true } = this.#options.roles ?? {};
    const file = join(this.dir, 'agent.hcl');
    const lines = [
      `data_dir = ${JSON.stringify(join(this.dir, 'data'))}`,
      `name = ${JSON.stringify(this.#options.name ?? 'test')}`,
      'log_level = "INFO"',
      `ports {\n  http = ${this.port}\n  rpc = ${this.rpcPort}\n}`,
      `server {\n  enabled = ${server}\n}`,
      `client {\n  enabled = ${client}\n}`,
      'plugin "raw_exec" {\n  config {\n    enabled = true\n  }\n}',
      'plugin "mock_driver" {\n  config {\n    enabled = true\n  }\n}',
      this.#options.config ?? '',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const child = spawn(process.execPath, [MESHNOMAD, 'agent', '-config', file], {
      env: { ...process.env, ...this.#options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.log = (this.log + chunk).slice(-200_000);
      });
    }
    this.#process = child;
  }

  /** Waits until its roles work: a leader is known, and its own node is ready. */
  async ready(): Promise<void> {
    await eventually('the agent to be healthy', async () => {
      if (this.#process?.exitCode !== null) throw new Error(`the agent ended:\n${this.log.slice(-3000)}`);
      const answer = await fetch(`${this.address}/v1/agent/health`).catch((error: Error) => {
        throw new Error(`${error.message}; the agent has said:\n${this.log.slice(-3000)}`);
      });
      return answer.ok || undefined;
    });
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(this.address + path);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  async put(path: string, body: unknown): Promise<{ status: number; text: string }> {
    const response = await fetch(this.address + path, {
      method: 'PUT',
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    return { status: response.status, text: await response.text() };
  }

  /** Registers a job that must be accepted. */
  async register(job: object): Promise<void> {
    const { status, text } = await this.put('/v1/jobs', job);
    if (status !== 200) throw new Error(`the job was refused: ${status} ${text}`);
  }

  cli(args: string[], options: { input?: string } = {}): Promise<CliResult> {
    return cli(args, { ...options, env: { NOMAD_ADDR: this.address } });
  }

  /** As power loss does, as far as a process can feel it. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** As an operator does. */
  async terminate(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name);
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.kill(signal);
    return ended;
  }

  /** Stops its jobs, ends it, and removes its directory. */
  async dispose(): Promise<void> {
    try {
      if (this.#process?.exitCode === null && this.#process.signalCode === null) await this.#stopJobs();
    } finally {
      await this.terminate();
      rmSync(this.dir, { recursive: true, force: true });
    }
  }

  async #stopJobs(): Promise<void> {
    if (this.#options.roles?.server === false) return;
    const jobs = await this.get<{ ID: string }[]>('/v1/jobs');
    for (const { ID } of jobs)
      await fetch(`${this.address}/v1/job/${encodeURIComponent(ID)}?purge=true`, { method: 'DELETE' });
    await eventually('all allocations to end', async () => {
      const allocs = await this.get<{ ClientStatus: string; NodeID: string }[]>('/v1/allocations');
      return allocs.some(({ ClientStatus }) => ClientStatus === 'running' || ClientStatus === 'pending')
        ? undefined
        : true;
    });
  }
}

export interface AllocStub {
  ID: string;
  Name: string;
  ClientStatus: string;
  DesiredStatus: string;
  TaskStates: Record<
    string,
    {
      State: string;
      Failed: boolean;
      Restarts: number;
      Events: { Type: string; ExitCode: number; DisplayMessage: string }[];
    }
  > | null;
}

/** The allocations of a job once `count` of them have the client status. */
export function allocsOf(agent: TestAgent, job: string, status: string, count: number): Promise<AllocStub[]> {
  return eventually(`${count} allocations of ${job} to be ${status}`, async () => {
    const allocs = await agent.get<AllocStub[]>(`/v1/job/${job}/allocations`);
    const found = allocs.filter(({ ClientStatus }) => ClientStatus === status);
    return found.length >= count ? found : undefined;
  });
}

/** A job in the API's JSON: one group of one task. */
export function jobJson(
  id: string,
  options: { count?: number; driver?: string; config?: object; type?: string; group?: object; task?: object } = {},
): object {
  const task = {
    Name: 't',
    Driver: options.driver ?? 'raw_exec',
    Config: options.config ?? { command: '/bin/sleep', args: ['3600'] },
    Resources: { CPU: 20, MemoryMB: 10 },
    LogConfig: { MaxFiles: 2, MaxFileSizeMB: 1 },
    ...options.task,
  };
  const group = {
    Name: 'g',
    Count: options.count ?? 1,
    EphemeralDisk: { SizeMB: 10 },
    Tasks: [task],
    ...options.group,
  };
  return { Job: { ID: id, Name: id, Type: options.type ?? 'service', Datacenters: ['*'], TaskGroups: [group] } };
}
