import t from 'tap';
import { driverConformance } from '../conformance/driver.js';
import { makePluginPlace } from '../support/go-plugin-server.js';
import { openPluginDir } from '../support/plugin-driver.js';

const place = makePluginPlace();
place.addServer('driver', 'driver', 'test');
t.teardown(() => place.remove());

const node = (script: string): Record<string, unknown> => ({ command: process.execPath, args: ['-e', script] });

driverConformance('a driver that is a program of its own', {
  plugin: {
    async create(options) {
      const { drivers } = await openPluginDir({ dir: place.dir, stateDir: options.stateDir });
      const driver = drivers['test'];
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
});
