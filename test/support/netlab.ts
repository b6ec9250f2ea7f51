import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

// A small internet of network namespaces: homes behind NAT routers, hosts on a switch without internet, and a public network
// between. Nothing can leave it: no namespace is connected to this machine's own network. Several labs may run side by side.

/**
 * `cone`: one mapping per inner port for all destinations; `symmetric`: a new random port per destination; `open`: the router
 * forwards everything from port 1024 on to the home's first host; `blocked`: UDP to the internet is dropped, TCP passes.
 */
export type NatKind = 'open' | 'cone' | 'symmetric' | 'blocked';

export interface Home {
  nat: NatKind;
  /** Default 1. */
  hosts?: number;
  /** Of a `blocked` home: the numbers of those hosts whose UDP passes all the same. */
  excepted?: readonly number[];
  /** The first three numbers of its network; default 192.168.1 for the first home, 192.168.2 for the second … */
  subnet?: string;
}

export interface LabOptions {
  /** By a capital letter: home A has the hosts homeA1, homeA2 … behind the router natA. */
  homes?: Record<string, Home>;
  /** Hosts lan1, lan2 … on a switch without internet: 10.9.0.1, 10.9.0.2 … Default 0. */
  lan?: number;
}

/** The public network. Must look routable: hyperdht ignores reserved ranges. */
const PUBLIC = '5.5.5';
/** Addresses 1–9 of it belong to the namespace `pub`; the first home's router has 11. */
const PUBLIC_HOSTS = [1, 2, 3, 4, 5, 6, 7, 8, 9];
const FIRST_ROUTER = 11;
const LAN = '10.9.0';
const PREFIX = 'mnlab';
let opened = 0;

/** Why labs cannot be made here; undefined when they can. For the `skip` of a test. */
export function missingForLabs(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are of Linux';
  if (process.getuid?.() !== 0) return 'only root can make network namespaces';
  for (const program of ['ip', 'iptables-restore', 'conntrack']) {
    try {
      execFileSync(program, ['-V'], { stdio: 'ignore' });
    } catch {
      return `${program} is not installed`;
    }
  }
  return undefined;
}

interface Router {
  readonly excepted: readonly number[];
  readonly subnet: string;
  publicNumber: number;
}

export class Netlab {
  readonly #prefix: string;
  readonly #names: string[] = [];
  readonly #routers = new Map<string, Router>();
  readonly #children = new Set<ChildProcess>();
  readonly #onExit = (): void => this.#remove();

