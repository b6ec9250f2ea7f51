import type { Command } from '../command.js';
import { readJoinKey } from '../join-key.js';
import { START_FLAGS, startInMesh } from '../start-in-mesh.js';

const { 'join-key-file': _, ...FLAGS } = START_FLAGS;

export const command: Command = {
  usage: 'meshnomad join [options] <invite>',
  about: `Joins the mesh that an invite names, and runs the agent of this machine in the foreground. The invite is what "meshnomad
invite" printed: as it is, as @file, as - for standard input, in MESHNOMAD_JOIN_KEY, or as the systemd credential
join-key. It is needed once: "meshnomad up" starts the agent again.`,
  flags: {
    'key-file': { type: 'string', value: 'path', help: 'A file with the invite.' },
    replace: {
      type: 'string',
      value: 'name',
      help: 'The member that this machine was before it was installed anew: its old key is put out of the mesh.',
    },
    ...FLAGS,
  },
  local: true,
  async run(context) {
    const { args, flags, env } = context;
    const invite = await readJoinKey({ args, keyFile: flags.string('key-file'), env, command: 'join' });
    return startInMesh(context, { kind: 'join', invite, replace: flags.string('replace') });
  },
};
