import type { RaftConfiguration } from '../../structs/operator.js';
import type { Command } from '../command.js';
import { formatTable } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad operator raft list-peers [options]',
  about: 'Lists the servers that agree on the log: those that vote, and those that only receive it.',
  flags: {
    ...DATA_FLAGS,
    stale: { type: 'bool', help: 'Let any server answer, also without a leader.' },
  },
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    const query = context.flags.bool('stale') ? { stale: true } : {};
    const { value } = await api.get<RaftConfiguration>('/v1/operator/raft/configuration', query);
    if (await printData(context, value)) return 0;
    const rows = value.Servers.map(({ Node, ID, Address, Leader, Voter, RaftProtocol }) => [
      Node || '(unknown)',
      ID,
      Address || '(unknown)',
      Leader ? 'leader' : 'follower',
      String(Voter),
      RaftProtocol,
    ]);
    context.output.out(formatTable([['Node', 'ID', 'Address', 'State', 'Voter', 'RaftProtocol'], ...rows]));
    return 0;
  },
};
