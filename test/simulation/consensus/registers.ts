import type { StateMachine } from '../../../lib/server/ports.js';
import type { Command } from '../../../lib/state/commands.js';

/** A command of the simulation, as consensus takes any: it does not look inside. */
export function writeCommand(key: string, value: string): Command {
  return { type: 'write', key, value } as unknown as Command;
}

interface Kept {
  index: number;
  hash: number;
  values: [string, string][];
}

function mix(hash: number, text: string): number {
  let h = hash ^ 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** The replicated state: a few registers, and a digest of all that was ever applied. */
export class Registers implements StateMachine {
  index = 0;
  hash = 0;
  values = new Map<string, string>();
  readonly #watch: (index: number, hash: number) => void;

  constructor(watch: (index: number, hash: number) => void) {
    this.#watch = watch;
  }

  apply(index: number, command: Command): unknown {
    const { key, value } = command as unknown as { key: string; value: string };
    if (index <= this.index) throw new Error(`entry ${index} is applied after ${this.index}`);
    this.index = index;
    this.hash = mix(this.hash, `${index} ${key}=${value}`);
    this.values.set(key, value);
    this.#watch(index, this.hash);
    return value;
  }

  snapshot(): () => AsyncIterable<Uint8Array> {
    const kept: Kept = { index: this.index, hash: this.hash, values: [...this.values] };
    const bytes = new TextEncoder().encode(JSON.stringify(kept));
    return async function* () {
      yield bytes.subarray(0, bytes.length >> 1);
      yield bytes.subarray(bytes.length >> 1);
    };
  }

  async restore(stream: AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const part of stream) parts.push(part);
    const { index, hash, values } = JSON.parse(Buffer.concat(parts).toString()) as Kept;
    this.index = index;
    this.hash = hash;
    this.values = new Map(values);
    if (index > 0) this.#watch(index, hash);
  }
}
