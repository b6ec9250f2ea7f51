import { MESH_ROLES } from '../../structs/mesh.js';
import { type Command, type Output, UsageError } from '../command.js';
import { takeArgs } from '../print.js';
import { tagsOf } from '../tags.js';

interface Created {
  Invite: string;
  ID: string;
  ExpiresAt: number;
  NeedsApproval: boolean;
}

export const command: Command = {
  usage: 'meshnomad invite [options]',
  about: `Makes an invite: whoever has it may join the mesh, once, within the hour. It is shown as text and on a terminal as a QR
code; keep it from others. -role server lets the machine hold the state and vote, -role operator is for a person. What is
good for several machines (-uses) waits for "meshnomad approve" each time.`,
  flags: {
    role: { type: 'string', value: 'role', help: `${MESH_ROLES.join(', ')}; default client.` },
    ttl: { type: 'duration', value: 'duration', help: 'How long it is good, default 1h, at most 720h.' },
    uses: { type: 'int', value: 'n', help: 'For how many machines, default 1.' },
    name: { type: 'string', value: 'name', help: 'The name the new member gets; default the one that it brings.' },
    tag: { type: 'list', value: 'key=value', help: 'A tag the new member gets; may be given several times.' },
    approve: { type: 'bool', help: 'Wait for "meshnomad approve" also where it is good for one machine.' },
    'no-qr': { type: 'bool', help: 'No QR code.' },
    json: { type: 'bool', help: "Print the API's JSON." },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 0, 0, '');
    const role = flags.string('role') ?? 'client';
    if (!(MESH_ROLES as readonly string[]).includes(role))
      throw new UsageError(`-role must be one of ${MESH_ROLES.join(', ')}, not ${JSON.stringify(role)}`);
    const ttl = flags.duration('ttl');
    const api = await connect();
    const { value } = await api.put<Created>('/v1/mesh/invites', {
      Role: role,
      ...(ttl === undefined ? {} : { TTLMs: Math.round(ttl / 1e6) }),
      Uses: flags.int('uses') ?? 1,
      Name: flags.string('name') ?? '',
      Tags: tagsOf(flags.list('tag')),
      Approve: flags.bool('approve'),
    });
    if (flags.bool('json')) {
      output.out(JSON.stringify(value, null, 4));
      return 0;
    }
    await show(output, value, { role, qr: output.tty && !flags.bool('no-qr') });
    return 0;
  },
};

async function show(output: Output, created: Created, { role, qr }: { role: string; qr: boolean }): Promise<void> {
  if (!output.tty) {
    // For scripts: nothing but the invite.
    output.out(created.Invite);
    return;
  }
  if (qr) {
    const { renderUnicodeCompact } = await import('uqr');
    // Capitals need half the squares, and mean the same.
    output.out(renderUnicodeCompact(created.Invite.toUpperCase(), { border: 1 }));
  }
  const use = role === 'operator' ? 'meshnomad operator login' : 'npx meshnomad join';
  output.out(`\n  ${use} ${created.Invite}\n`);
  const until = new Date(created.ExpiresAt).toLocaleString();
  const approval = created.NeedsApproval ? ' Each waits for "meshnomad approve".' : '';
  output.out(`Good until ${until}.${approval} Take it back with: meshnomad invite revoke ${created.ID}`);
}
