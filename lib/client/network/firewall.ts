import { ADMIN_CHAIN, type BridgeSettings } from './conflist.js';
import { mustRun, runProgram } from './program.js';
import type { HostSide } from './result.js';

// The few rules which are the bridge's and no allocation's, and a cheap look at whether all rules are still there: other
// programs (a restarted Docker, firewalld, an owner's script) flush tables that are not theirs.

/** What is in force now; rules that nobody asked for are null. */
export interface FirewallView {
  rules: Rules | null;
  rulesIpv6: Rules | null;
  /** All interfaces by name. */
  links: ReadonlyMap<string, Link>;
}

/** An interface of this machine. */
export interface Link {
  isUp: boolean;
  /** The bridge that it is in; '' = none. */
  master: string;
  addresses: readonly string[];
}

/** Rules as `iptables-save` prints them, read once for hundreds of allocations. */
export interface Rules {
  byChain: ReadonlyMap<string, readonly string[]>;
  /** The blocks for which CNI networks forward what they send. */
  forwarded: ReadonlySet<string>;
  /** The containers that have mapped ports. */
  mapped: ReadonlySet<string>;
}

interface Family {
  program: 'iptables' | 'ip6tables';
  subnet: string;
}

function families({ subnet, subnetIpv6 }: BridgeSettings): Family[] {
  const v4: Family = { program: 'iptables', subnet };
  return subnetIpv6 === '' ? [v4] : [v4, { program: 'ip6tables', subnet: subnetIpv6 }];
}

/** The rules of a bridge: what comes for its tasks is forwarded, what its tasks send out has the node's address. */
function bridgeRules(bridge: string, subnet: string): { table: string; chain: string; rule: string[] }[] {
  return [
    { table: 'filter', chain: ADMIN_CHAIN, rule: ['-d', subnet, '-o', bridge, '-j', 'ACCEPT'] },
    { table: 'nat', chain: 'POSTROUTING', rule: ['-s', subnet, '!', '-o', bridge, '-j', 'MASQUERADE'] },
  ];
}

/** Adds the bridge's rules that are not there. */
export async function ensureBridgeRules(bridge: BridgeSettings): Promise<void> {
  for (const { program, subnet } of families(bridge)) {
    const tables = (table: string, ...args: string[]) => runProgramIn(program, ['-w', '10', '-t', table, ...args]);
    if (!(await tables('filter', '-S', ADMIN_CHAIN))) {
      // Two may make it at once: what counts is that it is there.
      await tables('filter', '-N', ADMIN_CHAIN);
    }
    for (const { table, chain, rule } of bridgeRules(bridge.name, subnet)) {
      if (await tables(table, '-C', chain, ...rule)) continue;
      await mustRun(program, ['-w', '10', '-t', table, '-A', chain, ...rule]);
    }
  }
}

async function runProgramIn(program: string, args: string[]): Promise<boolean> {
  const { code } = await runProgram(program, args, { timeoutMs: 20_000 });
  return code === 0;
}

/** What of the machine is to be looked at; the interfaces always are. */
export interface Look {
  rules: boolean;
  rulesIpv6: boolean;
}

/** Looks at the firewall and the interfaces of this machine. */
export async function viewFirewall(look: Look): Promise<FirewallView> {
  const save = async (program: string): Promise<string> => {
    const tables = await Promise.all(['filter', 'nat'].map((table) => mustRun(program, ['-t', table])));
    return tables.join('\n');
  };
  const [rules, rulesIpv6, links] = await Promise.all([
    look.rules ? save('iptables-save') : null,
    look.rulesIpv6 ? save('ip6tables-save') : null,
    mustRun('ip', ['-j', 'addr']),
  ]);
  return {
    rules: rules === null ? null : readRules(rules),
    rulesIpv6: rulesIpv6 === null ? null : readRules(rulesIpv6),
    links: readLinks(links),
  };
}

