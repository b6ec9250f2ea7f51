// A process that runs a client over raw_exec, for client-kill.test.ts to kill: the allocations come from a file, so that
// every incarnation hears the same wish. Usage: node client-agent.js DIR; prints one line of JSON a change.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from '../../lib/client/client.js';
import { defaultClientConfig } from '../../lib/client/config.js';
import { createDrivers } from '../../lib/plugin/registry.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import { createLog, formatLogLine } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { FakeServer } from '../client/fakes.js';

const dir = process.argv[2] as string;
const log = createLog((record) => process.stderr.write(`${formatLogLine(record, new Date().toISOString())}\n`));
const server = new FakeServer();
const set = createDrivers({
  // Its tasks are ended by the test, and nobody would remove their cgroups.
  blocks: { raw_exec: { args: [], config: { enabled: true, no_cgroups: true }, package: null } },
  enable: ['raw_exec'],
  stateDir: join(dir, 'drivers'),
  log: (name) => (level, message, fields) => log.child(name)[level](message, fields as Record<string, string>),
});
const driver = await set.get('raw_exec');
if (!driver) throw new Error('no raw_exec');
const client = await createClient({
  rpc: server,
  drivers: { raw_exec: driver },
  config: defaultClientConfig({ stateDir: join(dir, 'client'), allocDir: join(dir, 'alloc'), nodeName: 'box' }),
  httpAddr: '127.0.0.1:4646',
  version: '0.1.0',
  log,
  now: () => Date.now(),
  random: seededRandom(process.pid),
});
const say = (message: object): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};
const began = performance.now();
await client.start();
say({ attachedMs: performance.now() - began });
const wish = JSON.parse(readFileSync(join(dir, 'wish.json'), 'utf8')) as Allocation[];
for (const alloc of wish) server.allocs.set(alloc.ID, { ...alloc, NodeID: client.nodeId });
server.index = 100;
server.wake();
setInterval(() => {
  const states = wish.map(({ ID }) => {
    const report = server.reported(ID);
    return {
      ID,
      status: report?.ClientStatus,
      exit: report?.TaskStates?.['web']?.Events.findLast((e) => e.Type === 'Terminated')?.ExitCode,
    };
  });
  say({ states });
}, 20);
