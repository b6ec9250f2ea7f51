import { DriverError } from '../../lib/plugin/sdk/driver.js';

/** What a job asks for and cannot have here. */
export function refused(message: string): DriverError {
  return new DriverError(message, { recoverable: false });
}
