import type { MeshInvite } from '../../structs/mesh.js';
import type { Command } from '../command.js';
import { formatTable } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad invite list [options]',
  about: 'Lists the invites: for what, until when, and who used them.',
  flags: DATA_FLAGS,
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    const { value } = await api.get<MeshInvite[]>('/v1/mesh/invites');
    if (await printData(context, value)) return 0;
    const rows = value.map((invite) => [
      invite.ID,
      invite.Role,
      invite.Name || '-',
      `${invite.Used.length}/${invite.Uses}`,
      stateOf(invite, Date.now()),
      invite.Used.map(({ Name, At }) => `${Name} (${new Date(At).toLocaleString()})`).join(', ') || '-',
    ]);
    context.output.out(
      rows.length === 0 ? 'No invites' : formatTable([['ID', 'Role', 'Name', 'Used', 'State', 'By'], ...rows]),
    );
    return 0;
  },
};

function stateOf({ Revoked, ExpiresAt, Used, Uses }: MeshInvite, nowMs: number): string {
  if (Revoked) return 'revoked';
  if (Used.length >= Uses) return 'used up';
  return ExpiresAt <= nowMs ? 'expired' : `until ${new Date(ExpiresAt).toLocaleString()}`;
}
