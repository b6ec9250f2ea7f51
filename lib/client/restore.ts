import { type Driver, DriverError, type DriverEvent, type TaskConfig, type TaskHandle } from '../plugin/sdk/driver.js';
import type { Log } from '../util/log.js';

// After a restart of the agent: is the task still there?

export type Recovery =
  /** The driver has it again; if it ended meanwhile, waitTask tells how. */
  | 'attached'
  /** It does not exist any more (the machine was restarted): it must be started again. */
  | 'gone'
  /** The engine does not answer; its tasks may well run. Starting another now could make two of them. */
  | 'unknown';

/** Asks the driver to take a task up again. Never throws. */
export async function recoverTask(
  driver: Driver,
  handle: TaskHandle,
  config: TaskConfig,
  { log, onEvent }: { log: Log; onEvent: (event: DriverEvent) => void },
): Promise<Recovery> {
  const fields = { task: config.name, alloc: config.allocId };
  try {
    await driver.recoverTask(handle, config, { onEvent });
    log.info('task is attached again', fields);
    return 'attached';
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (error instanceof DriverError && error.recoverable) {
      log.warn('driver cannot say whether the task runs, it will be asked again', { ...fields, why });
      return 'unknown';
    }
    log.warn('task is gone, it will be started again', { ...fields, why });
    return 'gone';
  }
}
