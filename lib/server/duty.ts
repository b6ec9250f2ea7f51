import type { Command } from '../state/commands.js';
import type { Commit } from '../state/store.js';
import { MeshError } from '../structs/errors.js';
import type { Millis } from '../util/clock.js';
import type { LeaderPart } from './leader.js';
import { propose } from './propose.js';
import type { ServerWorld } from './world.js';

/** What a duty does comes due slowly: certificates end, keys grow old. */
const LOOK_EVERY_MS: Millis = 10 * 60_000;
/** After a failure: no leader any more, a full disk. */
const RETRY_MS: Millis = 5_000;

export interface DutyOptions {
  name: string;
  /** What is to be done next; undefined when nothing is. Asked again after each one, on the state of then. */
  next: () => Command | undefined | Promise<Command | undefined>;
  /** Hears of each that was done. */
  done?: (command: Command) => void;
  /** A change after which there may be something to do. */
  minds: (change: Commit['changes'][number]) => boolean;
}

/** Something the leader does without being asked, one command after the other, as long as there is something to do. */
export interface Duty extends LeaderPart {
  /** There may be something to do. */
  look(): void;
}

export function createDuty(world: ServerWorld, { name, next, done, minds }: DutyOptions): Duty {
  const log = world.log.child(name);
  let leads = false;
  let busy = false;
  let again = false;
  let cancel = (): void => {};

  async function work(): Promise<void> {
    if (busy || !leads) {
      again = busy;
      return;
    }
    busy = true;
    cancel();
    let waitMs = LOOK_EVERY_MS;
    try {
      for (let command = await next(); command !== undefined && leads; command = await next()) {
        await propose(world.consensus, command);
        done?.(command);
        log.info('done', { what: command.type });
      }
    } catch (error) {
      waitMs = RETRY_MS;
      if (error instanceof MeshError) log.warn('it has to wait', { why: error.message });
      else log.error('a duty failed', { reason: (error as Error).stack ?? String(error) });
    } finally {
      busy = false;
      if (leads) cancel = world.timers.setTimeout(again ? 0 : waitMs, look);
      again = false;
    }
  }

  const look = (): void => void work();

  return {
    name,
    look,
    begin() {
      leads = true;
      world.timers.soon(look);
    },
    end() {
      leads = false;
      cancel();
    },
    saw({ changes }) {
      if (changes.some(minds)) world.timers.soon(look);
    },
  };
}
