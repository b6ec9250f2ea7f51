import { readFileSync } from 'node:fs';
import { type Command, UsageError } from '../command.js';
import { takeArgs } from '../print.js';
import { readSecret } from '../read-secret.js';
import { START_FLAGS, startInMesh } from '../start-in-mesh.js';

export const command: Command = {
  usage: 'meshnomad init [options]',
  about: `Founds a mesh with this machine as its first server, and runs its agent in the foreground. Shows the recovery code of the
mesh, once. Let others in with "meshnomad invite".

An example of a job file is written by "meshnomad job init".`,
  flags: {
    name: { type: 'string', value: 'name', help: 'Name of the mesh, default the name of this machine.' },
    recover: {
      type: 'string',
      value: 'path',
      help: 'Found a mesh again whose servers were all lost: from its sealed root key, as "mesh export-recovery" printed it. Asks for the recovery code.',
    },
    ...START_FLAGS,
  },
  local: true,
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const { flags } = context;
    const meshName = flags.string('name');
    const recover = flags.string('recover');
    if (recover === undefined) return startInMesh(context, { kind: 'found', meshName });
    const sealed = readSealed(recover);
    const code = await readSecret('Recovery code: ');
    return startInMesh(context, { kind: 'refound', meshName, sealed, code });
  },
};

/** The sealed root key: as it was printed, or as a server keeps it. */
function readSealed(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').slice(0, 4096).trim();
  } catch (error) {
    throw new UsageError(`the sealed root key cannot be read from ${path}: ${(error as Error).message}`);
  }
  const bare = text.replaceAll('"', '');
  if (/^mr1-[a-z0-9]+$/.test(bare)) return bare;
  throw new UsageError(`${path} holds no sealed root key: it begins with mr1-`);
}
