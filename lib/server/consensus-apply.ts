import type { Entry } from '../raft/index.js';
import { decodeCommand } from '../state/command-codec.js';
import { MeshError } from '../structs/errors.js';
import type { Log } from '../util/log.js';
import { unknownOutcome } from './consensus-errors.js';
import type { PendingWrites } from './consensus-pending.js';
import { unpackCommand } from './packed-command.js';
import type { StateMachine } from './ports.js';

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
    if (entry.type === 'command') return this.#applyCommand(entry);
    this.#answer(entry, undefined);
    return entry.data.length;
  }

  #applyCommand(entry: Entry): number {
    const encoded = unpackCommand(entry.data);
    const command = decodeCommand(encoded);
    let result: unknown;
    try {
      result = this.#fsm.apply(entry.index, command);
    } catch (error) {
      if (error instanceof MeshError) throw error;
      // A defect: every server meets it alike, and passing over it is the only way to ever start again.
      const { message } = error as Error;
      const { index } = entry;
      this.#log.error('a command could not be applied', { index, type: command.type, error: message });
      const failure = new MeshError('E_INTERNAL', `applying ${command.type} failed: ${message}`, { cause: error });
      this.#writes.take(index)?.reject(failure);
      return encoded.length;
    }
    this.#answer(entry, result);
    return encoded.length;
  }

  #answer({ index, term }: Entry, result: unknown): void {
    const write = this.#writes.take(index);
    if (write?.term === term) write.resolve({ index, result });
    else write?.reject(unknownOutcome());
  }
}
