import { AGENT_FLAGS, agentFlags } from '../agent-flags.js';
import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { VERSION } from '../version.js';

export const command: Command = {
  usage: 'meshnomad agent [options]',
  about: `Runs an agent: a server, a client, or both, in the foreground until SIGINT or SIGTERM. SIGHUP reads the configuration
again. Files are HCL or JSON with Nomad's keys; later files win over earlier ones, flags over files, and all of them over
the defaults of -dev.`,
  flags: {
    dev: {
      type: 'bool',
      help: 'To play with: server and client, raw_exec enabled, nothing kept, tasks end with the agent.',
    },
    ...AGENT_FLAGS,
  },
  local: true,
  async run({ args, flags, output }) {
    takeArgs(args, 0, 0, '');
    const request = {
      configPaths: flags.list('config'),
      flags: agentFlags(flags),
      dev: flags.bool('dev'),
      version: VERSION,
    };
    const { runAgent } = await import('../../agent/run.js');
    return runAgent(request, output);
  },
};
