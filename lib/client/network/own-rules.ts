import type { NetworkList } from './conflist.js';
import { type FirewallView, findCut, type Rules } from './firewall.js';
import type { HostSide } from './result.js';

// Which rules of the firewall belong to an allocation in a network that somebody else has described (mode = "cni/NAME"). What
// its plugins do is not known here, but what they did can be seen: it names the allocation or its addresses. Pure.

/** Whether plugins of a list are known to add rules with iptables; only then is the firewall looked at for it. */
export function hasRules({ plugins }: NetworkList): boolean {
  return plugins.some(
    ({ type, backend, ipMasq }) =>
      (type === 'portmap' && backend !== 'nftables') ||
      (type === 'firewall' && backend !== 'firewalld') ||
      ipMasq === true,
  );
}

/**
 * The rules with one of the `marks` in them, those of the chains that they lead to, and those that lead to their chains, in
 * the words of `iptables-save`.
 */
export function rulesOf({ byChain }: Rules, marks: readonly string[]): string[] {
  const isMarked = (line: string): boolean => marks.some((mark) => line.includes(mark));
  const lines = [...byChain.values()].flat();
  const found = new Set(lines.filter(isMarked));
  const targets = [...found].flatMap((line) => byChain.get(targetOf(line)) ?? []);
  for (const line of targets) found.add(line);
  // A chain of an allocation may be reached by way of one for all: each step leads further up.
  for (let chains = chainsOf(found), before = 0; chains.size > before; chains = chainsOf(found)) {
    before = chains.size;
    for (const line of lines) if (chains.has(targetOf(line))) found.add(line);
  }
  return [...found].sort();
}

/** All that the firewall has of an allocation now. */
export function allRulesOf(view: FirewallView, marks: readonly string[]): string[] {
  return [view.rules, view.rulesIpv6].flatMap((rules) => (rules ? rulesOf(rules, marks) : []));
}

/** What of an allocation is gone: its way to the node, or a rule that was there once it was attached. */
export function findLoss(view: FirewallView, needed: HostSide & { rules: readonly string[] }): string | null {
  const cut = findCut(view, needed);
  if (cut !== null) return cut;
  const lines = new Set([view.rules, view.rulesIpv6].flatMap((rules) => [...(rules?.byChain.values() ?? [])].flat()));
  const lost = needed.rules.find((rule) => !lines.has(rule));
  return lost === undefined ? null : `a rule of it is gone: ${lost}`;
}

function chainsOf(lines: Iterable<string>): Set<string> {
  return new Set([...lines].map((line) => line.split(' ')[1] ?? ''));
}

function targetOf(line: string): string {
  return / -[jg] (\S+)/.exec(line)?.[1] ?? '';
}
