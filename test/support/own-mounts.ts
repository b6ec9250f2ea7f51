import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** True when this machine lets the tests mount: as root on Linux. */
export const mayMount = process.getuid?.() === 0;

/**
 * Runs the rest of a test file in a mount namespace of its own, so that nothing it mounts is seen outside or outlives it:
 * `ownMounts(import.meta.url)` first thing. Where it may not, the file goes on as it is, to skip what it cannot do.
 */
export function ownMounts(fileUrl: string): void {
  if (!mayMount || process.env['MESHNOMAD_TEST_MOUNTS'] === 'own') return;
  const { status } = spawnSync(
    'unshare',
    ['--mount', '--propagation', 'private', process.execPath, ...process.execArgv, fileURLToPath(fileUrl)],
    { stdio: 'inherit', env: { ...process.env, MESHNOMAD_TEST_MOUNTS: 'own' } },
  );
  process.exit(status ?? 1);
}
