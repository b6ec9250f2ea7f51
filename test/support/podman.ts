// A Podman service for tests: a private one, started as root, which shares neither data nor networks with any other and
// leaves nothing behind.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answers, findProgram, killLeftovers, unmountBelow } from './dockerd.js';
import { until } from './driver-task.js';

export interface TestPodman {
  /** `unix:///path` of its compatible socket. */
  endpoint: string;
  stop(): Promise<void>;
}

const PREFIX = '/tmp/meshnomad-podman-';

/** Starts a service; a text that says what is missing when it cannot be. */
export async function startPodman(): Promise<TestPodman | { missing: string }> {
  if (process.getuid?.() !== 0) return { missing: 'only root can start a Podman service of its own' };
  for (const [program, pack] of Object.entries({ podman: 'podman', runc: 'runc', unshare: 'util-linux' })) {
    if (!findProgram(program)) return { missing: `${program} is not installed (${pack})` };
  }
  const dir = mkdtempSync(PREFIX);
  const endpoint = `unix://${dir}/sock`;
  // crun refuses machines with both versions of cgroups; runc takes all.
  const conf = ['[engine]', 'runtime = "runc"', 'cgroup_manager = "cgroupfs"', 'events_logger = "file"'];
  // A container's limit of open files is the service's own: root in a virtual machine may not raise it.
  conf.push('[containers]', 'default_ulimits = []', '[network]', `network_config_dir = "${dir}/networks"`, '');
  writeFileSync(join(dir, 'containers.conf'), conf.join('\n'));
  const log = openSync(join(dir, 'log'), 'a');
  const store = ['--root', join(dir, 'root'), '--runroot', join(dir, 'run'), '--tmpdir', join(dir, 'tmp')];
  const args = ['--pdeathsig', 'TERM', 'unshare', '--net', findProgram('podman') ?? 'podman', ...store];
  // Its bridges and firewall rules lie in a network of its own.
  args.push('--storage-driver', 'vfs', 'system', 'service', '-t', '0', endpoint);
  const env = { ...process.env, CONTAINERS_CONF: join(dir, 'containers.conf') };
  const service: ChildProcess = spawn('setpriv', args, { stdio: ['ignore', log, log], detached: true, env });
  const stop = async (): Promise<void> => {
    if (service.exitCode === null && service.signalCode === null) {
      const ended = new Promise((resolve) => service.once('exit', resolve));
      service.kill('SIGTERM');
      await ended;
    }
    killLeftovers(dir);
    unmountBelow(dir);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await until(
      'the Podman service answers',
      async () => {
        if (service.exitCode !== null) throw new Error(`podman ended: ${readFileSync(join(dir, 'log'), 'utf8')}`);
        return existsSync(join(dir, 'sock')) && (await answers(endpoint));
      },
      30_000,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint, stop };
}
