import type Docker from 'dockerode';
import type { DriverOptions } from '../../lib/plugin/sdk/driver.js';
import { NETWORK_LABEL, OWNER_LABEL } from './labels.js';

/** Which containers are looked for. */
export interface UnknownOptions {
  /** Whose containers: the agent's with this state directory. */
  stateDir: string;
  isKnown: (id: string, name: string) => boolean;
  /** Ended ones stay. */
  keepsEnded: boolean;
  /** Younger ones stay. */
  graceMs: number;
  /** They are told of, and stay. */
  isDryRun: boolean;
  log: DriverOptions['log'];
  /** Removes what was kept for a container that is gone. */
  forget: (id: string) => Promise<void>;
}

/** Removes the containers of an agent that it does not know; gives what was removed, in words. */
export async function removeUnknown(engine: Docker, options: UnknownOptions): Promise<string[]> {
  const removed: string[] = [];
  const { isKnown, isDryRun } = options;
  const filters = { label: [`${OWNER_LABEL}=${options.stateDir}`] };
  for (const { Id: id, Names, Created, Labels, State } of await engine.listContainers({ all: true, filters })) {
    const name = (Names[0] ?? id).replace(/^\//, '');
    // Who holds a network goes with it.
    if (isKnown(id, name) || Labels[NETWORK_LABEL] !== undefined) continue;
    if (State !== 'running' && options.keepsEnded) continue;
    if (Date.now() - Created * 1000 < options.graceMs) continue;
    options.log('warn', 'a container that no task of this agent has', { container: name, removed: !isDryRun });
    if (isDryRun) continue;
    await engine.getContainer(id).remove({ force: true, v: true });
    await options.forget(id);
    removed.push(`container ${name}`);
  }
  return removed;
}
