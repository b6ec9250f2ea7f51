import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { NodeListStub } from '../../lib/structs/rpc.js';
import { cli, eventually, TestAgent } from '../support/mesh-agent.js';

const policy = (address: string): string => `scaling "gpu" {
  min = 0
  max = 1
  policy {
    cooldown            = "1s"
    evaluation_interval = "1s"
    check "wanted" {
      query = "wanted"
      strategy "pass-through" {
      }
    }
    target "power" {
      node_pool           = "gpu"
      method              = "http"
      wake_url            = "${address}/wake/{name}"
      sleep_url           = "${address}/sleep/{name}"
      node_drain_deadline = "10s"
      watts               = "360000"
    }
  }
}
`;

/** The server itself works only while there is work for it; it stays up, and keeps its vote. */
const ASIDE = `scaling "server" {
  min = 0
  max = 1
  policy {
    cooldown            = "1s"
    evaluation_interval = "1s"
    check "wanted" {
      query = "wanted"
      strategy "pass-through" {
      }
    }
    target "nodes" {
      node_class             = "server"
      datacenter             = "dc1"
      node_pool              = "default"
      node_selector_strategy = "empty"
    }
  }
}
`;

const job = (name: string, pool: string): string => `job "${name}" {
  type      = "batch"
  node_pool = "${pool}"
  group "g" {
    task "t" {
      driver = "raw_exec"
      config {
        command = "sh"
        args    = ["-c", "echo trained"]
      }
    }
  }
}
`;

t.test('a machine nobody needs is drained and put to sleep; it is woken for the work that waits for it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'power-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'policies'));
  let tower: TestAgent | undefined;
  const asked: string[] = [];
  // A smart plug.
  const plug = createServer(async (request, response) => {
    const { url = '' } = request;
    asked.push(url);
    if (url.startsWith('/sleep/')) await tower?.kill();
    if (url.startsWith('/wake/')) tower?.launch();
    response.end();
  });
  plug.listen(0, '127.0.0.1');
  await once(plug, 'listening');
  t.teardown(() => plug.close());
  const address = `http://127.0.0.1:${(plug.address() as AddressInfo).port}`;
  writeFileSync(join(folder, 'policies', 'gpu.hcl'), policy(address));
  writeFileSync(join(folder, 'policies', 'server.hcl'), ASIDE);
  const autoscaler = `autoscaler {\n  policy_dir = ${JSON.stringify(join(folder, 'policies'))}\n}\n`;
  const fast = 'server {\n  heartbeat_grace   = "1s"\n  min_heartbeat_ttl = "1s"\n}\n';
  const server = await TestAgent.start({
    name: 'nas',
    config: `${autoscaler}${fast}client {\n  node_class = "server"\n}\n`,
  });
  t.teardown(() => server.dispose());
  tower = await TestAgent.start({
    name: 'tower',
    roles: { server: false },
    config: `client {\n  node_pool = "gpu"\n  servers   = ["127.0.0.1:${server.rpcPort}"]\n}\n`,
  });
  t.teardown(() => tower?.dispose());
  const node = async (name = 'tower') =>
    (await server.get<Pick<NodeListStub, 'Name' | 'Status' | 'SchedulingEligibility'>[]>('/v1/nodes')).find(
      ({ Name }) => Name === name,
    );
  await eventually('it is ready', async () => ((await node())?.Status === 'ready' ? true : undefined));
  await eventually('it sleeps', async () => ((await node())?.Status === 'down' ? true : undefined), 90_000);
  t.same(asked, ['/sleep/tower']);
  const file = join(folder, 'train.hcl');
  writeFileSync(file, job('train', 'gpu'));
  const env = { NOMAD_ADDR: server.address };
  const asleep = await eventually('what it saves is told', async () => {
    const { out } = await cli(['autoscaler', 'status', 'gpu'], { env });
    return /Asleep += 1\n *Saved by Sleep += [1-9]\d*\.\d Wh \(estimate\)/.test(out) ? out : undefined;
  });
  t.match(asleep, /tower sleeps/);
  const ran = await cli(['job', 'run', file], { env });
  t.equal(ran.code, 0, ran.out + ran.err);
  t.match(
    ran.out,
    /machines of node pool "gpu"[\s\S]* waking tower via 127.0.0.1:\d+ …\n[\s\S]* waking tower via \S+ … up \d+ s; its sleep saved some \d+\.\d Wh\n[\s\S]*created: node/,
  );
  await eventually(
    'its work is done',
    async () => {
      const allocs = await server.get<{ ClientStatus: string }[]>('/v1/job/train/allocations');
      return allocs.some(({ ClientStatus }) => ClientStatus === 'complete') ? true : undefined;
    },
    90_000,
  );
  t.equal(asked.at(-1), '/wake/tower');
  const status = await cli(['autoscaler', 'status', 'gpu'], { env });
  t.match(status.out, /power gpu/);
  t.match(status.out, /wanted/);
  const { Counters } = await server.get<{ Counters: { Name: string; Sum: number; Labels: Record<string, string> }[] }>(
    '/v1/metrics',
  );
  const actions = Counters.filter(({ Name }) => Name === 'nomad-autoscaler.scale.invoke.success_count');
  t.match(
    actions.map(({ Labels }) => Labels).filter(({ target_name }) => target_name === 'power'),
    [
      { target_name: 'power', direction: 'down' },
      { target_name: 'power', direction: 'up' },
    ],
    'the figures tell of both',
  );

  await eventually('the server is set aside', async () =>
    (await node('nas'))?.SchedulingEligibility === 'ineligible' ? true : undefined,
  );
  t.equal((await node('nas'))?.Status, 'ready', 'and stays up');
  const aside = await eventually('it is told of', async () => {
    const { out } = await cli(['autoscaler', 'status', 'server'], { env });
    return /Set Aside += 1/.test(out) ? out : undefined;
  });
  t.match(aside, /nas is set aside/);
  writeFileSync(file, job('report', 'default'));
  const reported = await cli(['job', 'run', file], { env });
  t.equal(reported.code, 0, reported.out + reported.err);
  t.match(reported.out, /created: node/, 'it takes work again for what waits');
  t.match((await cli(['autoscaler', 'status', 'server'], { env })).out, /nas takes work again/);
});
