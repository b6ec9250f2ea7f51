import type { BackupPlan, VolumeArchiveStub } from '../../structs/volume-data.js';
import { type ApiClient, ApiError } from '../api.js';
import { type Command, type Context, type Flags, UsageError } from '../command.js';
import { takeArgs } from '../print.js';
import {
  archiveTable,
  archiveText,
  type Begun,
  backupPath,
  endOf,
  followOperation,
  readArchive,
  snapshotText,
  UNKNOWN_END,
  WHICH_FLAGS,
  whichVolume,
} from '../volume-backups.js';

const KEEPS = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

export const command: Command = {
  usage: 'meshnomad volume backup [options] [volume]',
  about:
    'Makes a backup of a volume: what is new since the last one is stored, encrypted, on its node, and copied to others. A volume is named by its id or name. With -list it shows backups, with -cron, -keep or -replicas it says what is to be done by itself.',
  flags: {
    list: { type: 'bool', help: 'Show the backups of a volume; without one, all volumes that have some.' },
    forget: { type: 'list', value: 'backup', help: 'Forget this backup; what only it needs is given back.' },
    'forget-all': { type: 'bool', help: 'Forget all backups of the volume, with all copies, and its schedule.' },
    cron: { type: 'string', value: 'expression', help: 'Back up by itself at these times; "" = no more.' },
    'time-zone': { type: 'string', value: 'zone', help: 'For -cron; default UTC.' },
    replicas: { type: 'int', value: 'n', help: 'So many other nodes have a copy; default 2.' },
    keep: { type: 'int', value: 'n', help: 'Keep the last so many backups; 0 and no other -keep: all.' },
    ...Object.fromEntries(
      KEEPS.map((name) => [`keep-${name}`, { type: 'int' as const, value: 'n', help: `Keep so many ${name} ones.` }]),
    ),
    ...WHICH_FLAGS,
    detach: { type: 'bool', help: 'Do not wait for the backup to be made.' },
    json: { type: 'bool', help: 'JSON: of a list the whole, of a backup a line for each step.' },
    verbose: { type: 'bool', help: 'Show whole ids and times, and who has which copy.' },
  },
  async run(context) {
    const { args, flags } = context;
    takeArgs(args, flags.bool('list') ? 0 : 1, 1, '[volume]');
    const [volume] = args;
    const api = await context.api();
    if (volume === undefined) return list(context, api);
    if (flags.bool('list')) return show(context, api, volume);
    if (flags.list('forget').length > 0 || flags.bool('forget-all')) return forget(context, api, volume);
    const plan = planOf(flags);
    if (plan) return setPlan(context, api, { volume, plan });
    return backUp(context, api, volume);
  },
};

async function list({ flags, output }: Context, api: ApiClient): Promise<number> {
  const { value } = await api.get<VolumeArchiveStub[]>('/v1/volumes/backups');
  if (flags.bool('json')) output.out(JSON.stringify(value, null, 4));
  else if (value.length === 0) output.out('No volume has backups');
  else output.out(archiveTable(value, { verbose: flags.bool('verbose'), nowMs: Date.now() }));
  return 0;
}

async function show({ flags, output }: Context, api: ApiClient, volume: string): Promise<number> {
  const archive = await readArchive(api, volume, whichVolume(flags));
  if (flags.bool('json')) output.out(JSON.stringify(archive, null, 4));
  else if (!archive) output.out(`Volume ${JSON.stringify(volume)} has no backups`);
  else output.out(archiveText(archive, { verbose: flags.bool('verbose'), nowMs: Date.now() }));
  return 0;
}

async function forget({ flags, output }: Context, api: ApiClient, volume: string): Promise<number> {
  const ids = flags.list('forget');
  const which = whichVolume(flags);
  if (flags.bool('forget-all')) {
    if (ids.length > 0) throw new UsageError('-forget and -forget-all exclude each other');
    await api.delete(backupPath(volume), { all: true, ...which });
    output.out(`All backups of volume ${JSON.stringify(volume)} are forgotten`);
    return 0;
  }
  for (const id of ids) {
    await api.delete(backupPath(volume), { snapshot: id, ...which });
    output.out(`Backup ${id} of volume ${JSON.stringify(volume)} is forgotten`);
  }
  return 0;
}

/** What is to be done by itself; undefined when nothing of it is said. */
function planOf(flags: Flags): Partial<BackupPlan> | undefined {
  const plan: Partial<BackupPlan> = {};
  const [cron, zone, replicas] = [flags.string('cron'), flags.string('time-zone'), flags.int('replicas')];
  if (cron !== undefined) plan.Cron = cron;
  if (zone !== undefined) plan.TimeZone = zone;
  if (replicas !== undefined) plan.Replicas = replicas;
  const keeps = KEEPS.map((name) => flags.int(`keep-${name}`));
  const last = flags.int('keep');
  if (last !== undefined || keeps.some((count) => count !== undefined)) {
    const [Hourly = 0, Daily = 0, Weekly = 0, Monthly = 0, Yearly = 0] = keeps;
    plan.Keep = { Last: last ?? 0, Hourly, Daily, Weekly, Monthly, Yearly };
  }
  return Object.keys(plan).length === 0 ? undefined : plan;
}

async function setPlan(
  context: Context,
  api: ApiClient,
  { volume, plan }: { volume: string; plan: Partial<BackupPlan> },
): Promise<number> {
  await api.put(`${backupPath(volume)}/plan`, { Plan: plan }, { ...whichVolume(context.flags) });
  return show(context, api, volume);
}

async function backUp({ flags, output }: Context, api: ApiClient, volume: string): Promise<number> {
  const which = whichVolume(flags);
  const json = flags.bool('json');
  const verbose = flags.bool('verbose');
  const { value } = await api.put<Begun>(backupPath(volume), {}, { ...which });
  const operation = value.Operation;
  if (flags.bool('detach')) {
    output.out(
      json ? JSON.stringify(operation) : `Backup ${operation.ID.slice(0, 8)} begins: see volume backup -list ${volume}`,
    );
    return 0;
  }
  if (!json) output.out(`==> Backing up volume ${volume}`);
  const archive = await followOperation(api, value, { output, json, volume });
  const last = endOf(archive, operation);
  if (last?.Step !== 'done') throw new ApiError(0, `The backup has failed: ${last?.Message ?? UNKNOWN_END}`);
  const snapshot = archive.Snapshots.find(({ ID }) => ID === last.SnapshotID);
  if (!snapshot) throw new ApiError(0, 'The backup was made, and was let go meanwhile: see -keep');
  if (json) output.out(JSON.stringify({ Operation: last, Snapshot: snapshot }));
  else for (const line of snapshotText(snapshot, { verbose })) output.out(`    ${line}`);
  if (!json && archive.Health !== '' && archive.Plan.Replicas > 0) {
    output.out(`    Copies on other nodes follow (${archive.Health}): see volume backup -list ${volume}`);
  }
  return 0;
}
