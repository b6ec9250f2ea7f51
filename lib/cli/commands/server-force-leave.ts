import type { Command } from '../command.js';

export const command: Command = {
  usage: 'meshnomad server force-leave',
  about:
    'Is not needed here: autopilot replaces a server that is dead. To put one out of the mesh for good: "meshnomad revoke <server>"; ' +
    'to put it out of the group that agrees only: "meshnomad operator raft remove-peer".',
  flags: {},
  local: true,
  async run({ output }) {
    output.error(command.about);
    return 1;
  },
};
