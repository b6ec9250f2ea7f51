import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TaskHandle } from '../sdk/driver.js';

/** A start that was begun; `handle` once it has succeeded. */
export interface JournalEntry {
  taskId: string;
  handle: TaskHandle | null;
}

/** Which tasks a plugin was asked to start and not yet to destroy: a crash may come before anybody else knows of one. */
export class TaskJournal {
  readonly #dir: string;

  constructor(stateDir: string) {
    this.#dir = join(stateDir, 'tasks');
  }

  put(entry: JournalEntry): void {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    writeFileSync(this.#pathOf(entry.taskId), JSON.stringify(entry), { mode: 0o600 });
  }

  drop(taskId: string): void {
    rmSync(this.#pathOf(taskId), { force: true });
  }

  /** Entries that cannot be read are left out: a crash may have cut one. */
  all(): JournalEntry[] {
    let names: string[];
    try {
      names = readdirSync(this.#dir);
    } catch {
      return [];
    }
    return names.flatMap((name) => {
      try {
        const { taskId, handle } = JSON.parse(readFileSync(join(this.#dir, name), 'utf8'));
        return typeof taskId === 'string' ? [{ taskId, handle }] : [];
      } catch {
        return [];
      }
    });
  }

  #pathOf(taskId: string): string {
    return join(this.#dir, createHash('sha256').update(taskId).digest('hex').slice(0, 24));
  }
}
