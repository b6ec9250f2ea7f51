import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, chmod, copyFile, mkdir, rename } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

// The same from the sources' tree and from an installed package: dist/plugins/driver-raw-exec/ lies three folders deep.
const HOME = fileURLToPath(new URL('../../../plugins/driver-raw-exec/', import.meta.url));

let copies = 0;

export type SupervisorBinary = { path: string } | { missing: string };

/** Finds the supervisor for this machine: the prebuilt one, or one compiled here and kept in `stateDir`. `home` is the plugin's folder of sources. */
export async function findSupervisor(stateDir: string, home = HOME): Promise<SupervisorBinary> {
  if (platform() !== 'linux') return { missing: `raw_exec needs Linux; this is ${platform()}` };
  const prebuilt = join(home, 'prebuilt', `linux-${arch()}`, 'meshnomad-supervisor');
  if (await isThere(prebuilt, constants.X_OK)) return { path: prebuilt };
  const own = join(stateDir, 'bin', 'meshnomad-supervisor');
  if (await isThere(own, constants.X_OK)) return { path: own };
  await mkdir(join(stateDir, 'bin'), { recursive: true });
  // Under another name first: what has the name is whole. Each its own one: groups that start at once look for it at once.
  const fresh = `${own}.${process.pid}.${++copies}`;
  try {
    if (await isThere(prebuilt, constants.R_OK)) await copyFile(prebuilt, fresh);
    else await promisify(execFile)('sh', [join(home, 'supervisor', 'build.sh'), 'cc', fresh]);
    await chmod(fresh, 0o755);
    await rename(fresh, own);
    return { path: own };
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim() : String(error);
    return {
      missing: `no supervisor for linux-${arch()} comes with this package and none could be compiled (install a C compiler): ${reason}`,
    };
  }
}

function isThere(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
