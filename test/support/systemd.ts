import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What `systemd-analyze verify` says of a unit; nothing when it is well. Rejects where there is no systemd-analyze. */
export async function unitProblems(name: string, text: string): Promise<string[]> {
  const dir = mkdtempSync(join(tmpdir(), 'meshnomad-unit-'));
  const path = join(dir, name);
  writeFileSync(path, text);
  try {
    const said = await new Promise<string>((resolve, reject) => {
      execFile('systemd-analyze', ['verify', '--man=no', path], (error, _, stderr) => {
        if ((error as NodeJS.ErrnoException | null)?.code === 'ENOENT') reject(error);
        else resolve(error && stderr === '' ? error.message : stderr);
      });
    });
    // Of other units on this machine nothing is asked.
    return said.split('\n').filter((line) => line.includes(name) || line.includes(dir));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
