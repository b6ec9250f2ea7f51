import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const MESHNOMAD = join(ROOT, 'dist/bin/meshnomad.js');

export interface Reply {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** A keep-alive client of the HTTP API; what it costs itself is in every figure. */
export class Caller {
  readonly #agent: Agent;
  readonly #address: URL;

  constructor(address: string, sockets: number) {
    this.#address = new URL(address);
    this.#agent = new Agent({ keepAlive: true, maxSockets: sockets });
  }

  send(method: string, path: string, body?: string): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const headers =
        body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
      const { hostname, port } = this.#address;
      const call = request({ hostname, port, method, path, headers, agent: this.#agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString(),
          }),
        );
        response.on('error', reject);
      });
      call.on('error', reject);
      call.end(body);
    });
  }

  async json<T>(path: string): Promise<T> {
    const reply = await this.send('GET', path);
    if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${reply.text}`);
    return JSON.parse(reply.text) as T;
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Milliseconds at the given part of the sorted samples. */
export function quantile(samples: readonly number[], part: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

export async function until<T>(what: string, probe: () => Promise<T | undefined>, limitMs = 60_000): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const found = await probe().catch(() => undefined);
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`gave up waiting for ${what}`);
    await sleep(5);
  }
}

export interface RunningAgent {
  process: ChildProcess;
  pid: number;
  address: string;
  dataDir: string;
  startedAt: number;
  stop(): Promise<void>;
}

/** Starts an agent (server and client) on a free port with its state in a new directory. */
export async function startAgent(port: number, extraConfig = ''): Promise<RunningAgent> {
  const dataDir = mkdtempSync(join(tmpdir(), 'meshnomad-bench-'));
  const config = `${dataDir}/agent.hcl`;
  const { writeFileSync } = await import('node:fs');
  writeFileSync(
    config,
    `data_dir = "${dataDir}/data"\nname = "bench"\nlog_level = "ERROR"\nports {\n  http = ${port}\n  rpc = ${port + 1}\n}\nserver {\n  enabled = true\n}\nclient {\n  enabled = true\n}\nlimits {\n  http_max_conns_per_client = 0\n}\nplugin "raw_exec" {\n  config {\n    enabled = true\n  }\n}\n${extraConfig}`,
  );
  const startedAt = performance.now();
  const child = spawn(process.execPath, [MESHNOMAD, 'agent', '-config', config], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return {
    process: child,
    pid: child.pid as number,
    address: `http://127.0.0.1:${port}`,
    dataDir,
    startedAt,
    async stop() {
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGTERM');
      await ended;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export interface Memory {
  rssMiB: number;
  pssMiB: number;
}

/** Resident and proportional memory of a process. */
export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
  return { rssMiB: kib('Rss') / 1024, pssMiB: kib('Pss') / 1024 };
}

/** The most memory that a process ever had resident. */
export function peakMiBOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+)/m.exec(text)?.[1] ?? Number.NaN) / 1024;
}

/** Processor seconds a process has used. */
export function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Processes whose command line begins with `command`. */
export function pidsOf(command: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(command);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** The floor under every durable write here: append 4 KiB and fdatasync. */
export function fsyncFloorMs(): number {
  const path = join(tmpdir(), `meshnomad-fsync-${process.pid}`);
  const file = openSync(path, 'w');
  const block = Buffer.alloc(4096, 1);
  const samples = Array.from({ length: 200 }, () => {
    const start = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    return performance.now() - start;
  });
  closeSync(file);
  rmSync(path);
  return quantile(samples, 0.5);
}

/** Milliseconds of a whole run of node with these arguments, the smallest and the median of `runs`. */
export function timeNode(args: string[], env: Record<string, string>, runs: number): { min: number; median: number } {
  const samples = Array.from({ length: runs }, () => {
    const start = performance.now();
    spawnSync(process.execPath, args, { stdio: 'ignore', env: { ...process.env, ...env } });
    return performance.now() - start;
  });
  return { min: Math.min(...samples), median: quantile(samples, 0.5) };
}

/** A job of one group and one task. */
export function benchJob(
  id: string,
  options: { count: number; driver?: string; config?: object; cpu?: number; memoryMb?: number; diskMb?: number },
): string {
  const task = {
    Name: 't',
    Driver: options.driver ?? 'raw_exec',
    Config: options.config ?? { command: '/bin/sleep', args: ['3600'] },
    Resources: { CPU: options.cpu ?? 20, MemoryMB: options.memoryMb ?? 10 },
    LogConfig: { MaxFiles: 1, MaxFileSizeMB: 1 },
  };
  const group = { Name: 'g', Count: options.count, EphemeralDisk: { SizeMB: options.diskMb ?? 10 }, Tasks: [task] };
  return JSON.stringify({ Job: { ID: id, Name: id, Type: 'service', Datacenters: ['*'], TaskGroups: [group] } });
}
