import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Millis } from '../../lib/util/clock.js';

const OUTPUT_MAX = 8 * 1024 * 1024;

/** Where it lies on systems that do not have it on the PATH of a service: NixOS, WSL. */
const OTHER_FOLDERS = ['/usr/bin', '/run/current-system/sw/bin', '/usr/lib/wsl/lib', '/opt/bin'];

/**
 * Runs nvidia-smi, one at a time. One that hangs is killed; a process that even so does not end (it waits in the kernel for a
 * broken card) is left to itself, and no other one is started beside it.
 */
export class NvidiaSmi {
  readonly #path: string;
  readonly #timeoutMs: Millis;
  #stuck: ChildProcess | null = null;
  #queue: Promise<unknown> = Promise.resolve();

  /** `path` '': it is looked for. */
  constructor(path: string, timeoutMs: Millis) {
    this.#path = path;
    this.#timeoutMs = timeoutMs;
  }

  /** Null when there is none: a question that costs a few looks at the disk. */
  async find(): Promise<string | null> {
    const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), ...OTHER_FOLDERS];
    const candidates = this.#path === '' ? folders.map((folder) => join(folder, 'nvidia-smi')) : [this.#path];
    for (const path of candidates) {
      const isThere = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (isThere) return path;
    }
    return null;
  }

  /** What it writes. Throws an Error for people: what happened, and what nvidia-smi said of it. */
  run(program: string, args: readonly string[]): Promise<string> {
    const turn = this.#queue.then(() => this.#run(program, args));
    this.#queue = turn.catch(() => {});
    return turn;
  }

  /** Ends the one that runs. */
  close(): void {
    this.#stuck?.kill('SIGKILL');
  }

  async #run(program: string, args: readonly string[]): Promise<string> {
    if (this.#stuck) throw new Error(`an earlier nvidia-smi (pid ${this.#stuck.pid}) hangs and cannot be ended`);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
    this.#stuck = child;
    child.once('close', () => {
      this.#stuck = null;
    });
    child.once('error', () => {
      this.#stuck = null;
    });
    return await collect(child, `nvidia-smi ${args.join(' ')}`, this.#timeoutMs);
  }
}

function collect(child: ChildProcess, what: string, timeoutMs: Millis): Promise<string> {
  return new Promise((resolve, reject) => {
    const output: Buffer[] = [];
    let size = 0;
    let complaint = '';
    const fail = (message: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      // Should it hang in the kernel for ever, the agent can end all the same.
      child.unref();
      for (const stream of [child.stdout, child.stderr]) stream?.destroy();
      reject(new Error(message));
    };
    const timer = setTimeout(() => fail(`${what} does not answer for ${timeoutMs / 1000} s`), timeoutMs);
    child.stdout?.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > OUTPUT_MAX) fail(`${what} writes more than ${OUTPUT_MAX} bytes`);
      else output.push(chunk);
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      complaint = `${complaint}${chunk}`.slice(0, 500);
    });
    child.once('error', (error) => fail(`${what}: ${error.message}`));
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const text = Buffer.concat(output).toString('utf8');
      if (code === 0) resolve(text);
      // It complains on either stream; what it says there first is what a person needs.
      else
        reject(
          new Error(
            `${what} fails (${signal ?? `code ${code}`}): ${firstLine(complaint) || firstLine(text) || 'it says no more'}`,
          ),
        );
    });
  });
}

function firstLine(text: string): string {
  return (
    text
      .split('\n')
      .map((line) => line.trim())
      .find((line) => line !== '' && !line.startsWith('<'))
      ?.slice(0, 300) ?? ''
  );
}
