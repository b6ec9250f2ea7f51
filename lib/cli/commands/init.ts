import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { START_FLAGS, startInMesh } from '../start-in-mesh.js';

export const command: Command = {
  usage: 'meshnomad init [options]',
  about: `Founds a mesh with this machine as its first server, and runs its agent in the foreground. Shows the recovery code of the
mesh, once. Let others in with "meshnomad invite".

An example of a job file is written by "meshnomad job init".`,
  flags: {
    name: { type: 'string', value: 'name', help: 'Name of the mesh, default the name of this machine.' },
    ...START_FLAGS,
  },
  local: true,
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    return startInMesh(context, { kind: 'found', meshName: context.flags.string('name') });
  },
};
