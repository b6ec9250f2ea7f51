import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Client, createClient } from '../../lib/client/client.js';
import { defaultClientConfig } from '../../lib/client/config.js';
import { createDrivers } from '../../lib/plugin/registry.js';
import { schedule } from '../../lib/scheduler/index.js';
import { createServer } from '../../lib/server/server.js';
import { createStore } from '../../lib/state/store.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Job } from '../../lib/structs/job.js';
import type { StreamFrame } from '../../lib/structs/rpc.js';
import { localCaller } from '../../lib/transport/local.js';
import { createLog, formatLogLine } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { until } from '../client/fakes.js';
import { createFakeConsensus } from '../server/world.js';
import { getEngine, importBusybox, type TestEngine } from '../support/dockerd.js';

const IMAGE = 'meshnomad-test:1';

/** A server and a client in one process, with real drivers. */
class World {
  told = '';
  readonly dir = mkdtempSync(join(tmpdir(), 'server-client-'));
  readonly store = createStore();
  private readonly random = seededRandom(7);
  private readonly consensus = createFakeConsensus(this.store);
  private readonly log = createLog((record) => {
    this.told += `${formatLogLine(record, new Date().toISOString())}\n`;
  });
  private readonly server = createServer({
    consensus: this.consensus,
    store: this.store,
    schedule,
    now: () => Date.now(),
    random: this.random,
    log: this.log,
    config: { region: 'global' },
  });
  readonly rpc = localCaller(this.server.handlers, this.server.streamHandlers);

  constructor(t: Test) {
    this.server.start();
    this.consensus.lead(true);
    t.teardown(() => {
      this.server.stop();
      rmSync(this.dir, { recursive: true, force: true });
    });
  }

  async client(stateDir: string | null, docker = ''): Promise<{ client: Client; end: () => Promise<void> }> {
    const drivers = createDrivers({
      blocks: docker === '' ? {} : { docker: { args: [], config: { endpoint: docker }, package: null } },
      enable: ['raw_exec'],
      stateDir: join(this.dir, 'drivers'),
      log: () => () => {},
    });
    const names = docker === '' ? ['raw_exec'] : ['raw_exec', 'docker'];
    const loaded = await Promise.all(names.map(async (name) => [name, await drivers.get(name)] as const));
    const client = await createClient({
      rpc: this.rpc,
      drivers: Object.fromEntries(loaded.flatMap(([name, driver]) => (driver ? [[name, driver]] : []))),
      config: defaultClientConfig({ stateDir, allocDir: join(this.dir, 'alloc'), nodeName: 'box' }),
      httpAddr: '127.0.0.1:4646',
      version: '0.1.0',
      log: this.log,
      now: () => Date.now(),
      random: this.random,
    });
    await client.start();
    this.server.registerNodeLink(client.nodeId, localCaller(client.handlers, client.streamHandlers));
    const end = async (): Promise<void> => {
      await client.shutdown();
      await drivers.close();
    };
    return { client, end };
  }

  async run(ID: string, count: number, task: object): Promise<void> {
    const Resources = { CPU: 20, MemoryMB: 32 };
    const TaskGroups = [{ Name: 'g', Count: count, Tasks: [{ Name: 'web', Resources, ...task }] }];
    await this.rpc.call('Job.Register', {
      Job: { ID, Name: ID, Type: 'service', TaskGroups } as unknown as Partial<Job>,
    });
    const running = (): number => this.allocs(ID).filter(({ ClientStatus }) => ClientStatus === 'running').length;
    await this.until(() => running() === count, `${ID} runs`);
  }

  allocs(job: string): Allocation[] {
    return [...this.store.snapshot().allocsByJob('default', job)];
  }

  async until(test: () => boolean, what: string): Promise<void> {
    await until(test, what).catch((error: Error) => {
      throw new Error(`${error.message}: ${this.told}`);
    });
  }

