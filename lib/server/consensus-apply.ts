import type { Entry } from '../raft/index.js';
import { decodeCommand } from '../state/command-codec.js';
import type { Command } from '../state/commands.js';
import { MeshError } from '../structs/errors.js';
import type { Log } from '../util/log.js';
import { unknownOutcome } from './consensus-errors.js';
import type { PendingWrites } from './consensus-pending.js';
import { unpackCommand } from './packed-command.js';
import type { StateMachine } from './ports.js';

/** An entry of the log, to be applied. */
export interface ReadEntry {
  /** Null: it is none. */
  readonly command: Command | null;
  /** How many there were to read, unpacked. */
  readonly bytes: number;
}

/** Applies committed entries, and tells whoever proposed them. */
export class Applier {
  readonly #fsm: StateMachine;
  readonly #writes: PendingWrites;
  readonly #log: Log;

  constructor(parts: { fsm: StateMachine; writes: PendingWrites; log: Log }) {
    this.#fsm = parts.fsm;
    this.#writes = parts.writes;
    this.#log = parts.log;
  }

  /**
   * Returns how many bytes of command there were to read, unpacked: the measure of the work to apply them again. Throws
   * MeshError for what this version cannot apply: it must not be passed over.
   */
  apply(entry: Entry): number {
    const read = this.read(entry);
    this.applyRead(entry, read);
    return read.bytes;
  }

  /** The first half of it: what changes nothing yet. */
  read(entry: Entry): ReadEntry {
    if (entry.type !== 'command') return { command: null, bytes: entry.data.length };
    const encoded = unpackCommand(entry.data);
    return { command: decodeCommand(encoded), bytes: encoded.length };
  }

  /** The second half. */
  applyRead(entry: Entry, { command }: ReadEntry): void {
    let result: unknown;
    try {
      if (command !== null) result = this.#fsm.apply(entry.index, command);
    } catch (error) {
      if (error instanceof MeshError) throw error;
      // A defect: every server meets it alike, and passing over it is the only way to ever start again.
      const { message } = error as Error;
      const { index } = entry;
      this.#log.error('a command could not be applied', { index, type: command?.type, error: message });
      const failure = new MeshError('E_INTERNAL', `applying ${command?.type} failed: ${message}`, { cause: error });
      this.#writes.take(index)?.reject(failure);
      return;
    }
    this.#answer(entry, result);
  }

  #answer({ index, term }: Entry, result: unknown): void {
    const write = this.#writes.take(index);
    if (write?.term === term) write.resolve({ index, result });
    else write?.reject(unknownOutcome());
  }
}

/**
 * Bytes of commands, unpacked, that are applied in one turn: some milliseconds of work. A thousand clients that report at once are a
 * thousand entries, all committed together; and a server that starts, or was away, has its whole log to go through.
 */
export const APPLIED_PER_TURN_BYTES = 128 * 1024;
/** A short one is as much work as so many bytes: whoever listens hears of each. */
const ENTRY_BYTES_MIN = 4 * 1024;

/** Applies whatever is committed together, in as many turns as that is work for. */
export class PacedApplier {
  readonly #applier: Applier;
  readonly #soon: (fn: () => void) => void;
  #leftBytes = APPLIED_PER_TURN_BYTES;

  /** `soon` calls a function once the present turn is over. */
  constructor(applier: Applier, soon: (fn: () => void) => void) {
    this.#applier = applier;
    this.#soon = soon;
  }

  /**
   * Applies entries in their order, with rests in between, and tells of each as soon as it is applied. Resolves to the bytes of all as
   * Applier.apply counts them. Rejects with what that throws: nothing behind such an entry is applied.
   */
  async apply(entries: readonly Entry[], applied: (entry: Entry) => void): Promise<number> {
    let bytes = 0;
    for (const entry of entries) {
      if (this.#leftBytes <= 0) await this.#rest();
      const read = this.#applier.read(entry);
      // To read a large one is a turn's work of its own.
      if (read.bytes > APPLIED_PER_TURN_BYTES) await this.#rest();
      this.#applier.applyRead(entry, read);
      bytes += read.bytes;
      this.#leftBytes -= Math.max(read.bytes, ENTRY_BYTES_MIN);
      applied(entry);
    }
    return bytes;
  }

  #rest(): Promise<void> {
    return new Promise((resolve) => {
      this.#soon(() => {
        this.#leftBytes = APPLIED_PER_TURN_BYTES;
        resolve();
      });
    });
  }
}