  private constructor(prefix: string) {
    this.#prefix = prefix;
    process.on('exit', this.#onExit);
  }

  /** Close it in the end, whatever happens: namespaces survive the process. */
  static async open(options: LabOptions): Promise<Netlab> {
    removeDeadLabs();
    const lab = new Netlab(`${PREFIX}${process.pid}x${opened++}-`);
    try {
      await lab.#build(options);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  /** A public address: 1–9 are hosts of `pub`. */
  static publicAddress(number: number): string {
    return `${PUBLIC}.${number}`;
  }

  /** The address of a home's router, or of one of its hosts, on the inside. */
  address(host: string): string {
    const { letter, number } = parseHost(host);
    if (letter === 'lan') return `${LAN}.${number}`;
    return `${this.#router(letter).subnet}.${number + 1}`;
  }

  /** Runs a program on a host: `pub`, `homeA1`, `lan2`, or a router `natA`. It is killed with the lab. */
  spawn(host: string, file: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.#namespace(host), file, ...args], options);
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** The path of a host's namespace. */
  path(host: string): string {
    return `/run/netns/${this.#namespace(host)}`;
  }

  /** Runs a program on a host to its end, and gives its output. */
  async run(host: string, file: string, ...args: string[]): Promise<string> {
    return call('ip', ['netns', 'exec', this.#namespace(host), file, ...args]);
  }

  /** Another kind of NAT from now on; the mappings there were are forgotten. */
  async setNat(home: string, nat: NatKind): Promise<void> {
    await this.#nat(home, nat);
    await this.run(`nat${home}`, 'conntrack', '-F');
  }

  /** Gives a home's router another public address: 11 is the first home's own, 20–250 are free. */
  async setPublicAddress(home: string, number: number): Promise<void> {
    this.#router(home).publicNumber = number;
    await this.#batch(`nat${home}`, [
      // Neighbours remember who had the former address, and a forwarded port would be reached by it for half a minute more.
      `link set wan address ${newMac()}`,
      'addr flush dev wan',
      `addr add ${PUBLIC}.${number}/24 dev wan`,
      `route replace default via ${PUBLIC}.1 dev wan`,
    ]);
    await this.run(`nat${home}`, 'conntrack', '-F');
  }

  /** Pulls a home's uplink, or plugs it in again. */
  async setUplink(home: string, up: boolean): Promise<void> {
    const lines = [`link set wan ${up ? 'up' : 'down'}`];
    if (up) lines.push(`route replace default via ${PUBLIC}.1 dev wan`);
    await this.#batch(`nat${home}`, lines);
  }

  /** Gives a host another address in its network, as a DHCP server may. */
  async setAddress(host: string, number: number): Promise<void> {
    const { letter } = parseHost(host);
    const subnet = letter === 'lan' ? LAN : this.#router(letter).subnet;
    await this.#batch(host, [
      'addr flush dev eth0',
      `addr add ${subnet}.${number}/24 dev eth0`,
      `route replace default via ${subnet}.${letter === 'lan' ? 254 : 1}`,
    ]);
  }

  /** Cuts a single host off, or lets it in again. */
  async setCable(host: string, up: boolean): Promise<void> {
    const { letter } = parseHost(host);
    const subnet = letter === 'lan' ? LAN : this.#router(letter).subnet;
    const lines = [`link set eth0 ${up ? 'up' : 'down'}`];
    if (up) lines.push(`route replace default via ${subnet}.${letter === 'lan' ? 254 : 1}`);
    await this.#batch(host, lines);
  }

  /**
   * All of a host's traffic goes through the network of another home from now on, by an interface of its own (as with WireGuard), or
   * as before again.
   */
  async setVpn(host: string, home: string, up: boolean): Promise<void> {
    const router = `nat${home}`;
    const { subnet } = this.#router(home);
    if (up) {
      await this.#cable(router, `vpn-${host}`, host, 'wg0');
      const address = `addr add ${subnet}.200/24 dev wg0`;
      await this.#batch(host, [address, `route replace default via ${subnet}.1 dev wg0`]);
      return;
    }
    const { letter } = parseHost(host);
    await this.#batch(host, ['link del wg0', `route replace default via ${this.#router(letter).subnet}.1 dev eth0`]);
  }

  /** Ends what still runs in it, and takes it down. */
  async close(): Promise<void> {
    const running = [...this.#children];
    for (const child of running) child.kill('SIGKILL');
    await Promise.all(running.map((child) => waitForExit(child)));
    this.#remove();
    process.off('exit', this.#onExit);
  }

  #remove(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    removeNamespaces(this.#names.map((name) => this.#prefix + name));
    this.#names.length = 0;
  }

  async #build({ homes = {}, lan = 0 }: LabOptions): Promise<void> {
    await this.#addNamespaces(['pub']);
    await this.#batch('pub', [
      'link add br0 type bridge',
      'link set br0 up',
      ...PUBLIC_HOSTS.map((number) => `addr add ${PUBLIC}.${number}/24 dev br0`),
    ]);
    let index = 0;
    for (const [letter, home] of Object.entries(homes)) {
      await this.#addHome(letter, home, {
        number: FIRST_ROUTER + index,
        subnet: home.subnet ?? `192.168.${index + 1}`,
      });
      index++;
    }
    if (lan > 0) await this.#addLan(lan);
  }

  async #addHome(letter: string, home: Home, at: { number: number; subnet: string }): Promise<void> {
    const router = `nat${letter}`;
    const hosts = Array.from({ length: home.hosts ?? 1 }, (_, i) => `home${letter}${i + 1}`);
    this.#routers.set(letter, { excepted: home.excepted ?? [], subnet: at.subnet, publicNumber: at.number });
    await this.#addNamespaces([router, ...hosts]);
    await this.#cable('pub', `wan${letter}`, router, 'wan');
    await this.#batch(router, [
      `addr add ${PUBLIC}.${at.number}/24 dev wan`,
      `route add default via ${PUBLIC}.1`,
      'link add br0 type bridge',
      'link set br0 up',
      `addr add ${at.subnet}.1/24 dev br0`,
    ]);
    await this.run(router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
    for (const [i, host] of hosts.entries()) await this.#plug(host, router, `h${i + 1}`, at.subnet, 1, i + 2);
    await this.#nat(letter, home.nat);
  }

  async #addLan(count: number): Promise<void> {
    const hosts = Array.from({ length: count }, (_, i) => `lan${i + 1}`);
    await this.#addNamespaces(['switch', ...hosts]);
    await this.#batch('switch', ['link add br0 type bridge', 'link set br0 up', `addr add ${LAN}.254/24 dev br0`]);
    for (const [i, host] of hosts.entries()) await this.#plug(host, 'switch', `h${i + 1}`, LAN, 254, i + 1);
  }

  async #plug(host: string, hub: string, port: string, subnet: string, gateway: number, number: number): Promise<void> {
    await this.#cable(hub, port, host, 'eth0');
    await this.#batch(host, [`addr add ${subnet}.${number}/24 dev eth0`, `route add default via ${subnet}.${gateway}`]);
  }

  /** A cable from a bridge br0 to a device. */
  async #cable(hub: string, port: string, end: string, device: string): Promise<void> {
    const [a, b] = [this.#namespace(hub), this.#namespace(end)];
    await call('ip', ['link', 'add', port, 'netns', a, 'type', 'veth', 'peer', 'name', device, 'netns', b]);
    await this.#batch(hub, [`link set ${port} up`, `link set ${port} master br0`]);
    await this.#batch(end, [`link set ${device} up`]);
  }

  async #nat(letter: string, nat: NatKind): Promise<void> {
    const { subnet, excepted } = this.#router(letter);
    const passing = excepted.map((number) => `-A FORWARD -s ${subnet}.${number + 1} -i br0 -o wan -p udp -j ACCEPT`);
    const forward = ['tcp', 'udp'].map(
      (protocol) => `-A PREROUTING -i wan -p ${protocol} --dport 1024:65535 -j DNAT --to-destination ${subnet}.2`,
    );
    const rules = [
      '*nat',
      ...(nat === 'open' ? forward : []),
      `-A POSTROUTING -o wan -j MASQUERADE${nat === 'symmetric' ? ' --random-fully' : ''}`,
      'COMMIT',
      '*filter',
      ':INPUT DROP',
      ':FORWARD DROP',
      '-A INPUT -i br0 -j ACCEPT',
      '-A INPUT -i lo -j ACCEPT',
      '-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
      ...(nat === 'blocked' ? [...passing, '-A FORWARD -i br0 -o wan -p udp -j DROP'] : []),
      '-A FORWARD -i br0 -j ACCEPT',
      '-A FORWARD -i wan -m conntrack --ctstate ESTABLISHED,RELATED,DNAT -j ACCEPT',
      'COMMIT',
    ];
    const args = ['netns', 'exec', this.#namespace(`nat${letter}`), 'iptables-restore'];
    await call('ip', args, `${rules.join('\n')}\n`);
  }

  async #addNamespaces(names: readonly string[]): Promise<void> {
    for (const name of names) {
      this.#names.push(name);
      await call('ip', ['netns', 'add', this.#prefix + name]);
      await this.#batch(name, ['link set lo up']);
    }
  }

  #batch(host: string, lines: readonly string[]): Promise<string> {
    return call('ip', ['-n', this.#namespace(host), '-batch', '-'], `${lines.join('\n')}\n`);
  }

  #namespace(host: string): string {
    if (!this.#names.includes(host)) throw new Error(`the lab has no ${host}, only ${this.#names.join(', ')}`);
    return this.#prefix + host;
  }

  #router(letter: string): Router {
    const router = this.#routers.get(letter);
    if (!router) throw new Error(`the lab has no home ${letter}`);
    return router;
  }
}

