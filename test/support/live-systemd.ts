import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { type CliResult, eventually } from './mesh-agent.js';

// systemd as the first process of namespaces of its own: what it runs and mounts ends with it. It knows the units that are written to
// /etc/systemd/system there (which is empty at first), and a few targets that pull in nothing of this machine. /var/lib is empty, too.

const SYSTEMD = '/lib/systemd/systemd';
const UNITS = '/run/test-units';
const UNIT_PATH = `/etc/systemd/system:${UNITS}`;
const TARGETS = 'sysinit basic multi-user shutdown network umount final';
// What is mounted in a namespace of its own for credentials reaches a service only where mounts are shared.
const BOOT = `set -e
mount --make-rprivate /
mount --make-rshared /
mount -t tmpfs tmpfs /run
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /run/systemd/system ${UNITS} /etc/systemd/system "$1/units" "$1/lib"
mount --bind "$1/units" /etc/systemd/system
mount --bind "$1/lib" /var/lib
for one in ${TARGETS}; do printf '[Unit]\\nDefaultDependencies=no\\n' > ${UNITS}/$one.target; done
export SYSTEMD_UNIT_PATH=${UNIT_PATH} container=test
exec ${SYSTEMD} --system --unit=multi-user.target --log-target=console --show-status=0
`;

/** Why systemd cannot be run here; undefined when it can. For the `skip` of a test. */
export function missingForSystemd(): string | undefined {
  if (process.platform !== 'linux') return 'systemd is of Linux';
  if (process.getuid?.() !== 0) return 'only root can make namespaces';
  return existsSync(SYSTEMD) ? undefined : `${SYSTEMD} is not installed`;
}

export interface LiveSystemd {
  /** Starts a program where this systemd is in charge. */
  spawn(file: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Runs one to its end. */
  run(file: string, ...args: string[]): Promise<CliResult>;
  close(): Promise<void>;
}

/**
 * Close it in the end: everything in it is killed then, as when the power fails. What it keeps lies in `folder`: one that is started
 * with the same folder later is the same machine.
 */
export async function startSystemd(folder: string): Promise<LiveSystemd> {
  const namespaces = ['--fork', '--pid', '--mount', '--mount-proc', '--uts', '--ipc', '--cgroup', '--kill-child'];
  const outer = spawn('unshare', [...namespaces, 'bash', '-c', BOOT, 'boot', folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [outer.stdout, outer.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said = (said + chunk).slice(-10_000);
    });
  }
  const first = (): string => readFileSync(`/proc/${outer.pid}/task/${outer.pid}/children`, 'utf8').trim();
  const live: LiveSystemd = {
    spawn(file, args, options = {}) {
      const enter = ['-t', first(), '-p', '-m', '-u', '-i', '-C', file, ...args];
      const env = { ...process.env, SYSTEMD_UNIT_PATH: UNIT_PATH, ...options.env };
      return spawn('nsenter', enter, { ...options, env });
    },
    run(file, ...args) {
      const child = live.spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      const text = { out: '', err: '' };
      child.stdout?.on('data', (chunk: Buffer) => {
        text.out += chunk;
      });
      child.stderr?.on('data', (chunk: Buffer) => {
        text.err += chunk;
      });
      return new Promise((resolve) => child.once('close', (code) => resolve({ code: code ?? -1, ...text })));
    },
    async close() {
      const ended = new Promise((resolve) => outer.once('exit', resolve));
      outer.kill('SIGKILL');
      await ended;
    },
  };
  await eventually('systemd to run', async () => {
    if (outer.exitCode !== null) throw new Error(said);
    return (await live.run('systemctl', 'is-system-running')).out.trim() === 'running' || undefined;
  });
  return live;
}
