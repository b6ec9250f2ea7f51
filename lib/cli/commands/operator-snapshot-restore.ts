import { accessSync, constants, createReadStream, statSync } from 'node:fs';
import type { SnapshotMetadata } from '../../structs/operator.js';
import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { confirm } from '../confirm.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad operator snapshot restore [options] <file>',
  about:
    'Replaces the state of all servers by that of a snapshot, while they run. What came after the snapshot is lost: jobs that ' +
    'it does not know are stopped. Who is a member of the mesh stays as it is, so nobody who was revoked comes back.',
  flags: { yes: { type: 'bool', help: 'Do not ask.' } },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, 'the snapshot');
    const file = args[0] ?? '';
    checkReadable(file);
    const question = `Replace the state of the whole mesh by ${file}?`;
    if (!(await confirm(flags, question, 'this replaces the state of the whole mesh: give -yes if that is meant')))
      return 1;
    const api = await context.api();
    const { value } = await api.upload<{ Index: number; Metadata: SnapshotMetadata }>(
      '/v1/operator/snapshot',
      createReadStream(file),
    );
    output.out(`Snapshot Restored: ${value.Metadata.ID}, in force from index ${value.Index}`);
    return 0;
  },
};

/** Nothing is asked about a file that cannot be sent. */
function checkReadable(file: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    throw new ApiError(0, `cannot read ${file}: ${(error as Error).message}`);
  }
  if (statSync(file).isDirectory()) throw new ApiError(0, `${file} is a directory: give the path of a snapshot`);
}
