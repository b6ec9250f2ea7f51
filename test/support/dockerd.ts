// A Docker Engine for tests: the one that runs, else a private one started as root, which shares neither data nor bridge
// nor firewall rules with any other and leaves nothing behind. As a program it prints the engine's address and keeps it
// until it is told to end:  node dist/test/support/dockerd.js
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { until } from './driver-task.js';

export interface TestEngine {
  /** `unix:///path`: what DOCKER_HOST would be. */
  endpoint: string;
  /** Whether it was started for the tests: then they may stop and start it. */
  isPrivate: boolean;
  /** Ends a private engine, as a crash does (`hard`) or in order, and keeps its data. */
  halt(how: 'hard' | 'orderly'): Promise<void>;
  /** Starts a halted engine again. */
  resume(): Promise<void>;
  /** Ends a private engine and removes all that was made for it. */
  stop(): Promise<void>;
}

const PREFIX = '/tmp/meshnomad-dockerd-';
/** Its number in the kernel. */
const CAP_SYS_RESOURCE = 24n;

/** Finds or starts an engine; a text that says what is missing when neither can be. */
export async function getEngine(): Promise<TestEngine | { missing: string }> {
  for (const endpoint of [process.env['DOCKER_HOST'], 'unix:///var/run/docker.sock']) {
    if (!endpoint?.startsWith('unix://') || !(await answers(endpoint))) continue;
    const nothing = async (): Promise<void> => {};
    return { endpoint, isPrivate: false, halt: nothing, resume: nothing, stop: nothing };
  }
  return getOwnEngine();
}

/** Starts a private engine, whoever else runs one: its containers are in this process's mount namespace. */
export async function getOwnEngine(): Promise<TestEngine | { missing: string }> {
  if (process.getuid?.() !== 0) return { missing: 'no Docker Engine runs, and only root can start one' };
  for (const [program, pack] of Object.entries({ dockerd: 'docker.io', ip: 'iproute2', setpriv: 'util-linux' })) {
    if (!findProgram(program)) return { missing: `no Docker Engine runs, and ${program} is not installed (${pack})` };
  }
  return startPrivate();
}

async function startPrivate(): Promise<TestEngine> {
  sweep();
  const dir = mkdtempSync(PREFIX);
  const bridge = `mn${dir.slice(-6).toLowerCase().replace(/\W/g, 'x')}`;
  const endpoint = `unix://${dir}/docker.sock`;
  let daemon: ChildProcess | undefined;
  writeFileSync(join(dir, 'owner'), String(process.pid));
  const mountedCgroups = ensureCgroups();
  makeBridge(bridge);
  const resume = async (): Promise<void> => {
    const log = openSync(join(dir, 'log'), 'a');
    // Should the tests be killed, the engine is told to end (setpriv --pdeathsig).
    const args = ['--pdeathsig', 'TERM', findProgram('dockerd') ?? 'dockerd'];
    args.push('--host', endpoint, '--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'));
    args.push('--pidfile', join(dir, 'pid'), '--bridge', bridge, '--config-file', join(dir, 'daemon.json'));
    // Ports are published by the userland proxy alone: another engine's rules are not touched.
    args.push('--iptables=false', '--ip6tables=false', '--ip-masq=false', '--ip-forward=false');
    daemon = spawn('setpriv', args, { stdio: ['ignore', log, log], detached: true });
    await until(
      'the private Docker Engine answers',
      async () => {
        if (daemon?.exitCode !== null) throw new Error(`dockerd ended: ${tail(join(dir, 'log'))}`);
        return answers(endpoint);
      },
      30_000,
    );
  };
  writeFileSync(join(dir, 'daemon.json'), JSON.stringify(runtimeWithin(dir)));
  const halt = async (how: 'hard' | 'orderly'): Promise<void> => {
    if (!daemon || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = new Promise((resolve) => daemon?.once('exit', resolve));
    daemon.kill(how === 'hard' ? 'SIGKILL' : 'SIGTERM');
    const timer = setTimeout(() => daemon?.kill('SIGKILL'), 20_000);
    await ended;
    clearTimeout(timer);
    if (how === 'hard') await killContainerd(dir);
  };
  const engine: TestEngine = {
    endpoint,
    isPrivate: true,
    halt,
    resume,
    async stop() {
      await halt('orderly');
      killLeftovers(dir);
      unmountBelow(dir);
      tryRun('ip', ['link', 'delete', bridge]);
      if (mountedCgroups) tryRun('umount', ['/sys/fs/cgroup']);
      rmSync(dir, { recursive: true, force: true });
    },
  };
  try {
    await resume();
  } catch (error) {
    await engine.stop();
    throw error;
  }
  return engine;
}

