import { readFile } from 'node:fs/promises';
import { ADMIN_CHAIN, type BridgeSettings } from './conflist.js';
import { mustRun, runProgram } from './program.js';

// The few rules which are the bridge's and no allocation's, and a cheap look at whether all rules are still there: other
// programs (a restarted Docker, firewalld, an owner's script) flush tables that are not theirs.

/** What is in force now; rules that nobody asked for are null. */
export interface FirewallView {
  rules: Rules | null;
  rulesIpv6: Rules | null;
  /** The names of all interfaces. */
  interfaces: ReadonlySet<string>;
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
  const [rules, rulesIpv6, devices] = await Promise.all([
    look.rules ? save('iptables-save') : null,
    look.rulesIpv6 ? save('ip6tables-save') : null,
    readFile('/proc/net/dev', 'utf8'),
  ]);
  return {
    rules: rules === null ? null : readRules(rules),
    rulesIpv6: rulesIpv6 === null ? null : readRules(rulesIpv6),
    interfaces: new Set(parseDevices(devices)),
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

/** The names in the text of /proc/net/dev. */
export function parseDevices(text: string): string[] {
  return text.split('\n').flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? []);
}

/** What an allocation on the bridge needs to be reached. */
export interface Needed {
  allocId: string;
  address: string;
  /** '' = none. */
  addressIpv6: string;
  hasPorts: boolean;
  /** The host's ends of its cables, and the bridge. */
  interfaces: readonly string[];
}

/**
 * Whether something of it is missing; the words are for the log. Pure. Asked instead of CHECK of the plugins `firewall`
 * and `portmap`: they run iptables a dozen times each, and portmap 1.1 complains of IPv6 rules that it never made.
 */
export function findDamage(view: FirewallView, bridge: string, needed: Needed): string | null {
  const gone = lostInterface(view, needed.interfaces);
  if (gone !== null) return gone;
  const damage = damageOf(view.rules ?? readRules(''), bridge, `${needed.address}/32`, needed);
  if (damage !== null || needed.addressIpv6 === '' || !view.rulesIpv6) return damage;
  return damageOf(view.rulesIpv6, bridge, `${needed.addressIpv6}/128`, needed);
}

/** Tells of the first interface that is no more. */
export function lostInterface({ interfaces }: FirewallView, needed: readonly string[]): string | null {
  const gone = needed.find((name) => !interfaces.has(name));
  return gone === undefined ? null : `interface ${gone} is gone`;
}

function damageOf(
  { byChain, forwarded, mapped }: Rules,
  bridge: string,
  source: string,
  needed: Needed,
): string | null {
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
