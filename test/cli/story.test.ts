import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createHttpServer } from '../../lib/http/server.js';
import type { Node } from '../../lib/structs/node.js';
import { localCaller } from '../../lib/transport/local.js';
import { createLog, type LogRecord } from '../../lib/util/log.js';
import { createTestWorld } from '../server/world.js';
import { type Ran, runCli } from './world.js';

const JOB = (count: number): string => `job "web" {
  group "front" {
    count = ${count}
    update {
      min_healthy_time = "0s"
    }
    task "server" {
      driver = "mock_driver"
      config {
        run_for = "1h"
      }
      resources {
        cpu    = 100
        memory = 32
      }
    }
  }
}
`;

/** A real server in simulated time behind a real HTTP API; its one node's client does what it is told. */
async function createStory(t: Test, changes: Partial<Node> = {}) {
  const world = createTestWorld({ config: { knownDrivers: () => ['mock_driver'] } });
  const node = await world.addNode(1, { ID: 'f1b2c3d4-0000-4000-8000-000000000003', ...changes });
  const logs: LogRecord[] = [];
  const http = createHttpServer({
    rpc: localCaller(world.server.handlers, {}),
    agent: {} as never,
    log: createLog((record) => logs.push(record)),
  });
  const address = `http://127.0.0.1:${await http.listen({ host: '127.0.0.1', port: 0 })}`;
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-story-'));
  t.teardown(async () => {
    await http.close();
    rmSync(folder, { recursive: true });
  });
  /** Runs a command while time passes and the node obeys. */
  const run = async (...argv: string[]): Promise<Ran> => {
    let ran: Ran | undefined;
    const ending = runCli(argv, { NOMAD_ADDR: address }).then((result) => {
      ran = result;
    });
    while (!ran) {
      await world.time.advance(100);
      await world.obey(node);
    }
    await ending;
    return ran;
  };
  const file = (text: string): string => {
    writeFileSync(join(folder, 'web.nomad.hcl'), text);
    return join(folder, 'web.nomad.hcl');
  };
  return { world, run, file, logs };
}

t.test('a job file goes all the way to a healthy deployment, and the job to its stop', async (t) => {
  const { run, file, logs } = await createStory(t);
  const started = await run('job', 'run', file(JOB(2)));
  t.equal(started.code, 0, started.out + started.error);
  t.match(
    started.out,
    /triggered by job "web"[\s\S]*created: node "f1b2c3d4", group "front"[\s\S]*✓ Deployment "[^"]+" successful/,
  );
  const status = await run('job', 'status', 'web');
  t.match(status.out, /^Status += running$/m);
  t.match(status.out, /front +0 +0 +2 +0 +0 +0 +0/);
  const [line = ''] = status.out.split('\n').filter((text) => / front .* run +running /.test(text));
  const alloc = await run('alloc', 'status', line.slice(0, 8));
  t.match(alloc.out, /^Job ID += web$/m);
  t.match((await run('job', 'plan', file(JOB(3)))).out, /Task Group: "front" \(1 create, 2 (in-place update|ignore)\)/);
  t.equal((await run('job', 'plan', file(JOB(2)))).code, 0, 'what runs already needs no change');
  t.equal((await run('job', 'run', '-check-index', '1', file(JOB(3)))).code, 1, 'somebody else was first');
  const first = (await run('eval', 'list', '-job=web')).out.trim().split('\n').at(-1) ?? '';
  const judged = await run('eval', 'status', first.slice(0, 8));
  t.match(
    judged.out,
    /Placed Allocations\n[\s\S]*front[\s\S]*Placement Metrics of .* \(group "front"\)\n[\s\S]*final score/,
  );
  t.match((await run('deployment', 'status')).out, /successful/);
  t.match((await run('status', 'f1b2')).out, /^ID += f1b2c3d4-/);
  t.equal((await run('job', 'stop', 'web')).code, 0);
  t.match((await run('job', 'status')).out, /web +service +50 +dead \(stopped\)/);
  t.equal((await run('job', 'stop', '-purge', '-detach', 'web')).code, 0);
  t.equal((await run('job', 'status')).out, 'No running jobs\n');
  t.strictSame(logs, [], 'no request met a defect');
});

t.test('a job too large for the mesh ends with 2, and is placed once there is room', async (t) => {
  const { run, file, logs, world } = await createStory(t);
  const large = JOB(2).replace('cpu    = 100', 'cpu    = 3000');
  const { code, out } = await run('job', 'run', file(large));
  t.equal(code, 2, out);
  t.match(out, /Dimension "cpu" exhausted on 1 nodes[\s\S]*waiting for additional capacity/);
  const status = (await run('job', 'status', 'web')).out;
  t.match(status, /Placement Failure\nTask Group "front"[\s\S]*\n {2}- 1 of 1 node lacks 2000 MHz of free CPU\n/);
  await world.addNode(2);
  await world.time.advance(1000);
  t.equal(world.allocs().length, 2);
  t.match(await run('why', 'wbe'), {
    code: 1,
    error: /No allocation or job with .* "wbe" found; did you mean "web"\?/,
  });
  const nowhere = JOB(1)
    .replace(
      'group "front"',
      'type = "system"\n  node_pool = "default"\n  constraint {\n    attribute = "${meta.x}"\n    value = "1"\n  }\n  group "front"',
    )
    .replace('job "web"', 'job "far"');
  await run('job', 'run', '-detach', file(nowhere));
  t.match(
    (await run('job', 'status', 'far')).out,
    /Placement Failure\n[\s\S]*\$\{meta.x\} = 1": 2 nodes excluded by filter\n {2}- 2 of 2 nodes do not meet/,
  );
  t.strictSame(logs, [], 'no request met a defect');
});

t.test(
  'a job whose driver is unhealthy everywhere is told of that, also one that waits in no evaluation',
  async (t) => {
    const why = 'no engine listens';
    const sick = { Detected: true, Healthy: false, HealthDescription: why, Attributes: null, UpdateTime: '' };
    const { run, file } = await createStory(t, { Name: 'attic', Drivers: { mock_driver: sick } });
    for (const [type, name] of [
      ['service', 'web'],
      ['system', 'everywhere'],
    ] as const) {
      await run('job', 'run', '-detach', file(JOB(1).replace('job "web" {', `job "${name}" {\n  type = "${type}"`)));
      const { out } = await run('job', 'status', name);
      t.match(out, /Placement Failure\n[\s\S]*"missing drivers": 1 nodes[\s\S]*No allocations placed/, type);
      t.match(out, `"mock_driver" is not healthy (${why})`);
    }
  },
);
