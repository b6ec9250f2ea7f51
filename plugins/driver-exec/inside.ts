import { rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecCommand } from '../driver-raw-exec/exec.js';
import type { OciProcess } from './bundle.js';
import type { Container, Runtime } from './runtime.js';

let serial = 0;

/** Prepares a command inside a running container. What it is told lies in a file, since arguments show in `ps`. */
export async function beginExec(runtime: Runtime, container: Container, wanted: OciProcess): Promise<ExecCommand> {
  const name = `exec-${process.pid}-${serial++}`;
  const files = { process: join(container.dir, `${name}.json`), pid: join(container.dir, `${name}.pid`) };
  await writeFile(files.process, JSON.stringify(wanted), { mode: 0o600 });
  return {
    program: runtime.path,
    args: container.execArgs(files),
    env: { PATH: process.env['PATH'] ?? '' },
    cwd: '/',
    user: null,
    // Killing the runtime's client leaves the command behind, which leads a session of its own.
    onKill: () => killSessionOf(files.pid),
    onEnd: () => {
      for (const path of Object.values(files)) rmSync(path, { force: true });
    },
  };
}

const STARTS_WITHIN_MS = 2_000;
const POLL_MS = 20;

/** A command that is just being started has no number yet. */
async function killSessionOf(pidFile: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < STARTS_WITHIN_MS; waitedMs += POLL_MS) {
    const pid = Number(await readFile(pidFile, 'latin1').catch(() => ''));
    if (pid > 1) {
      kill(-pid);
      return;
    }
    await sleep(POLL_MS);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}
