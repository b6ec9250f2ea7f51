import type { AutopilotEvent, RecoveryView, ServerVerdict } from '../../structs/operator.js';
import { toNanos } from '../../util/clock.js';
import { type ApiClient, ApiError } from '../api.js';
import type { Command, Context } from '../command.js';
import { formatAgo, formatPairs, formatTable } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { survivors } from '../survivors.js';

interface Report {
  Servers: ServerVerdict[];
  Events: AutopilotEvent[];
}

export const command: Command = {
  usage: 'meshnomad server why [options] [server]',
  about: 'Says why each server leads, votes, stands by or does neither, and what autopilot changed lately.',
  flags: DATA_FLAGS,
  async run(context) {
    const { args, output } = context;
    takeArgs(args, 0, 1, 'the name or id of a server');
    const api = await context.api();
    const report = await api.get<Report>('/v1/operator/servers/why').catch((error: unknown) => {
      if (error instanceof ApiError && /no cluster leader/i.test(error.message)) return null;
      throw error;
    });
    if (report === null) return sayWhoIsLeft(api, output);
    const { value } = report;
    const [wanted] = args;
    const servers = value.Servers.filter(({ ID, Name }) => !wanted || Name === wanted || ID.startsWith(wanted));
    if (wanted && servers.length === 0) {
      output.error(`No server is ${wanted}; there are ${value.Servers.map(nameOf).join(', ')}`);
      return 1;
    }
    if (await printData(context, { ...value, Servers: servers })) return 0;
    if (wanted && servers[0]) output.out(details(servers[0]));
    else output.out(table(servers));
    const nowMs = Date.now();
    const lately = value.Events.slice(-10).map(({ At, Text }) => [formatAgo(toNanos(At), nowMs), Text]);
    if (!wanted && lately.length > 0) output.out(`\nLately\n${formatTable(lately)}`);
    return 0;
  },
};

/** Only a leader gives reasons; without one it counts who is there. */
async function sayWhoIsLeft(api: ApiClient, output: Context['output']): Promise<number> {
  const { value } = await api.get<RecoveryView>('/v1/operator/recover');
  output.out(survivors(value));
  output.error(
    '\nThere is no leader now: more than half of the servers that vote must reach each other. If the missing ones are lost for good, ' +
      '"meshnomad recover" goes on with those that are left.',
  );
  return 1;
}

const nameOf = ({ Name, ID }: ServerVerdict): string => Name || ID.slice(0, 8);

function table(servers: readonly ServerVerdict[]): string {
  const rows = servers.map((server) => [nameOf(server), server.Standing, server.Healthy ? 'yes' : 'no', server.Reason]);
  return formatTable([['Name', 'Standing', 'Healthy', 'Why'], ...rows]);
}

function details(server: ServerVerdict): string {
  const ms = (value: number | null): string => (value === null ? '' : `${Math.round(value * 10) / 10} ms`);
  return formatPairs([
    ['Name', nameOf(server)],
    ['ID', server.ID],
    ['Standing', server.Standing],
    ['Wanted', server.Wanted],
    ['Why', server.Reason],
    ['Healthy', server.Healthy],
    ['Stable Since', server.StableSince === 0 ? '' : formatAgo(toNanos(server.StableSince), Date.now())],
    ['Gossip', server.Gossip],
    ['Last Contact', ms(server.LastContactMs)],
    ['Round Trip', ms(server.RttMs)],
    ['Disk Sync', ms(server.SyncMs)],
    ['Last Term', server.LastTerm],
    ['Last Index', server.LastIndex],
    ['Trailing', server.Trailing],
    ['Version', server.Version],
  ]);
}
