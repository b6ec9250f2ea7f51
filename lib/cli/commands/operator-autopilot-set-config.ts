import { formatDuration } from '../../util/duration.js';
import { type Command, UsageError } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad operator autopilot set-config [options]',
  about: 'Changes by what autopilot decides who votes. What no flag names stays as it is.',
  flags: {
    'check-index': { type: 'int', value: 'index', help: 'Only if the configuration has this modify index.' },
    'cleanup-dead-servers': { type: 'bool', help: 'Replace voters that are dead. Write =false to turn it off.' },
    'last-contact-threshold': {
      type: 'duration',
      value: 'time',
      help: 'A server that was not heard for longer is unhealthy.',
    },
    'max-trailing-logs': {
      type: 'int',
      value: 'count',
      help: 'A server whose log is further behind does not become a voter.',
    },
    'max-voters': { type: 'int', value: 'count', help: 'The most voters; an even number counts as the odd one below.' },
    'min-quorum': { type: 'int', value: 'count', help: 'Deaths do not reduce the voters below this.' },
    'server-stabilization-time': {
      type: 'duration',
      value: 'time',
      help: 'How long a server must be healthy before it may vote.',
    },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 0, '');
    const given = {
      CleanupDeadServers: flags.optionalBool('cleanup-dead-servers'),
      LastContactThreshold: text(flags.duration('last-contact-threshold')),
      MaxTrailingLogs: flags.int('max-trailing-logs'),
      MaxVoters: flags.int('max-voters'),
      MinQuorum: flags.int('min-quorum'),
      ServerStabilizationTime: text(flags.duration('server-stabilization-time')),
    };
    const changes = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    if (Object.keys(changes).length === 0) throw new UsageError('nothing to change: name it with a flag');
    const api = await context.api();
    const cas = flags.int('check-index');
    const { value } = await api.put<boolean>(
      '/v1/operator/autopilot/configuration',
      changes,
      cas === undefined ? {} : { cas },
    );
    if (!value) {
      output.error('Configuration could not be atomically updated: it has changed since; read it again');
      return 1;
    }
    output.out('Configuration updated!');
    return 0;
  },
};

const text = (ns: number | undefined): string | undefined => (ns === undefined ? undefined : formatDuration(ns));