/** Reads what `iptables-save` printed. */
export function readRules(text: string): Rules {
  const byChain = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const chain = /^-A (\S+) /.exec(line)?.[1];
    if (chain === undefined) continue;
    const lines = byChain.get(chain);
    if (lines) lines.push(line);
    else byChain.set(chain, [line]);
  }
  const found = (chain: string, pattern: RegExp): Set<string> =>
    new Set((byChain.get(chain) ?? []).flatMap((line) => pattern.exec(line)?.[1] ?? []));
  return {
    byChain,
    forwarded: found('CNI-FORWARD', / -s (\S+) /),
    mapped: found('CNI-HOSTPORT-DNAT', / id: \\?"([^"\\]+)/),
  };
}

/** Reads what `ip -j addr` printed. */
export function readLinks(text: string): Map<string, Link> {
  const found = JSON.parse(text) as {
    ifname: string;
    flags: string[];
    master?: string;
    addr_info?: { local?: string }[];
  }[];
  return new Map(
    found.map(({ ifname, flags, master = '', addr_info = [] }) => [
      ifname,
      { isUp: flags.includes('UP'), master, addresses: addr_info.flatMap(({ local }) => local ?? []) },
    ]),
  );
}

/** What an allocation on the bridge needs to be reached. */
export interface Needed extends HostSide {
  allocId: string;
  address: string;
  /** '' = none. */
  addressIpv6: string;
  hasPorts: boolean;
}

/**
 * Whether something of it is missing; the words are for the log. Pure. Asked instead of CHECK of the plugins `firewall`
 * and `portmap`: they run iptables a dozen times each, and portmap 1.1 complains of IPv6 rules that it never made.
 */
export function findDamage(view: FirewallView, needed: Needed): string | null {
  const cut = findCut(view, needed);
  if (cut !== null) return cut;
  const damage = damageOf(view.rules ?? readRules(''), `${needed.address}/32`, needed);
  if (damage !== null || needed.addressIpv6 === '' || !view.rulesIpv6) return damage;
  return damageOf(view.rulesIpv6, `${needed.addressIpv6}/128`, needed);
}

/**
 * Where the way of an allocation to its node is cut: an interface is gone or down, none is in the bridge (which somebody removed, and
 * another allocation has brought back), or nobody has the address to which its tasks send.
 */
export function findCut({ links }: FirewallView, { interfaces, bridge, gateways }: HostSide): string | null {
  for (const name of interfaces) {
    const link = links.get(name);
    if (!link) return `interface ${name} is gone`;
    if (!link.isUp) return `interface ${name} is down`;
  }
  if (bridge !== '' && !interfaces.some((name) => links.get(name)?.master === bridge))
    return `its interface has left ${bridge}`;
  const present = new Set([...links.values()].flatMap(({ addresses }) => addresses));
  const lost = gateways.find((address) => !present.has(address));
  return lost === undefined ? null : `${bridge} has lost its address ${lost}`;
}

function damageOf({ byChain, forwarded, mapped }: Rules, source: string, needed: Needed): string | null {
  const { bridge } = needed;
  const has = (chain: string, ...parts: string[]): boolean =>
    (byChain.get(chain) ?? []).some((line) => parts.every((part) => line.includes(part)));
  if (!has('FORWARD', '-j CNI-FORWARD')) return 'the firewall does not forward for CNI networks';
  if (!has('CNI-FORWARD', `-j ${ADMIN_CHAIN}`)) return `the firewall does not look into ${ADMIN_CHAIN}`;
  if (!forwarded.has(source)) return 'its rules for forwarding are gone';
  if (!has(ADMIN_CHAIN, `-o ${bridge} `)) return `the rule for ${bridge} in ${ADMIN_CHAIN} is gone`;
  if (!has('POSTROUTING', `! -o ${bridge} `, 'MASQUERADE')) return 'the rule that hides its address is gone';
  if (!needed.hasPorts) return null;
  if (!has('PREROUTING', '-j CNI-HOSTPORT-DNAT')) return 'the firewall does not map ports';
  return mapped.has(needed.allocId) ? null : 'its mapped ports are gone';
}
