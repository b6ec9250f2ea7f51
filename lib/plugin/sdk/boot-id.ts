import { readFileSync } from 'node:fs';

let known: string | undefined;

/** Tells this start of the machine from any other; '' where the kernel does not say. */
export function bootId(): string {
  if (known === undefined) {
    try {
      known = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    } catch {
      known = '';
    }
  }
  return known;
}
