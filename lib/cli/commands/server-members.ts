import type { Command } from '../command.js';
import { formatTable } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

interface Member {
  Name: string;
  Addr: string;
  Port: number;
  Status: string;
  Tags: Record<string, string>;
}

export const command: Command = {
  usage: 'meshnomad server members [options]',
  about:
    'Lists the servers: which of them leads, votes or stands by, and how far each has come with the log. Ends with 1 while nobody leads.',
  flags: {
    ...DATA_FLAGS,
    detailed: { type: 'bool', help: 'All tags instead of columns.' },
    verbose: { type: 'bool', help: 'The same as -detailed.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 0, '');
    const api = await context.api();
    const members = (await api.get<{ Members: Member[] | null }>('/v1/agent/members')).value.Members ?? [];
    if (await printData(context, members)) return 0;
    if (members.length === 0) {
      output.out('No servers: this agent is a client, and reaches none now');
      return 0;
    }
    members.sort((a, b) => (a.Name < b.Name ? -1 : 1));
    if (flags.bool('detailed') || flags.bool('verbose')) {
      const rows = members.map((member) => [member.Name, member.Addr, String(member.Port), tagsText(member.Tags)]);
      output.out(formatTable([['Name', 'Address', 'Port', 'Tags'], ...rows]));
      return 0;
    }
    const leads = ({ Tags }: Member): boolean => Tags['standing'] === 'leader';
    const rows = members.map((member) => [
      member.Name,
      member.Addr,
      String(member.Port),
      member.Status,
      String(leads(member)),
      member.Tags['standing'] ?? '',
      member.Tags['raft_term'] ?? '',
      member.Tags['raft_index'] ?? '',
      member.Tags['raft_lag'] ?? '',
      member.Tags['build'] ?? '',
      member.Tags['dc'] ?? '',
      member.Tags['region'] ?? '',
    ]);
    const head = 'Name Address Port Status Leader Standing Term Index Lag Build Datacenter Region'.split(' ');
    output.out(formatTable([head, ...rows]));
    if (members.some(leads)) return 0;
    output.error('\nThere is no leader now.');
    return 1;
  },
};

const tagsText = (tags: Record<string, string>): string =>
  Object.entries(tags)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
