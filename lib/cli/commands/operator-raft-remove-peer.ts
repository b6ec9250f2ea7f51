import { type Command, UsageError } from '../command.js';
import { PEER_FLAGS, peerQuery } from '../peer.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad operator raft remove-peer [options]',
  about:
    'Puts a server out of the group that agrees on the log. As long as it is a member of the mesh, autopilot takes it in again ' +
    'as a standby: what keeps it out is "meshnomad revoke", or mesh { voter = "never" } in its configuration.',
  flags: PEER_FLAGS,
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const query = peerQuery(context.flags);
    const peer = query.id ?? query.address;
    if (peer === undefined) throw new UsageError('name the server: -peer-id (its id, or name) or -peer-address');
    const api = await context.api();
    await api.delete('/v1/operator/raft/peer', query);
    context.output.out(`Removed peer with ${query.id === undefined ? 'address' : 'id'} "${peer}"`);
    return 0;
  },
};
