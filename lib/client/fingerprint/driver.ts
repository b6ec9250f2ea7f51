import type { Driver, DriverFingerprint } from '../../plugin/sdk/driver.js';
import type { DriverInfo } from '../../structs/node.js';
import type { Millis } from '../../util/clock.js';
import { toRfc3339 } from '../timers.js';

/** Drivers are asked again after this long: an engine may be started or stopped at any time. */
export const DRIVER_PERIOD_MS: Millis = 30_000;

/** What a driver says of itself now; one that throws is unhealthy. */
export async function askDriver(driver: Driver): Promise<DriverFingerprint> {
  try {
    return await driver.fingerprint();
  } catch (error) {
    const healthDescription = error instanceof Error ? error.message : String(error);
    return { health: 'unhealthy', healthDescription, attributes: {} };
  }
}

/** The node's entry for a driver. */
export function driverInfo(name: string, found: DriverFingerprint, nowMs: Millis): DriverInfo {
  const healthy = found.health === 'healthy';
  return {
    Detected: found.health !== 'undetected',
    Healthy: healthy,
    HealthDescription: found.healthDescription === '' && healthy ? 'Healthy' : found.healthDescription,
    Attributes: driverAttributes(name, found),
    UpdateTime: toRfc3339(nowMs),
  };
}

/** The driver's attributes, and `driver.NAME = "1"` while it can be used. */
export function driverAttributes(name: string, found: DriverFingerprint): Record<string, string> {
  return found.health === 'healthy' ? { ...found.attributes, [`driver.${name}`]: '1' } : {};
}