  /** What the task has written to stdout; waits until there is something. */
  async output(AllocID: string): Promise<string> {
    const where = { AllocID, Task: 'web', LogType: 'stdout', Offset: 0, Origin: 'start', Follow: false } as const;
    for (const deadline = Date.now() + 5_000; Date.now() < deadline; ) {
      let text = '';
      for await (const frame of this.rpc.stream('FileSystem.Logs', where)) {
        text += Buffer.from((frame as StreamFrame).Data ?? []).toString();
      }
      if (text !== '') return text;
    }
    return '';
  }
}

t.test('from a job to running tasks and back, server and client in one process', async (t) => {
  const world = new World(t);
  const began = performance.now();
  const { client, end } = await world.client(null);
  t.teardown(end);
  await world.until(() => world.store.snapshot().nodeById(client.nodeId)?.Status === 'ready', 'node ready');
  t.comment(`node ready after ${(performance.now() - began).toFixed(0)} ms`);
  const args = ['-c', 'echo hello $NOMAD_ALLOC_INDEX; exec sleep 60'];
  const task = { Driver: 'raw_exec', Config: { command: '/bin/sh', args } };
  for (const [name, count] of [
    ['one', 1],
    ['two', 1],
    ['ten', 10],
  ] as const) {
    const start = performance.now();
    await world.run(name, count, task);
    t.comment(`${name}: ${count} running after ${(performance.now() - start).toFixed(0)} ms`);
  }
  const id = world.allocs('one')[0]?.ID ?? '';
  t.equal(await world.output(id), 'hello 0\n', 'its log is read through the server');
  const stats = await world.rpc.call('Allocations.Stats', { AllocID: id });
  t.ok(stats.ResourceUsage.MemoryStats.RSS > 0);
  await world.rpc.call('Job.Deregister', { JobID: 'one' });
  await world.until(() => world.store.snapshot().allocById(id)?.ClientStatus === 'complete', 'stopped');
  t.notMatch(world.told, /\[ERROR\]/);
  await end();
  t.same(processesOf(world.dir), [], 'without a memory the client has ended all it ran, and begun nothing instead');
});

/** Programs that were started with a path below a directory. */
function processesOf(dir: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes(`${dir}/`));
}

const engine = await getEngine();
if ('missing' in engine) t.test('the same with a container', { skip: engine.missing }, async () => {});
else t.test('the same with a container, which outlives its client', (t) => withContainer(t, engine));

async function withContainer(t: Test, engine: TestEngine): Promise<void> {
  t.teardown(() => engine.stop());
  await importBusybox(engine, IMAGE);
  const world = new World(t);
  const first = await world.client(join(world.dir, 'client'), engine.endpoint);
  const script = 'date > /alloc/data/since; touch /local/x /secrets/y; echo $NOMAD_TASK_DIR $NOMAD_DC; exec sleep 600';
  const start = performance.now();
  const Config = { image: IMAGE, command: '/bin/sh', args: ['-c', script] };
  // A shell as first process of a container does not hear SIGTERM: it has to be killed.
  await world.run('box', 1, { Driver: 'docker', Config, KillTimeout: 1e9 });
  t.comment(`running after ${(performance.now() - start).toFixed(0)} ms`);
  const id = world.allocs('box')[0]?.ID ?? '';
  await first.end();
  const second = await world.client(join(world.dir, 'client'), engine.endpoint);
  t.teardown(second.end);
  t.equal(second.client.stats().allocs['running'], 1, 'attached again');
  const list = async (Path: string): Promise<string[]> =>
    (await world.rpc.call('FileSystem.List', { AllocID: id, Path })).Files.map(({ Name }) => Name);
  t.equal(await world.output(id), '/local dc1\n');
  t.same(await list('alloc/data'), ['since']);
  t.same(await list('web/local'), ['x']);
  t.ok((await world.rpc.call('Allocations.Stats', { AllocID: id })).ResourceUsage.MemoryStats.Usage > 0);
  await world.rpc.call('Job.Deregister', { JobID: 'box' });
  await world.until(() => world.store.snapshot().allocById(id)?.ClientStatus === 'complete', 'stopped');
  t.equal(world.store.snapshot().allocById(id)?.TaskStates?.['web']?.Restarts, 0);
}
