import { type ChildProcess, spawn } from 'node:child_process';
import type { Millis } from '../../util/clock.js';

/** What a program said before it ended; `code` null when a signal ended it. */
export interface ProgramResult {
  code: number | null;
  out: string;
  err: string;
}

/** Output beyond this is cut off: nothing that is asked for here is as long. */
const OUTPUT_MAX = 4 * 1024 * 1024;

/** Runs a program to its end; rejects when it cannot be started or takes longer than `timeoutMs`. */
export function runProgram(
  file: string,
  args: readonly string[],
  options: { timeoutMs: Millis; input?: string; env?: Record<string, string> },
): Promise<ProgramResult> {
  // A group of its own: what it has started can be ended with it.
  const child = spawn(file, args, { env: options.env ?? process.env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const text = { out: '', err: '' };
  const hear = (key: 'out' | 'err') => (chunk: Buffer) => {
    if (text[key].length < OUTPUT_MAX) text[key] += chunk.toString('utf8');
  };
  child.stdout.on('data', hear('out'));
  child.stderr.on('data', hear('err'));
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      killGroup(child);
      reject(new Error(`${file} did not end within ${options.timeoutMs / 1000} s`));
    }, options.timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, ...text });
    });
  });
}

function killGroup({ pid, stdout, stderr }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
  stdout?.destroy();
  stderr?.destroy();
}

/** Runs a program that must succeed; the error says what it said. */
export async function mustRun(file: string, args: readonly string[], timeoutMs: Millis = 20_000): Promise<string> {
  const { code, out, err } = await runProgram(file, args, { timeoutMs }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') throw new Error(`${file} is not installed`, { cause });
    throw cause;
  });
  if (code === 0) return out;
  throw new Error(`${file} ${args.join(' ')} failed: ${err.trim().slice(0, 500) || `exit code ${code}`}`);
}
