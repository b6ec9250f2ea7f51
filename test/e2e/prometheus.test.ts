// A service under HTTP load, with an unmodified Prometheus: it finds the instances and the agent by itself, and the autoscaler
// goes by its figures.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { JobScaleStatus } from '../../lib/structs/scaling.js';
import { eventually, freePort, TestAgent } from '../support/mesh-agent.js';

const skip = missing();

/** Answers requests, and says how many it has answered. */
const SERVICE = `
let served = 0;
require('node:http').createServer((request, response) => {
  if (request.url !== '/metrics') served++;
  response.end('# TYPE shop_requests_total counter\\nshop_requests_total ' + served + '\\n');
}).listen(Number(process.env.NOMAD_PORT_http), '127.0.0.1');
`;
const PER_INSTANCE = 10;
const LOAD = 40;
const MAX = 5;

t.test('a service under load is scaled out, and in after it, by what Prometheus finds', { skip }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'prometheus-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const prometheusPort = await freePort();
  const prometheus = `http://127.0.0.1:${prometheusPort}`;
  const agent = await TestAgent.start({
    name: 'shop',
    config: `autoscaler {\n  apm "prometheus" {\n    driver = "prometheus"\n    config {\n      address = "${prometheus}"\n    }\n  }\n}\n`,
  });
  t.teardown(() => agent.dispose());
  const process = startPrometheus(dir, prometheusPort, agent.port);
  t.teardown(() => end(process));
  await agent.register(shop());

  const ask = async (query: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]> => {
    const answer = await fetch(`${prometheus}/api/v1/query?query=${encodeURIComponent(query)}`);
    return ((await answer.json()) as { data: { result: [] } }).data.result;
  };
  /** Prometheus has found instances that answer: as many as `enough` asks for. */
  const found = (enough: (count: number) => boolean): Promise<number> =>
    eventually('Prometheus to have found the instances', async () => {
      const { length } = await ask('up{job="services"} == 1');
      return enough(length) ? length : undefined;
    });
  await found((count) => count === 1);
  t.match((await ask('up{job="services"}'))[0]?.metric, { service: 'shop', node_datacenter: 'dc1' });
  await eventually('the figures of the agent', async () => {
    const [running] = await ask('nomad_client_allocations_running{job="agent"}');
    return running?.value[1] === '1' || undefined;
  });

  const load = startLoad(agent);
  t.teardown(load.end);
  await found((count) => count >= LOAD / PER_INSTANCE);
  load.end();
  await found((count) => count === 1);
  const { TaskGroups } = await agent.get<JobScaleStatus>('/v1/job/shop/scale');
  const counts = (TaskGroups['web']?.Events ?? []).map(({ Count }) => Count ?? 1);
  t.ok(
    counts.every((count) => count >= 1 && count <= MAX),
    `within bounds: ${counts}`,
  );

  const { out } = await agent.cli(['autoscaler', 'status', '-verbose']);
  t.match(out, /shop\/web +idle/);
  const events = await agent.cli(['job', 'scaling-events', '-verbose', 'shop']);
  t.match(events.out, /scaling down because of factor/);
  t.match(events.out, /scaling up because of factor/);
  await eventually('the autoscaler’s own figures', async () => {
    const scaled = await ask('nomad_autoscaler_scale_invoke_success_count{target_name="nomad-target"}');
    return scaled.length === 2 || undefined;
  });
});

/** One instance, which Prometheus is to keep at so many requests a second each. */
function shop(): object {
  const check = {
    source: 'prometheus',
    query: 'sum(rate(shop_requests_total{service="shop"}[4s])) / count(up{service="shop"} == 1)',
    query_window: '2s',
    strategy: [{ 'target-value': [{ target: PER_INSTANCE, threshold: 0.2 }] }],
  };
  const policy = { cooldown: '2s', evaluation_interval: '1s', check: [{ load: [check] }] };
  const group = {
    Name: 'web',
    Count: 1,
    EphemeralDisk: { SizeMB: 10 },
    Networks: [{ Mode: 'host', DynamicPorts: [{ Label: 'http' }] }],
    Scaling: { Min: 1, Max: MAX, Enabled: true, Policy: policy },
    // Whoever asks for the service is told of what answers alone, and that one goes before it ends.
    ShutdownDelay: 2e9,
    Services: [
      {
        Name: 'shop',
        PortLabel: 'http',
        Provider: 'nomad',
        Tags: ['metrics'],
        Address: '127.0.0.1',
        Checks: [{ Name: 'up', Type: 'http', Path: '/metrics', Interval: 1e9, Timeout: 1e9 }],
      },
    ],
    Update: { MinHealthyTime: 0, HealthCheck: 'checks' },
    Tasks: [
      {
        Name: 'http',
        Driver: 'raw_exec',
        Config: { command: process.execPath, args: ['-e', SERVICE] },
        Resources: { CPU: 20, MemoryMB: 128 },
        LogConfig: { MaxFiles: 1, MaxFileSizeMB: 1 },
      },
    ],
  };
  return { Job: { ID: 'shop', Name: 'shop', Type: 'service', Datacenters: ['*'], TaskGroups: [group] } };
}

function startPrometheus(dir: string, port: number, agentPort: number): ChildProcess {
  const config = `
global:
  scrape_interval: 500ms
  scrape_timeout: 400ms
scrape_configs:
  - job_name: agent
    metrics_path: /v1/metrics
    params:
      format: [prometheus]
    static_configs:
      - targets: ["127.0.0.1:${agentPort}"]
  - job_name: services
    # Debian's Prometheus is built without its discovery for Nomad; its general one gets the same labels.
    http_sd_configs:
      - url: http://127.0.0.1:${agentPort}/v1/services?format=prometheus
        refresh_interval: 1s
    relabel_configs:
      - source_labels: [__meta_nomad_tags]
        regex: .*,metrics,.*
        action: keep
      - source_labels: [__meta_nomad_service]
        target_label: service
      - source_labels: [__meta_nomad_dc]
        target_label: node_datacenter
`;
  writeFileSync(join(dir, 'prometheus.yml'), config);
  const args = [
    `--config.file=${join(dir, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(dir, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  return spawn('prometheus', args, { stdio: ['ignore', 'ignore', 'pipe'] }).on('error', () => {});
}

/** Requests to all instances in turn, so many a second. */
function startLoad(agent: TestAgent): { end(): void } {
  let addresses: string[] = [];
  let sent = 0;
  const look = setInterval(async () => {
    const found = await agent.get<{ Address: string; Port: number }[]>('/v1/service/shop').catch(() => []);
    addresses = found.map(({ Address, Port }) => `http://${Address}:${Port}/`);
  }, 500);
  const send = setInterval(() => {
    const address = addresses[sent++ % Math.max(1, addresses.length)];
    if (address === undefined) return;
    const request = get(address, (response) => response.resume());
    // One that has just ended.
    request.on('error', () => {});
  }, 1_000 / LOAD);
  return {
    end() {
      clearInterval(look);
      clearInterval(send);
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

function missing(): string | false {
  try {
    execFileSync('prometheus', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'prometheus is not installed';
  }
}
