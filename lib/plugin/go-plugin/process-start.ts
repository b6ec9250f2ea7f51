import { readFileSync } from 'node:fs';
import { bootId } from '../sdk/boot-id.js';

/** When a process started, in a form that tells it from any other of the same number, also after a restart of the machine; null when there is none. */
export function processStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name stands in brackets and may itself hold any character: what counts begins after the last bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state] = fields;
    if (state === 'Z' || state === 'X') return null;
    return `${bootId()}/${fields[19]}`;
  } catch {
    return null;
  }
}
