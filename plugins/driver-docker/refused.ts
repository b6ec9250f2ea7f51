import { DriverError } from '../../lib/plugin/sdk/driver.js';

/** What a job asks for and cannot have here. */
export function refused(message: string): DriverError {
  return new DriverError(message, { recoverable: false });
}

/** Throws the DriverError of a start that nobody wants any more. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new DriverError('the start was called off', { recoverable: true });
}
