import type { AutopilotHealthReply } from '../../structs/operator.js';
import type { Command } from '../command.js';
import { formatPairs, formatTable } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad operator autopilot health [options]',
  about: 'Shows which servers are healthy, and how many voters may fail. Ends with 1 when something is not well.',
  flags: DATA_FLAGS,
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    const { value } = await api.report<AutopilotHealthReply>('/v1/operator/autopilot/health');
    if (await printData(context, value)) return 0;
    const { Healthy, FailureTolerance, Servers } = value;
    const leader = Servers.find(({ Leader }) => Leader);
    const rows = Servers.map((server) => [
      server.Name,
      server.ID,
      server.Address,
      server.SerfStatus,
      server.Version,
      String(server.Leader),
      String(server.Voter),
      String(server.Healthy),
      server.LastContact,
      String(server.LastTerm),
      String(server.LastIndex),
    ]);
    const head = 'Name ID Address SerfStatus Version Leader Voter Healthy LastContact LastTerm LastIndex'.split(' ');
    context.output.out(
      formatPairs([
        ['Healthy', Healthy],
        ['FailureTolerance', FailureTolerance],
        ['Leader', leader?.Name ?? ''],
        ['Voters', value.Voters.length],
      ]),
    );
    context.output.out(`\n${formatTable([head, ...rows])}`);
    return Healthy ? 0 : 1;
  },
};
