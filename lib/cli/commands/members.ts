import type { MeshMemberStub } from '../../structs/rpc-mesh.js';
import type { Command } from '../command.js';
import { formatTable } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad members [options]',
  about:
    'Lists the members of the mesh: role, whether they are there, how they are linked with the server that was asked.',
  flags: { ...DATA_FLAGS, all: { type: 'bool', help: 'Also those who left or were signed out.' } },
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    const { value } = await api.get<MeshMemberStub[]>('/v1/mesh/members');
    const shown = value.filter(
      ({ Status }) => context.flags.bool('all') || Status === 'admitted' || Status === 'pending',
    );
    if (await printData(context, shown)) return 0;
    const rows = shown
      .sort((a, b) => (a.Name < b.Name ? -1 : 1))
      .map((member) => [
        member.Name,
        member.ServerState === '' ? member.Role : `${member.Role} (${member.ServerState})`,
        statusText(member),
        linkText(member),
        member.Link?.Path.Address ?? '-',
        member.NodeID.slice(0, 8),
        member.Key.slice(0, 16),
      ]);
    context.output.out(formatTable([['Name', 'Role', 'Status', 'Link', 'Address', 'Node', 'Key'], ...rows]));
    const waiting = shown.filter(({ Status }) => Status === 'pending');
    for (const { Name, Words } of waiting)
      context.output.out(`\n${Name} waits: meshnomad approve ${Name} (it must show: ${Words})`);
    return 0;
  },
};

function statusText({ Status, Health, Role }: MeshMemberStub): string {
  if (Status !== 'admitted') return Status;
  // People are there when they ask something, and gone right after.
  return Role === 'operator' ? 'admitted' : Health;
}

function linkText({ Link }: MeshMemberStub): string {
  if (!Link) return '-';
  const kind = Link.Path.Kind === 'local' ? 'local network' : Link.Path.Kind;
  return `${kind}, ${Link.RttMs < 10 ? Link.RttMs.toFixed(1) : Math.round(Link.RttMs)} ms`;
}
