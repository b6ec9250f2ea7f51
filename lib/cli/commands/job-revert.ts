import type { Job } from '../../structs/job.js';
import { type ApiClient, ApiError } from '../api.js';
import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';
import { revertJob } from '../revert.js';

export const command: Command = {
  usage: 'meshnomad job revert [options] <job> <version|tag>',
  about: 'Brings an earlier version of a job back, as a new version. "meshnomad job history" tells which there are.',
  flags: {
    detach: { type: 'bool', help: "Do not watch: print the evaluation's id and end." },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args } = context;
    takeArgs(args, 2, 2, '<job> <version|tag>');
    const api = await context.api();
    const id = await findJobId(api, args[0] as string);
    const version = await findVersion(api, id, args[1] as string);
    return revertJob(context, api, { JobID: id, JobVersion: version, EnforcePriorVersion: null });
  },
};

/** The version that a number or a tag means. */
async function findVersion(api: ApiClient, id: string, text: string): Promise<number> {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const { value } = await api.get<{ Versions: Job[] }>(`/v1/job/${encodeURIComponent(id)}/versions`);
  const tagged = value.Versions.find(({ VersionTag }) => VersionTag?.Name === text);
  if (tagged) return tagged.Version;
  const tags = value.Versions.flatMap(({ VersionTag }) => VersionTag?.Name ?? []);
  const known = tags.length > 0 ? `its tags are ${tags.join(', ')}` : 'it has no tags';
  throw new ApiError(0, `version tag ${text} not found for job ${id}: ${known}`);
}
