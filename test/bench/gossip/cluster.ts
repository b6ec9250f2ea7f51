import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { MeshInfo, MeshRole } from '../../../lib/structs/mesh.js';
import { issue } from '../../../lib/transport/certificate.js';
import { openMeshHome } from '../../../lib/transport/mesh-home.js';
import { saveMembership } from '../../../lib/transport/roster.js';
import { keyFromSeed, type SigningKey } from '../../../lib/transport/signature.js';

/** What somebody learned, and when: `alive NAME`, `dead NAME`, `word WORD`. */
export interface BenchMember {
  readonly name: string;
  readonly process: ChildProcess;
  readonly pid: number;
  /** The last time each of these was heard of. */
  readonly heard: Map<string, number>;
  /** How often. */
  readonly count: Map<string, number>;
}

/** Members that gossip, each a process: ours, or serf's. */
export interface Cluster {
  readonly what: string;
  start(index: number): BenchMember;
  /** Tells all; resolves when it is on its way. */
  speak(member: BenchMember, word: string): Promise<void>;
  close(): void;
}

function watch(name: string, child: ChildProcess, read: (line: string) => string | undefined): BenchMember {
  const member: BenchMember = { name, process: child, pid: child.pid as number, heard: new Map(), count: new Map() };
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      const heard = read(line);
      if (heard === undefined) return;
      member.heard.set(heard, performance.now());
      member.count.set(heard, (member.count.get(heard) ?? 0) + 1);
    });
  }
  return member;
}

/** Kills what is left of a cluster when the bench itself ends, however it does. */
function reaper(): { add: (child: ChildProcess) => ChildProcess; kill: () => void } {
  const children = new Set<ChildProcess>();
  const kill = (): void => {
    for (const child of children) child.kill('SIGKILL');
  };
  process.once('exit', kill);
  return {
    add(child) {
      children.add(child);
      child.once('exit', () => children.delete(child));
      return child;
    },
    kill() {
      process.off('exit', kill);
      kill();
    },
  };
}

const SERVERS = 3;
/** An agent takes its own port on any address of loopback for itself, so each has another. */
const PORT_FIRST = 47_470;
const YEAR_MS = 31_536_000_000;

/** Up to `size` members of one mesh on 127.0.NET.x: three servers that all others are linked with, as agents do it. */
export function meshCluster(size: number, net: number): Cluster {
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-bench-'));
  const root = keyFromSeed(randomBytes(32));
  const keys = Array.from({ length: size }, () => keyFromSeed(randomBytes(32)));
  const roleOf = (index: number): MeshRole => (index < SERVERS ? 'server' : 'client');
  const hostOf = (index: number): string => `127.0.${net}.${index + 1}`;
  const servers = keys
    .slice(0, SERVERS)
    .map(({ publicKey }, index) => ({ key: publicKey, address: { host: hostOf(index), port: PORT_FIRST + index } }));
  const info: MeshInfo = {
    Root: root.publicKey,
    Name: 'bench',
    CreatedAt: Date.now(),
    DiscoveryEpoch: 1,
    DiscoverySecrets: [],
    NextSerial: size + 1,
    SealedRoot: '',
    CreateIndex: 1,
    ModifyIndex: 1,
  };
  const members = keys.map(({ publicKey }, index) => ({
    Key: publicKey,
    Name: `n${index}`,
    Role: roleOf(index),
    Status: 'admitted' as const,
  }));
  for (const [index, key] of keys.entries()) {
    const own = join(folder, String(index));
    mkdirSync(own);
    writeFileSync(join(own, 'identity.key'), `${key.seed.toString('hex')}\n`, { mode: 0o600 });
    writeFileSync(join(own, 'servers'), JSON.stringify(servers));
    const chain = [certify(root, key, index, roleOf(index))];
    saveMembership(openMeshHome(own), { Mesh: info, Chain: chain, Members: members });
  }
  const program = fileURLToPath(new URL('./member.js', import.meta.url));
  const children = reaper();
  return {
    what: 'meshnomad',
    start(index) {
      const args = [program, join(folder, String(index)), hostOf(index), String(PORT_FIRST + index)];
      const child = children.add(spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
      child.stdin?.on('error', () => {});
      return watch(`n${index}`, child, (line) => line);
    },
    async speak(member, word) {
      member.process.stdin?.write(`${word}\n`);
    },
    close() {
      children.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function certify(root: SigningKey, key: SigningKey, index: number, role: MeshRole): string {
  const now = Date.now();
  return issue(
    {
      Version: 1,
      Mesh: root.publicKey,
      Key: key.publicKey,
      Name: `n${index}`,
      Role: role,
      Tags: {},
      Serial: index + 1,
      NotBefore: now,
      NotAfter: now + YEAR_MS,
      Issuer: false,
      By: root.publicKey,
    },
    root,
  );
}

export function hasSerf(): boolean {
  return spawnSync('serf', ['version'], { stdio: 'ignore' }).status === 0;
}

/** The same of serf, in its profile for local networks. */
export function serfCluster(net: number): Cluster {
  const children = reaper();
  const hostOf = (index: number): string => `127.0.${net}.${index + 1}`;
  return {
    what: 'serf',
    start(index) {
      const args = [
        'agent',
        `-node=n${index}`,
        `-bind=${hostOf(index)}:7946`,
        `-rpc-addr=${hostOf(index)}:7373`,
        '-profile=lan',
        '-log-level=debug',
        ...(index === 0 ? [] : [`-join=${hostOf(0)}:7946`]),
      ];
      const child = children.add(spawn('serf', args, { stdio: ['ignore', 'pipe', 'pipe'] }));
      return watch(`n${index}`, child, readSerf);
    },
    speak: (member, word) =>
      new Promise((resolve) => {
        const address = `${hostOf(Number(member.name.slice(1)))}:7373`;
        const child = spawn('serf', ['event', `-rpc-addr=${address}`, '-coalesce=false', word, 'x'], {
          stdio: 'ignore',
        });
        child.once('exit', () => resolve());
      }),
    close: () => children.kill(),
  };
}

function readSerf(line: string): string | undefined {
  const match = /serf: EventMember(Join|Failed): (\S+)|Received event: user-event: (\S+)/.exec(line);
  if (!match) return undefined;
  if (match[3] !== undefined) return `word ${match[3]}`;
  return `${match[1] === 'Join' ? 'alive' : 'dead'} ${match[2]}`;
}
