import { join } from 'node:path';
import type { Allocation } from '../structs/allocation.js';
import { groupOf } from '../structs/group-of.js';
import type { Log } from '../util/log.js';
import { type TimelessEvent, taskEvents } from './task-events.js';
import { treeSize } from './tree-size.js';

const MIB = 1 << 20;
/** As many are named. */
const NAMED_MAX = 3;

/** An allocation that has not ended. */
export interface DiskUser {
  id: string;
  alloc: Allocation;
  tell(event: TimelessEvent): void;
}

/** A look at the disk of allocations. */
export interface DiskState {
  /** Beyond the limit, and nothing is left that could be removed. */
  isFull: boolean;
  /** How full it is, in words. */
  why: string;
  allocDir: string;
  users: readonly DiskUser[];
}

/**
 * Tells of a disk that is too full although nothing is left to be removed, and once more when it has room again: who uses most of it
 * in the log, and in the story of each task whose group has written more than its `ephemeral_disk`, which is not enforced.
 */
export class DiskWatch {
  private readonly log: Log;
  private isFull = false;

  constructor(log: Log) {
    this.log = log;
  }

  async look(state: DiskState): Promise<void> {
    const { isFull, why } = state;
    if (isFull === this.isFull) return;
    this.isFull = isFull;
    const { log } = this;
    if (!isFull) {
      log.info('the disk of allocations has room again', { why });
      return;
    }
    const largest = await measure(state.allocDir, state.users);
    const named = largest.slice(0, NAMED_MAX).map(({ user, usedMb }) => `${user.alloc.Name} (${user.id}) ${usedMb} MB`);
    log.warn('the disk is too full, and no ended allocation is left to be removed: make room, or stop what fills it', {
      why,
      largest: named.join(', ') || 'no allocation has anything there',
    });
  }
}

/** The largest first. Those over their share are told. */
async function measure(allocDir: string, users: readonly DiskUser[]): Promise<{ user: DiskUser; usedMb: number }[]> {
  const found: { user: DiskUser; usedMb: number }[] = [];
  for (const user of users) {
    const usedMb = Math.round((await treeSize(join(allocDir, user.id))) / MIB);
    if (usedMb > 0) found.push({ user, usedMb });
    const group = groupOf(user.alloc.Job, user.alloc.TaskGroup);
    const shareMb = group?.EphemeralDisk.SizeMB ?? 0;
    if (shareMb > 0 && usedMb > shareMb) user.tell(taskEvents.diskExceeded(usedMb, shareMb));
  }
  return found.sort((a, b) => b.usedMb - a.usedMb);
}
