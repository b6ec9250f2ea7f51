import type { Command } from '../command.js';
import { confirm } from '../confirm.js';
import { profileDir } from '../places.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad leave [options]',
  about: `Takes this machine out of its mesh: the servers let it go, its agent ends, and its part of the mesh is removed from the
disk. Its tasks end; move them away first with "meshnomad node drain -self -enable". To come back it needs a new invite.`,
  flags: { yes: { type: 'bool', help: 'Do not ask.' } },
  async run({ args, flags, output, env, api: connect }) {
    takeArgs(args, 0, 0, '');
    const api = await connect();
    // Whoever answers there is a server, and it is not what is meant by "this machine".
    if (api.connection.mesh) {
      output.error(
        `No agent runs on this machine: nothing of it is in the mesh but your own key. To give that up: "meshnomad revoke <your name>", then remove ${profileDir(env)}.`,
      );
      return 1;
    }
    const sure = await confirm(flags, 'Take this machine out of its mesh?', 'say that you are sure with -yes');
    if (!sure) return 1;
    await api.put('/v1/agent/leave', {});
    output.out('This machine has left its mesh; its agent ends.');
    return 0;
  },
};
