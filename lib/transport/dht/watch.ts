import { localHosts } from './addresses.js';

const LOOK_MS = 2_000;
/** A timer so late means that the machine slept. */
const SLEPT_MS = 8_000;

/** Calls `changed` when this machine's addresses changed or it woke up. */
export function watchMachine(changed: (why: 'addresses' | 'woke') => void): { stop: () => void } {
  const now = (): string =>
    localHosts()
      .map(({ host, prefix }) => `${host}/${prefix}`)
      .sort()
      .join(' ');
  let addresses = now();
  // The wall clock: the other one stands still while the machine sleeps. That it is set costs one look at the network.
  let lookedAt = Date.now();
  const timer = setInterval(() => {
    const late = Date.now() - lookedAt - LOOK_MS;
    lookedAt = Date.now();
    const found = now();
    const moved = found !== addresses;
    addresses = found;
    if (moved) changed('addresses');
    else if (late > SLEPT_MS) changed('woke');
  }, LOOK_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
