import { Duplex } from 'node:stream';
import { type Driver, DriverError } from '../sdk/driver.js';

/** Stands in the node's list of drivers for a plugin that cannot be used, under the name of its file, and says why. */
export function brokenDriver(name: string, why: () => string, close: () => Promise<void>): Driver {
  const fail = async (): Promise<never> => {
    throw new DriverError(why(), { recoverable: false });
  };
  return {
    name,
    capabilities: { sendSignals: false, exec: false, fsIsolation: 'none' },
    decodeConfig: () => ({ problems: [{ path: '', message: why() }] }),
    fingerprint: async () => ({ health: 'unhealthy', healthDescription: why(), attributes: {} }),
    startTask: fail,
    recoverTask: fail,
    waitTask: fail,
    stopTask: fail,
    destroyTask: async () => {},
    signalTask: fail,
    taskStats: fail,
    execTask: () =>
      new Duplex({
        objectMode: true,
        read() {
          this.destroy(new DriverError(why(), { recoverable: false }));
        },
      }),
    close,
  };
}