/** Imports an image of busybox alone, named `repository:tag`; `/bin/sh` and the usual tools are there. */
export async function importBusybox(engine: Pick<TestEngine, 'endpoint'>, name: string): Promise<void> {
  const busybox = findProgram('busybox');
  if (!busybox) throw new Error('busybox is not installed (busybox-static)');
  const root = mkdtempSync('/tmp/meshnomad-rootfs-');
  try {
    chmodSync(root, 0o755);
    for (const path of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev']) mkdirSync(join(root, path));
    copyFileSync(busybox, join(root, 'bin/busybox'));
    const applets =
      'sh echo sleep cat httpd ls env id kill seq date true false ps hostname stty wget mkdir touch tail head grep setsid chmod rm cut';
    for (const applet of applets.split(' ')) symlinkSync('busybox', join(root, 'bin', applet));
    appendFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n');
    const tar = spawn('tar', ['-C', root, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const { default: Docker } = await import('dockerode');
    const docker = new Docker({ socketPath: engine.endpoint.slice('unix://'.length) });
    const answer = await docker.importImage(tar.stdout, { repo: name });
    await new Promise<void>((resolve, reject) =>
      docker.modem.followProgress(answer, (error) => (error ? reject(error) : resolve())),
    );
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Whether an engine answers there. */
export function answers(endpoint: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath: endpoint.slice('unix://'.length), path: '/_ping', timeout: 2000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.once('error', () => resolve(false));
    asked.once('timeout', () => asked.destroy());
    asked.end();
  });
}

/** A program in PATH or where the system's own lie. */
export function findProgram(name: string): string | undefined {
  const dirs = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin'];
  return dirs.map((dir) => join(dir, name)).find((path) => existsSync(path));
}

/** A fresh virtual machine may have no cgroups mounted, which containers need. True when they were mounted here. */
function ensureCgroups(): boolean {
  if (/^\S+ \S+ cgroup2? /m.test(readFileSync('/proc/mounts', 'utf8'))) return false;
  return tryRun('mount', ['-t', 'cgroup2', 'none', '/sys/fs/cgroup']);
}

/**
 * Privileged containers are given all capabilities that the kernel knows. Where the machine has taken CAP_SYS_RESOURCE from
 * everybody, none would start: the engine's configuration names a runtime that leaves it out.
 */
function runtimeWithin(dir: string): object {
  const bounds = /^CapBnd:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 'f'.repeat(16);
  if ((BigInt(`0x${bounds}`) >> CAP_SYS_RESOURCE) & 1n) return {};
  const path = join(dir, 'runc-within');
  const leaveOut = `sed -i 's/"CAP_SYS_RESOURCE",//g'`;
  const lines = [
    '#!/bin/sh',
    'for word; do',
    '  case $previous in',
    `    --bundle) ${leaveOut} "$word/config.json" ;;`,
    `    --process) ${leaveOut} "$word" ;;`,
    '  esac',
    '  previous=$word',
    'done',
    'exec runc "$@"',
  ];
  writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o755 });
  return { 'default-runtime': 'runc-within', runtimes: { 'runc-within': { path } } };
}

/** An engine of its own has a containerd of its own, which a new engine would wait for in vain. Containers are the shims'. */
async function killContainerd(dir: string): Promise<void> {
  const file = join(dir, 'exec/containerd/containerd.pid');
  const pid = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  if (pid <= 1) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It went with the engine.
  }
  await until('containerd is gone', () => !existsSync(`/proc/${pid}`) || isZombie(pid));
  rmSync(file, { force: true });
}

function isZombie(pid: number): boolean {
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return true;
  }
}

/** A bridge with the first subnet of 10.213.0.0/16 that no other has. */
function makeBridge(name: string): void {
  const taken = execFileSync('ip', ['-4', '-o', 'addr']).toString();
  let subnet = 0;
  while (taken.includes(`10.213.${subnet}.`)) subnet++;
  execFileSync('ip', ['link', 'add', 'name', name, 'type', 'bridge']);
  execFileSync('ip', ['addr', 'add', `10.213.${subnet}.1/24`, 'dev', name]);
  execFileSync('ip', ['link', 'set', name, 'up']);
}

/** Removes what an engine left whose tests were killed. */
function sweep(): void {
  for (const name of readdirSync('/tmp')) {
    const dir = join('/tmp', name);
    if (!dir.startsWith(PREFIX)) continue;
    const owner = existsSync(join(dir, 'owner')) ? Number(readFileSync(join(dir, 'owner'), 'utf8')) : 0;
    // One without an owner may just be starting.
    if (owner === 0 || existsSync(`/proc/${owner}`)) continue;
    killLeftovers(dir);
    unmountBelow(dir);
    tryRun('ip', ['link', 'delete', `mn${dir.slice(-6).toLowerCase().replace(/\W/g, 'x')}`]);
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Ends the processes of an engine that was killed: those with its directory in their arguments, and the containers below. */
export function killLeftovers(dir: string): void {
  const parents = new Map<number, number>();
  const doomed = new Set<number>();
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      parents.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]));
      if (readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(`${dir}/`)) doomed.add(pid);
    } catch {
      // It ended by itself meanwhile.
    }
  }
  doomed.delete(process.pid);
  for (let grew = true; grew; ) {
    const children = [...parents].filter(([pid, parent]) => doomed.has(parent) && !doomed.has(pid));
    for (const [pid] of children) doomed.add(pid);
    grew = children.length > 0;
  }
  for (const pid of doomed) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
}

/** Takes away what is mounted below a directory. */
export function unmountBelow(dir: string): void {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${dir}/`));
  for (const path of mounts.reverse()) tryRun('umount', ['-l', path]);
}

function tryRun(program: string, args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function tail(path: string): string {
  return readFileSync(path, 'utf8').split('\n').slice(-5).join('\n');
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const engine = await getEngine();
  if ('missing' in engine) {
    console.error(engine.missing);
    process.exit(1);
  }
  console.log(`DOCKER_HOST=${engine.endpoint}`);
  const idle = setInterval(() => {}, 60_000);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      clearInterval(idle);
      void engine.stop();
    });
  }
}
