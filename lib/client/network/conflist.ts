import { err, ok, type Result } from '../../util/result.js';

// Network configurations of the Container Network Interface, and the one for mode = "bridge". Pure.

/** One plugin of a list: `type` is the program's name, everything else its own affair. */
export interface PluginConfig {
  type: string;
  [key: string]: unknown;
}

/** A network as a list of plugins that are called one after the other. */
export interface NetworkList {
  cniVersion: string;
  name: string;
  plugins: PluginConfig[];
  /** Its plugins cannot be asked whether all is well. */
  disableCheck: boolean;
}

/** The bridge that the groups of this node share. */
export interface BridgeSettings {
  name: string;
  subnet: string;
  /** '' = no IPv6. */
  subnetIpv6: string;
  /** Lets a task reach its own mapped port. */
  hairpin: boolean;
}

/** Where the bridge's addresses are given out; on a tmpfs, so that none is taken after the machine was restarted. */
export const IPAM_DIR = '/run/meshnomad/ipam';
/** The chain of the filter table in which the node's owner may put rules of his own; Nomad's name. */
export const ADMIN_CHAIN = 'NOMAD-ADMIN';

/** Interface and network names that go into file names and commands. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
const PLUGINS_MAX = 32;

/**
 * The network behind mode = "bridge". Masquerading is left out: the plugin would add a chain for each allocation, where
 * one rule for the subnet does (firewall.ts), and could not put it back without a new interface.
 */
export function bridgeList(bridge: BridgeSettings): NetworkList {
  const ranges = [[{ subnet: bridge.subnet }]];
  const routes = [{ dst: '0.0.0.0/0' }];
  if (bridge.subnetIpv6 !== '') {
    ranges.push([{ subnet: bridge.subnetIpv6 }]);
    routes.push({ dst: '::/0' });
  }
  return {
    cniVersion: '0.4.0',
    name: bridge.name,
    disableCheck: false,
    plugins: [
      { type: 'loopback' },
      {
        type: 'bridge',
        capabilities: { ips: true },
        bridge: bridge.name,
        ipMasq: false,
        isGateway: true,
        forceAddress: true,
        hairpinMode: bridge.hairpin,
        ipam: { type: 'host-local', dataDir: IPAM_DIR, ranges, routes },
      },
      { type: 'firewall', backend: 'iptables', iptablesAdminChainName: ADMIN_CHAIN },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
    ],
  };
}

/** Reads a `.conflist` file, or a `.conf` or `.json` file with a single plugin. */
export function parseNetworkList(text: string): Result<NetworkList, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return err(`is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(value)) return err('is not a JSON object');
  const { name, cniVersion = '0.2.0', plugins, disableCheck = false } = value;
  if (typeof name !== 'string' || !NAME.test(name)) return err('has no usable "name"');
  if (typeof cniVersion !== 'string' || !/^\d+\.\d+\.\d+$/.test(cniVersion)) return err('has no usable "cniVersion"');
  const list = plugins === undefined ? [value] : plugins;
  if (!Array.isArray(list) || list.length === 0 || list.length > PLUGINS_MAX)
    return err(`"plugins" must be a list of 1 to ${PLUGINS_MAX}`);
  const found: PluginConfig[] = [];
  for (const plugin of list) {
    // The type becomes the name of a program: nothing that leads out of the plugins' directory.
    if (!isObject(plugin) || typeof plugin['type'] !== 'string' || !NAME.test(plugin['type']))
      return err('has a plugin without a usable "type"');
    found.push(plugin as PluginConfig);
  }
  return ok({ name, cniVersion, plugins: found, disableCheck: disableCheck === true });
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
