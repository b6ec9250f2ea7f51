import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ExternalPlugins, openExternalPlugins } from '../../lib/plugin/external/open.js';
import type { Driver, DriverOptions } from '../../lib/plugin/sdk/driver.js';
import rawExec from '../../plugins/driver-raw-exec/index.js';
import type { DriverUnderTest } from '../conformance/driver.js';

/** Opens what lies in a plugin directory, as an agent does. */
export async function openPluginDir(options: {
  dir: string;
  stateDir: string;
  log?: DriverOptions['log'];
}): Promise<ExternalPlugins> {
  mkdirSync(options.stateDir, { recursive: true });
  return openExternalPlugins({
    pluginDir: options.dir,
    blocks: {},
    stateDir: join(options.stateDir, 'plugins'),
    log: () => options.log ?? (() => {}),
    openReader: async (given) => rawExec.create(given) as Driver,
  });
}

/** Closes what was opened; what runs goes on. */
export async function closePlugins({ drivers, devices }: ExternalPlugins): Promise<void> {
  for (const one of [...Object.values(drivers), ...Object.values(devices)]) await one.close();
}

/** A driver that runs programs, as the suite of all drivers wants it: driver NAME of the plugin directory. */
export function pluginDriverUnderTest(dir: string, name: string): DriverUnderTest {
  const node = (script: string): Record<string, unknown> => ({ command: process.execPath, args: ['-e', script] });
  return {
    plugin: {
      async create(options) {
        const { drivers } = await openPluginDir({ dir, stateDir: options.stateDir });
        const driver = drivers[name];
        if (!driver) throw new Error(`no driver of this name, but ${Object.keys(drivers).join(', ')}`);
        return driver;
      },
    },
    config: {},
    programs: {
      exits: (code) => ({ command: '/bin/sh', args: ['-c', `exit ${code}`] }),
      runs: { command: '/bin/sleep', args: ['600'] },
      runsFor: (ms) => ({ command: '/bin/sleep', args: [String(ms / 1000)] }),
      stubborn: node("process.on('SIGTERM', () => {}); console.log('ready'); setInterval(() => {}, 1000)"),
      prints: (lines) => ({
        command: '/bin/sh',
        args: ['-c', `i=1; while [ $i -le ${lines} ]; do echo line $i; i=$((i+1)); done`],
      }),
      fails: { config: { command: 'fail' }, message: /no such program/ },
    },
    misspelt: { config: { comand: 'x', command: 'y' }, wrong: 'comand', right: 'command' },
    exec: { command: ['/bin/echo', 'beside'], stdout: 'beside\n' },
    killedCode: 137,
  };
}
