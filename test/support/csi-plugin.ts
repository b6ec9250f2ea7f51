import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type CsiRpc, openCsiRpc } from '../../lib/client/csi/rpc.js';

const MESHNOMAD = fileURLToPath(new URL('../../bin/meshnomad.js', import.meta.url));

export interface ServedCsiPlugin {
  rpc: CsiRpc;
  /** Of the test's own; the plugin's socket is in it. */
  dir: string;
  child: ChildProcess;
  /** Ends the plugin and removes the directory. */
  end: () => Promise<void>;
}

/** Runs `meshnomad plugin NAME` as a person would, and connects to it. */
export async function serveCsiPlugin(
  name: string,
  flags: (dir: string) => string[],
  env: Record<string, string> = {},
): Promise<ServedCsiPlugin> {
  const dir = mkdtempSync(join(tmpdir(), `csi-${process.pid}-`));
  const socket = join(dir, 'csi.sock');
  const child = spawn(process.execPath, [MESHNOMAD, 'plugin', name, '-endpoint', `unix://${socket}`, ...flags(dir)], {
    stdio: 'ignore',
    env: { ...process.env, ...env },
  });
  const rpc = await openCsiRpc(name, socket);
  // The socket is there a moment before somebody listens at it.
  for (let i = 0; i < 1_000; i++) {
    if (child.exitCode !== null) throw new Error(`${name} ended with code ${child.exitCode}`);
    const answer = await rpc.call('Identity.Probe', {}, { timeoutMs: 60_000 }).catch(() => null);
    if (answer) break;
    await sleep(25);
  }
  return {
    rpc,
    dir,
    child,
    async end() {
      rpc.close();
      if (child.exitCode === null) {
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        await ended;
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
