import type { StateMachine } from '../../lib/server/ports.js';
import type { Command } from '../../lib/state/commands.js';

/** A state machine that remembers every value in order: what was applied twice, or not at all, shows. */
export interface Ledger extends StateMachine {
  readonly rows: { index: number; value: string }[];
}

/** A command as the ledger takes it; consensus does not look inside. */
export function write(value: string): Command {
  return { type: 'ledger', value } as unknown as Command;
}

export function createLedger(): Ledger {
  const rows: { index: number; value: string }[] = [];
  return {
    rows,
    apply(index, command) {
      const { value } = command as unknown as { value: string };
      if (value === 'defect') throw new Error('planted');
      rows.push({ index, value });
      return `applied ${value}`;
    },
    snapshot() {
      const held = rows.slice();
      return async function* () {
        for (const row of held) yield new TextEncoder().encode(`${JSON.stringify(row)}\n`);
      };
    },
    async restore(stream) {
      const parts: Uint8Array[] = [];
      for await (const part of stream) parts.push(part);
      const lines = Buffer.concat(parts).toString().split('\n').filter(Boolean);
      rows.splice(0, rows.length, ...lines.map((line) => JSON.parse(line)));
    },
  };
}

/** How long the filler of the nth value of a writer is: a value cut in the middle shows. */
export function fillerLength(n: number): number {
  return (n * 37) % 900;
}
