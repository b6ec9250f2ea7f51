import { execFile } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecCommand } from '../driver-raw-exec/exec.js';
import type { OciProcess } from './bundle.js';
import { type Container, lastError, type Runtime } from './runtime.js';

let serial = 0;

/** Prepares a command inside a running container. What it is told lies in a file, since arguments show in `ps`. */
export async function beginExec(runtime: Runtime, container: Container, wanted: OciProcess): Promise<ExecCommand> {
  const name = `exec-${process.pid}-${serial++}`;
  const at = (ending: string): string => join(container.dir, `${name}.${ending}`);
  const files = { process: at('json'), pid: at('pid'), log: at('log') };
  // One after the other: the last size is to win.
  let resized = Promise.resolve();
  await writeFile(files.process, JSON.stringify(wanted), { mode: 0o600 });
  return {
    program: runtime.path,
    args: container.execArgs(files),
    env: { PATH: process.env['PATH'] ?? '' },
    cwd: '/',
    user: null,
    passesOn: true,
    // Killing the runtime's client leaves the command behind, which leads a session of its own.
    onKill: async () => {
      const pid = await pidIn(files.pid, KILL_WAIT_MS);
      if (pid !== null) kill(-pid);
    },
    // crun takes the size when the command starts, and never again.
    ...(runtime.name === 'crun'
      ? {
          onResize(size: Size) {
            resized = resized.then(() => resize(files.pid, size));
            return resized;
          },
        }
      : {}),
    exitCodeOf: (code) => exitCodeOf(code, files.log),
    onEnd: () => {
      for (const path of Object.values(files)) rmSync(path, { force: true });
    },
  };
}

/** As a shell has it, 127: there is no such program, 126: it cannot be run. The runtime says the same number for both. */
function exitCodeOf(code: number, log: string): number {
  const complaint = existsSync(log) ? lastError(readFileSync(log, 'utf8')) : '';
  if (/permission denied|not permitted|is a directory|exec format/i.test(complaint)) return 126;
  return /executable file .*not found|no such file or directory/i.test(complaint) ? 127 : code;
}

const KILL_WAIT_MS = 2_000;
const RESIZE_WAIT_MS = 30_000;
const POLL_MS = 20;

/** Waits for the number of a command that is just being started; null when it does not start. */
async function pidIn(pidFile: string, limitMs: number): Promise<number | null> {
  for (let waitedMs = 0; waitedMs < limitMs; waitedMs += POLL_MS) {
    const pid = Number(await readFile(pidFile, 'latin1').catch(() => ''));
    if (pid > 1) return pid;
    await sleep(POLL_MS);
  }
  return null;
}

interface Size {
  width: number;
  height: number;
}

/** The terminal of a command is seen from here, too; stty(1), since Node cannot set a size. */
async function resize(pidFile: string, { width, height }: Size): Promise<void> {
  const pid = await pidIn(pidFile, RESIZE_WAIT_MS);
  if (pid === null) return;
  const args = ['-F', `/proc/${pid}/fd/0`, 'cols', String(width), 'rows', String(height)];
  await new Promise<void>((resolve) => execFile('stty', args, { timeout: RESIZE_WAIT_MS }, () => resolve()));
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}
