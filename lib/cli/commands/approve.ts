import type { MeshMember } from '../../structs/mesh.js';
import type { MeshMemberStub } from '../../structs/rpc-mesh.js';
import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { confirm } from '../confirm.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad approve [options] <member>',
  about: 'Lets a machine in that waits for it. First it shows four words: the machine must show the same.',
  flags: {
    yes: { type: 'bool', help: 'Do not ask: the words have been compared.' },
    json: { type: 'bool', help: "Print the API's JSON." },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 1, 'name or key of the member');
    const wanted = args[0] as string;
    const api = await connect();
    const { value } = await api.get<MeshMemberStub[]>('/v1/mesh/members');
    const waiting = value.filter(({ Status }) => Status === 'pending');
    const member = waiting.find(({ Name, Key }) => Name === wanted || Key.startsWith(wanted.toLowerCase()));
    if (!member) {
      const names = waiting.map(({ Name }) => Name).join(', ');
      throw new ApiError(
        0,
        names === ''
          ? 'no machine waits to be let in: "meshnomad members" lists who is in already'
          : `no machine ${JSON.stringify(wanted)} waits to be let in; these do: ${names}`,
      );
    }
    const { Name, Role, Key, Words, Facts } = member;
    if (!flags.bool('json')) {
      const machine = Object.values(Facts).join(', ');
      const about = `with the key ${Key.slice(0, 16)}…${machine === '' ? '' : `, from a machine that says it is ${machine}`}`;
      output.out(`${Name} wants in as ${Role}, ${about}. It must show:\n\n    ${Words}\n`);
    }
    if (!(await confirm(flags, 'Does it?', `compare the words (${Words}), then say so with -yes`))) return 1;
    const { value: approved } = await api.put<MeshMember>(`/v1/mesh/member/${Key}/approve`, {});
    output.out(flags.bool('json') ? JSON.stringify(approved, null, 4) : `${Name} is a member (${approved.Role}).`);
    return 0;
  },
};
