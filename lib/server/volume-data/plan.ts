import { MeshError } from '../../structs/errors.js';
import {
  type BackupBlock,
  type BackupKeep,
  type BackupPlan,
  DEFAULT_BACKUP_PLAN,
  KEEP_EVERYTHING,
} from '../../structs/volume-data.js';
import { nextLaunch, parseCron } from '../../util/cron.js';
import { zoneOffset } from '../../util/time-zone.js';

const REPLICAS_MAX = 16;
const KEEP_MAX = 1_000;

/** A plan as somebody gives it, over the one that holds. Throws E_BAD_REQUEST saying what is wrong. */
export function checkPlan(given: Partial<BackupPlan>, before: BackupPlan): BackupPlan {
  const refuse = (what: string): never => {
    throw new MeshError('E_BAD_REQUEST', `backup: ${what}`);
  };
  const { Cron = before.Cron, TimeZone = before.TimeZone, Replicas = before.Replicas } = given;
  if (typeof Cron !== 'string' || typeof TimeZone !== 'string') refuse('cron and time_zone are texts');
  const cron = Cron === '' ? null : parseCron(Cron);
  if (cron && !cron.ok) refuse(`cron "${Cron}": ${cron.error}`);
  if (cron?.ok && nextLaunch(cron.value, 0, () => 0) === undefined) refuse(`cron "${Cron}" never comes`);
  if (zoneOffset(TimeZone || 'UTC') === undefined) refuse(`time_zone "${TimeZone}" is not known`);
  if (!Number.isInteger(Replicas) || Replicas < 0 || Replicas > REPLICAS_MAX) {
    refuse(`replicas is a number from 0 to ${REPLICAS_MAX}`);
  }
  const Keep: BackupKeep = given.Keep ? { ...KEEP_EVERYTHING, ...given.Keep } : before.Keep;
  for (const [name, count] of Object.entries(Keep)) {
    if (!(name in KEEP_EVERYTHING)) refuse(`unknown kind of keep "${name}"`);
    if (!Number.isInteger(count) || count < 0 || count > KEEP_MAX) refuse(`keep is a number from 0 to ${KEEP_MAX}`);
  }
  return { Cron, TimeZone: TimeZone || 'UTC', Replicas, Keep };
}

/** The plan that the `backup` block of a volume's specification means; what is absent is as for volumes without one. */
export function planOfBlock(block: BackupBlock | null | undefined): BackupPlan | null {
  if (!block || typeof block !== 'object') return null;
  const { Cron, TimeZone, Replicas, KeepLast, KeepHourly, KeepDaily, KeepWeekly, KeepMonthly, KeepYearly } = block;
  const before = DEFAULT_BACKUP_PLAN;
  const given = {
    Cron: Cron ?? before.Cron,
    TimeZone: TimeZone ?? before.TimeZone,
    Replicas: Replicas ?? before.Replicas,
    Keep: {
      Last: KeepLast ?? 0,
      Hourly: KeepHourly ?? 0,
      Daily: KeepDaily ?? 0,
      Weekly: KeepWeekly ?? 0,
      Monthly: KeepMonthly ?? 0,
      Yearly: KeepYearly ?? 0,
    },
  };
  return checkPlan(given, before);
}
