import { access, readdir, stat } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import type { NodeNetworkResource } from '../../structs/node.js';
import { BRIDGE_PROBLEM, CNI_CONFIG_DIR, CNI_CONFIG_PROBLEMS } from '../../structs/node-attributes.js';
import type { NetworkResource } from '../../structs/resources.js';
import { readNetworks } from '../network/configured.js';
import { runProgram } from '../network/program.js';
import type { Facts, Fingerprint } from './fact.js';
import { readText } from './read.js';

const VERSION_TIMEOUT_MS = 3000;
/** Of what is wrong with files the servers are told so much. */
const PROBLEMS_MAX = 500;

/** CNI plugins and their versions, the networks configured for them, and whether this node can have a bridge. */
export const cniFingerprint: Fingerprint = {
  name: 'cni',
  periodMs: 60_000,
  onReload: true,
  async run({ config }): Promise<Facts> {
    const { cniPath, cniConfigDir, bridge } = config.network;
    const attributes: Record<string, string> = {};
    for (const [name, version] of await pluginVersions(cniPath)) attributes[`plugins.cni.version.${name}`] = version;
    const { networks, problems } = await readNetworks(cniConfigDir);
    // For whoever asks why a group with a network of its own is not placed here.
    attributes[CNI_CONFIG_DIR] = cniConfigDir;
    if (problems.length > 0) attributes[CNI_CONFIG_PROBLEMS] = problems.join('; ').slice(0, PROBLEMS_MAX);
    const lack = await bridgeLack();
    if (lack !== '') attributes[BRIDGE_PROBLEM] = lack;
    // A namespace and its rules are root's to make.
    if (!isRoot()) return { attributes, warnings: problems };
    const names = [...networks.keys()].map((name) => network(`cni/${name}`, ''));
    if (lack === '') {
      attributes['nomad.bridge.hairpin_mode'] = String(bridge.hairpin);
      names.push(network('bridge', bridge.name));
    }
    return {
      attributes,
      warnings: problems,
      networks: names.map(([one]) => one),
      nodeNetworks: names.map(([, one]) => one),
    };
  },
};

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** What this machine lacks for a bridge of its own; '' = nothing. */
async function bridgeLack(): Promise<string> {
  if (!isRoot()) return 'its agent does not run as root';
  if (!(await hasBridgeModule())) return 'its kernel has no module "bridge"';
  for (const program of ['iptables', 'ip']) {
    if (!(await isOnPath(program))) return `there is no program "${program}" on the PATH of its agent`;
  }
  return '';
}

function network(Mode: string, Device: string): [NetworkResource, NodeNetworkResource] {
  const nothing = {
    CIDR: '',
    IP: '',
    Hostname: '',
    MBits: 0,
    DNS: null,
    ReservedPorts: null,
    DynamicPorts: null,
    CNI: null,
  };
  return [
    { Mode, Device, ...nothing },
    { Mode, Device, MacAddress: '', Speed: 0, Addresses: [] },
  ];
}

/** Every plugin by name; what the first directory has counts, as it does when plugins are called. */
async function pluginVersions(path: readonly string[]): Promise<Map<string, string>> {
  const versions = new Map<string, string>();
  for (const dir of path) {
    const names = (await readdir(dir).catch(() => [])).filter((name) => !versions.has(name));
    const found = await Promise.all(names.map((name) => pluginVersion(join(dir, name))));
    for (const [i, name] of names.entries()) if (found[i]) versions.set(name, found[i]);
  }
  return versions;
}

/** What programs said that are still the same, by path: sixteen need not be run every minute. */
const said = new Map<string, { stamp: string; version: string | null }>();

async function pluginVersion(file: string): Promise<string | null> {
  const info = await stat(file).catch(() => null);
  if (!info?.isFile() || (info.mode & 0o111) === 0) return null;
  const stamp = `${info.dev}:${info.ino}:${info.mtimeMs}:${info.size}`;
  const known = said.get(file);
  if (known?.stamp === stamp) return known.version;
  const run = await runProgram(file, [], { timeoutMs: VERSION_TIMEOUT_MS }).catch(() => null);
  const version = run && parsePluginVersion(`${run.out}\n${run.err}`);
  // One that could not be asked is asked again.
  if (run) said.set(file, { stamp, version });
  return version;
}

/**
 * The version in what a plugin says without arguments ("CNI bridge plugin v1.4.0"). Debian's do not know theirs; then it
 * is the highest protocol version it speaks, which its own is never below in what constraints ask (>= 0.4.0). Null: neither.
 */
export function parsePluginVersion(text: string): string | null {
  const own = /\bplugin\s+(v?\d+\.\d+\.\d+[\w.+-]*)/i.exec(text)?.[1];
  if (own !== undefined) return own;
  const spoken = /protocol versions supported:\s*([\d., ]+)/i
    .exec(text)?.[1]
    ?.split(',')
    .map((one) => one.trim());
  return spoken?.at(-1) || null;
}

/** The kernel's bridges: built in, loaded, or there to be loaded by the first that is made. */
async function hasBridgeModule(): Promise<boolean> {
  if (await exists('/sys/module/bridge')) return true;
  const dir = `/lib/modules/${release()}`;
  const lists = [
    await readText('/proc/modules'),
    await readText(`${dir}/modules.builtin`),
    await readText(`${dir}/modules.dep`),
  ];
  return lists.some((text) => text !== null && hasModule(text, 'bridge'));
}

/** Whether /proc/modules, modules.builtin or modules.dep names a module. */
export function hasModule(text: string, name: string): boolean {
  return text
    .split('\n')
    .some((line) => line.startsWith(`${name} `) || new RegExp(`(^|/)${name}\\.ko[.a-z]*(:|$)`).test(line));
}

async function isOnPath(program: string): Promise<boolean> {
  const dirs = (process.env['PATH'] ?? '').split(':').filter((dir) => dir !== '');
  const found = await Promise.all(dirs.map((dir) => exists(join(dir, program))));
  return found.includes(true);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
