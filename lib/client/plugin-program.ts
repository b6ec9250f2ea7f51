import { spawn } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Millis } from '../util/clock.js';

// Plugins that are programs: started for one operation, with nothing of the agent's own environment, answering in JSON on stdout.

const OUTPUT_BYTES_MAX = 1 << 20;
/** Between the word and the blow. */
const GRACE_MS: Millis = 2_000;

export interface PluginCall {
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  timeoutMs: Millis;
  /** Aborted when nobody waits any more. */
  signal?: AbortSignal;
}

/** What a program has said. */
export interface PluginAnswer {
  /** {} when it printed nothing, null when that was no JSON object. */
  answer: Record<string, unknown> | null;
  stdout: string;
  stderr: string;
  /** Why it is not to be believed; null = it ended well. */
  problem: string | null;
}

/** The names of the executables in a directory, sorted; [] when there is none. */
export async function listExecutables(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch(() => []);
  const found: string[] = [];
  for (const name of names.sort()) {
    const info = await stat(join(dir, name)).catch(() => null);
    if (info?.isFile() && (info.mode & 0o111) !== 0) found.push(name);
  }
  return found;
}

/** Runs a program to its end, or ends it with whatever it has started: SIGTERM when its time is over, SIGKILL 2 s later. */
export function runPluginProgram(path: string, call: PluginCall): Promise<PluginAnswer> {
  return new Promise((done) => {
    const env = { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin', ...call.env };
    // A group of its own, so that what it starts ends with it.
    const child = spawn(path, call.args, { cwd: '/', env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const out = collect(child.stdout, () => stop('it printed more than 1 MiB'));
    const err = collect(child.stderr, () => {});
    let problem: string | null = null;
    let killing: NodeJS.Timeout | undefined;
    const kill = (signal: NodeJS.Signals): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal);
      } catch {
        // It has ended meanwhile.
      }
    };
    const stop = (why: string): void => {
      if (problem !== null) return;
      problem = why;
      kill('SIGTERM');
      killing = setTimeout(() => kill('SIGKILL'), GRACE_MS);
    };
    const limit = setTimeout(() => stop(`it did not end within ${call.timeoutMs / 1000} s`), call.timeoutMs);
    const abort = (): void => stop('it was not waited for');
    call.signal?.addEventListener('abort', abort, { once: true });
    if (call.signal?.aborted) abort();
    let ended = false;
    const finish = (): void => {
      if (ended) return;
      ended = true;
      clearTimeout(limit);
      clearTimeout(killing);
      call.signal?.removeEventListener('abort', abort);
      // Whatever it has left behind has no more to say.
      kill('SIGKILL');
      const stdout = out();
      done({ answer: readAnswer(stdout), stdout, stderr: err(), problem });
    };
    child.on('error', (error) => {
      problem ??= error.message;
      finish();
    });
    child.on('exit', (code, signal) => {
      if (code !== 0) problem ??= code === null ? `it was ended by ${signal}` : `exit code ${code}`;
    });
    child.on('close', finish);
  });
}

/** The text of a stream, up to the limit. */
function collect(stream: NodeJS.ReadableStream, onTooMuch: () => void): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= OUTPUT_BYTES_MAX) chunks.push(chunk);
    else onTooMuch();
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

function readAnswer(stdout: string): Record<string, unknown> | null {
  if (stdout.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(stdout);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
