import type { LinkReport, NetReport } from '../../structs/mesh.js';
import type { ApiClient } from '../api.js';
import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { formatTable } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

interface Net {
  Reports: NetReport[];
  Unreached: { Key: string; Name: string; Why: string }[];
  Names: Record<string, string>;
}

export const command: Command = {
  usage: 'meshnomad net [options]',
  about: `Shows how the members of the mesh are linked: directly or through another one, how far, behind which kind of NAT; and
what is wrong, with what to do. Without a server in reach it tells of this machine alone.`,
  flags: DATA_FLAGS,
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    const { net, why } = await readNet(api);
    if (await printData(context, net)) return 0;
    const { output } = context;
    if (why !== '') output.error(`The servers cannot be asked (${why}); this machine alone:\n`);
    output.out(formatTable([['Member', 'NAT', 'Public Address', 'DHT', 'Relays', 'Links'], ...membersOf(net)]));
    const links = linksOf(net);
    if (links.length > 0)
      output.out(`\n${formatTable([['From', 'To', 'Path', 'RTT', 'Since', 'Sent', 'Received'], ...links])}`);
    const problems = problemsOf(net);
    if (problems.length > 0) output.out(`\nProblems\n${problems.map((line) => `  ${line}`).join('\n')}`);
    return 0;
  },
};

async function readNet(api: ApiClient): Promise<{ net: Net; why: string }> {
  try {
    return { net: (await api.get<Net>('/v1/mesh/net')).value, why: '' };
  } catch (error) {
    // Nobody there at all, or an agent in no mesh: the second question would get the same answer.
    if (!(error instanceof ApiError) || error.status === 0) throw error;
    const { Names, ...own } = (await api.get<NetReport & Pick<Net, 'Names'>>('/v1/agent/net')).value;
    return {
      net: { Reports: [own], Unreached: [], Names },
      why: error.message,
    };
  }
}

const nameOf = ({ Names }: Net, key: string): string => Names[key] ?? key.slice(0, 8);

const NAT: Record<NetReport['Nat'], string> = {
  open: 'none',
  consistent: 'cone',
  random: 'symmetric',
  blocked: 'UDP blocked',
  unknown: 'unknown',
};

function membersOf(net: Net): string[][] {
  const rows = net.Reports.map((report) => [
    nameOf(net, report.Key),
    NAT[report.Nat],
    report.PublicAddress || '-',
    report.Dht,
    report.Relays ? 'yes' : 'no',
    String(report.Links.length),
  ]);
  const unreached = net.Unreached.map(({ Name }) => [Name, '-', '-', '-', '-', 'not reached']);
  return [...rows, ...unreached].sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
}

/** Each pair once, as the one sees it that was asked first. */
function linksOf(net: Net): string[][] {
  const seen = new Set<string>();
  const pairs = net.Reports.flatMap(({ Links }) => Links).filter(({ From, To }) => {
    const pair = [From, To].sort().join();
    if (seen.has(pair)) return false;
    seen.add(pair);
    return true;
  });
  return pairs.map((link) => [
    nameOf(net, link.From),
    nameOf(net, link.To),
    pathText(net, link),
    `${link.RttMs < 10 ? link.RttMs.toFixed(1) : Math.round(link.RttMs)} ms`,
    `${Math.round(link.SinceMs / 1000)} s`,
    bytes(link.SentBytes),
    bytes(link.ReceivedBytes),
  ]);
}

function pathText(net: Net, { Path }: LinkReport): string {
  const relay = Path.Relay === undefined ? '' : ` by ${nameOf(net, Path.Relay)}`;
  return `${Path.Kind === 'local' ? 'local network' : Path.Kind}${relay}`;
}

function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  return count < 1024 * 1024 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1024 / 1024).toFixed(1)} MiB`;
}

function problemsOf(net: Net): string[] {
  const said = net.Reports.flatMap((report) => report.Problems.map((line) => `${nameOf(net, report.Key)}: ${line}`));
  return [...said, ...net.Unreached.map(({ Name, Why }) => `${Name}: not reached: ${Why}`)];
}
