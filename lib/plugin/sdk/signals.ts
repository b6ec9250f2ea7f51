import { constants } from 'node:os';
import { nearest } from '../../util/nearest.js';
import { DriverError } from './driver.js';

/** The number of a signal given as "SIGHUP", "HUP" or "1"; throws a DriverError that names the nearest one. */
export function signalNumber(name: string): number {
  const word = name.trim().toUpperCase();
  if (/^\d+$/.test(word) && Number(word) > 0 && Number(word) < 65) return Number(word);
  const known = constants.signals as Record<string, number>;
  const number = known[word] ?? known[`SIG${word}`];
  if (number !== undefined) return number;
  const near = nearest(word.startsWith('SIG') ? word : `SIG${word}`, Object.keys(known));
  throw new DriverError(`unknown signal "${name}"${near ? `; did you mean "${near}"?` : ''}`, { recoverable: false });
}

/** The name of a signal's number, as "SIGKILL". */
export function signalName(number: number): string {
  const found = Object.entries(constants.signals).find(([, value]) => value === number);
  return found ? found[0] : String(number);
}
