import type { Command } from '../command.js';
import { PEER_FLAGS, peerQuery } from '../peer.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad operator raft transfer-leadership [options]',
  about: 'Has another voter lead: the one named, or without a name whoever is best suited.',
  flags: PEER_FLAGS,
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    const { value } = await api.put<{ From: { ID: string }; To: { ID: string }; Noop: boolean }>(
      '/v1/operator/raft/transfer-leadership',
      {},
      peerQuery(context.flags),
    );
    const to = value.To.ID;
    context.output.out(value.Noop ? `${to} leads already` : `Transferred leadership from ${value.From.ID} to ${to}`);
    return 0;
  },
};
