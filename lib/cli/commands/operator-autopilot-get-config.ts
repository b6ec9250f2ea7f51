import type { Command } from '../command.js';
import { formatPairs } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

/** In the order in which Nomad prints them; the last is an extension. */
const KEYS = [
  'CleanupDeadServers',
  'LastContactThreshold',
  'MaxTrailingLogs',
  'MinQuorum',
  'ServerStabilizationTime',
  'EnableRedundancyZones',
  'DisableUpgradeMigration',
  'EnableCustomUpgrades',
  'MaxVoters',
] as const;

export const command: Command = {
  usage: 'meshnomad operator autopilot get-config [options]',
  about: 'Shows by what autopilot decides who votes.',
  flags: DATA_FLAGS,
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    const { value } = await api.get<Record<string, string | number | boolean>>('/v1/operator/autopilot/configuration');
    if (await printData(context, value)) return 0;
    context.output.out(formatPairs(KEYS.map((key) => [key, value[key] ?? ''])));
    return 0;
  },
};