function parseHost(host: string): { letter: string; number: number } {
  const match = /^(?:home([A-Z])|(lan))(\d+)$/.exec(host);
  if (!match) throw new Error(`${host} is no host of a lab`);
  return { letter: match[1] ?? match[2] ?? '', number: Number(match[3]) };
}

/** Runs a program to its end, and gives its output; rejects with what it said on standard error. */
function call(file: string, args: readonly string[], input = ''): Promise<string> {
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let out = '';
  let error = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    error += chunk;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(out);
      else reject(new Error(`${file} ${args.join(' ')}: ${error.trim()} (input: ${input.trim()})`));
    });
  });
}

/** A hardware address that no vendor has. */
function newMac(): string {
  return ['02', ...(randomBytes(5).toString('hex').match(/../g) ?? [])].join(':');
}

async function waitForExit(child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) await sleep(10);
}

function removeNamespaces(names: readonly string[]): void {
  const existing = new Set(listNamespaces());
  for (const name of names) {
    if (!existing.has(name)) continue;
    try {
      for (const pid of execFileSync('ip', ['netns', 'pids', name]).toString().split('\n').filter(Boolean)) {
        process.kill(Number(pid), 'SIGKILL');
      }
    } catch {
      // A process that ended by itself meanwhile.
    }
    try {
      execFileSync('ip', ['netns', 'del', name], { stdio: 'pipe' });
    } catch (error) {
      // Another lab that opened in the same moment may have removed a dead one's first.
      if (listNamespaces().includes(name)) throw error;
    }
  }
}

function listNamespaces(): string[] {
  try {
    return readdirSync('/run/netns');
  } catch {
    return [];
  }
}

/** What a killed test run left behind. */
function removeDeadLabs(): void {
  const left = listNamespaces().filter((name) => {
    const pid = new RegExp(`^${PREFIX}(\\d+)x`).exec(name)?.[1];
    return pid !== undefined && !isAlive(Number(pid));
  });
  removeNamespaces(left);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
