import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { RaftConfiguration } from '../../lib/structs/operator.js';
import { LoopDisk } from '../support/loop-disk.js';
import { eventually } from '../support/mesh-agent.js';
import { openDht } from '../support/mesh-lab.js';
import { Machine } from '../support/mesh-machines.js';
import { Netlab } from '../support/netlab.js';
import type { Testnet } from '../support/testnet.js';
import { WallClock } from './clock.js';

const SERVERS = ['a', 'b', 'c'];
const CLIENT = 'd';
/** A group that is well is one again after so long, on a very busy machine too. */
const SETTLE_MS = 600_000;
const CONFIG = [
  'log_level = "INFO"',
  'limits {\n  http_max_conns_per_client = 0\n}',
  'autopilot {\n  server_stabilization_time = "2s"\n}',
];

/** A machine of the group, and what can be done to it. */
export interface Box {
  readonly machine: Machine;
  readonly name: string;
  readonly home: string;
  readonly host: string;
  readonly disk: LoopDisk;
  readonly clock: WallClock;
  stopped: boolean;
}

/**
 * Three servers and a client, each behind a router of its own, with a disk and a clock of its own: real agents in real processes. To be
 * opened where mounts are one's own (`ownMounts`): a mount namespace of somebody else that was begun meanwhile would hold the disks.
 */
export class FaultGroup {
  readonly lab: Netlab;
  readonly boxes: Box[] = [];
  readonly #say: (line: string) => void;
  #nextAddress = 20;

  private constructor(lab: Netlab, say: (line: string) => void) {
    this.lab = lab;
    this.#say = say;
  }

  static async open(say: (line: string) => void): Promise<FaultGroup> {
    const names = [...SERVERS, CLIENT];
    const homes = Object.fromEntries(names.map((name) => [name.toUpperCase(), { nat: 'open' as const }]));
    const group = new FaultGroup(await Netlab.open({ homes }), say);
    try {
      const testnet = await openDht(group.lab);
      for (const name of names) group.boxes.push(await group.#make(name, testnet));
      const [founder, ...others] = group.boxes as [Box, ...Box[]];
      await founder.machine.start('init', '-name=home');
      for (const { machine, name } of others) {
        await machine.start('join', await founder.machine.invite(`-role=${name === CLIENT ? 'client' : 'server'}`));
      }
      await group.settled();
    } catch (error) {
      await group.close();
      throw error;
    }
    return group;
  }

  async #make(name: string, testnet: Pick<Testnet, 'bootstrap'>): Promise<Box> {
    const home = name.toUpperCase();
    const host = `home${home}1`;
    const place = (file: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess =>
      spawn('nsenter', [...this.#at(host), file, ...args], options);
    const env: Record<string, string> = {};
    const config = CONFIG.join('\n');
    const machine = await Machine.make({ testnet, name, place, env, config });
    const clock = new WallClock(machine.dir);
    Object.assign(env, clock.env);
    const disk = new LoopDisk(machine.dir, join(machine.dir, 'data'));
    return { machine, name, home, host, disk, clock, stopped: false };
  }

  /** What `nsenter` needs. It gives no mount namespace, as `ip netns exec` does: nobody but this process holds the disks. */
  #at(host: string): string[] {
    return [`--net=${this.lab.path(host)}`];
  }

  get servers(): Box[] {
    return this.boxes.filter(({ name }) => name !== CLIENT);
  }

  /** Servers that are asked in vain are so because of a fault. */
  get answering(): Box[] {
    return this.servers.filter(({ machine, stopped }) => !machine.ended && !stopped);
  }

  async configuration({ machine }: Box): Promise<RaftConfiguration['Servers']> {
    return (await machine.get<RaftConfiguration>('/v1/operator/raft/configuration?stale')).Servers;
  }

  /** Who leads, as somebody says who knows; undefined when nobody does. */
  async leader(): Promise<Box | undefined> {
    for (const box of this.answering) {
      const servers = await this.configuration(box).catch(() => []);
      const name = servers.find(({ Leader }) => Leader)?.Node;
      if (name !== undefined) return this.servers.find((one) => one.name === name);
    }
    return undefined;
  }

  /** All are there, vote, follow the same leader and have applied the same. */
  async settled(): Promise<Box> {
    return eventually(
      'one group of three voters',
      async () => {
        const said = await Promise.all(this.servers.map((box) => this.configuration(box)));
        const leaders = new Set(said.map((servers) => servers.find(({ Leader }) => Leader)?.Node));
        const [name] = leaders;
        const votes = said.every((servers) => servers.filter(({ Voter }) => Voter).length === SERVERS.length);
        if (!votes)
          throw new Error(
            `voters: ${JSON.stringify(said.map((list) => list.map(({ Node, Voter }) => [Node, Voter])))}`,
          );
        if (leaders.size !== 1 || name === undefined) throw new Error(`leaders: ${[...leaders].join()}`);
        return this.servers.find((box) => box.name === name);
      },
      SETTLE_MS,
    );
  }

  stop(box: Box): void {
    box.stopped = true;
    process.kill(box.machine.pid, 'SIGSTOP');
  }

  goOn(box: Box): void {
    box.stopped = false;
    process.kill(box.machine.pid, 'SIGCONT');
  }

  async kill(box: Box): Promise<void> {
    await box.machine.end('SIGKILL');
  }

  /** As a supervisor does with whatever ended: again and again, for what befell it besides may keep it from starting (a full disk). */
  async startAgain(box: Box): Promise<void> {
    await eventually(
      `${box.name} to start`,
      async () => {
        if (box.machine.ended) await box.machine.start('up');
        return true;
      },
      SETTLE_MS,
    );
  }

  /** Nothing reaches it, or leaves it, or neither. Its own loopback works. */
  isolate(box: Box, ways: readonly ('in' | 'out')[]): void {
    for (const way of ways) {
      const rule = way === 'in' ? ['INPUT', '!', '-i', 'lo'] : ['OUTPUT', '!', '-o', 'lo'];
      this.#firewall(box, '-A', ...rule, '-j', 'DROP');
    }
  }

  join(box: Box): void {
    this.#firewall(box, '-F');
  }

  #firewall({ host }: Box, ...args: string[]): void {
    execFileSync('nsenter', [...this.#at(host), 'iptables', '-w', ...args], { stdio: 'pipe' });
  }

  /** The whole machine is off at once, tasks and all, and what was not synced is gone. */
  async cutPower(box: Box): Promise<void> {
    await box.machine.end('SIGKILL');
    await eventually('the disk to be let go', () => {
      killAllOf(box.machine.dir);
      box.disk.cutPower();
      return true;
    });
  }

  /** Another address of its router, as a provider gives overnight. */
  async move(box: Box): Promise<void> {
    await this.lab.setPublicAddress(box.home, this.#nextAddress++);
  }

  say(line: string): void {
    this.#say(line);
  }

  async close(): Promise<void> {
    for (const box of this.boxes) {
      if (box.stopped) this.goOn(box);
      await box.machine.end('SIGKILL');
      killAllOf(box.machine.dir);
      box.disk.close();
      await box.machine.dispose();
    }
    await this.lab.close();
  }
}

/** Agent, supervisors and tasks: whatever was started in a folder, or with it in its arguments or environment. */
function killAllOf(dir: string): void {
  const mine = `${dir}/`;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    try {
      const said = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'latin1'));
      if ([...said, readlinkSync(`/proc/${pid}/cwd`)].some((text) => text.includes(mine)))
        process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}
