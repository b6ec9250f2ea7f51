import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { START_FLAGS, startInMesh } from '../start-in-mesh.js';

export const command: Command = {
  usage: 'meshnomad up [options]',
  about:
    'Runs the agent of this machine in its mesh; where it is in none, one is founded first, as by "meshnomad init".',
  flags: {
    name: { type: 'string', value: 'name', help: 'Name of a mesh that is founded, default the name of this machine.' },
    ...START_FLAGS,
  },
  local: true,
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    return startInMesh(context, { kind: 'up', meshName: context.flags.string('name') });
  },
};
