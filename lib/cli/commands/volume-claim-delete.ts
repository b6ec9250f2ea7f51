import type { TaskGroupHostVolumeClaim } from '../../structs/host-volume.js';
import { type ApiClient, ApiError } from '../api.js';
import type { Command } from '../command.js';
import { confirm } from '../confirm.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad volume claim delete [options] <claim>',
  about: 'Lets the successor of an allocation use another host volume: it is held to the one it had no more (sticky).',
  flags: { yes: { type: 'bool', help: 'Do not ask.' }, y: { type: 'bool', help: 'As -yes.' } },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 1, '<claim>');
    const api = await connect();
    const { ID, AllocName, VolumeName } = await findClaim(api, args[0] as string);
    const sure =
      flags.bool('y') ||
      (await confirm(
        flags,
        `The successor of ${AllocName} may start with another, empty volume "${VolumeName}". Delete claim ${ID}?`,
        'an allocation may start with another volume then: say -yes',
      ));
    if (!sure) return 0;
    await api.delete(`/v1/volumes/claim/${encodeURIComponent(ID)}`);
    output.out(`Claim ${JSON.stringify(ID)} deleted`);
    return 0;
  },
};

async function findClaim(api: ApiClient, prefix: string): Promise<TaskGroupHostVolumeClaim> {
  const { value } = await api.get<TaskGroupHostVolumeClaim[]>('/v1/volumes/claims');
  const exact = value.find(({ ID }) => ID === prefix);
  const found = exact ? [exact] : value.filter(({ ID }) => ID.startsWith(prefix));
  const [claim, ...others] = found;
  if (!claim) throw new ApiError(404, `no claim with prefix or id "${prefix}" found`);
  if (others.length > 0)
    throw new ApiError(0, `"${prefix}" begins more than one claim: ${found.map(({ ID }) => ID).join(', ')}`);
  return claim;
}
