import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { readPolicyFile } from '../../lib/agent/policy-file.js';
import { readPolicy } from '../../lib/scaling/index.js';
import { combine, readQuery } from '../../plugins/apm-mesh/query.js';
import prometheus from '../../plugins/apm-prometheus/index.js';

t.test('queries about the mesh itself, in Nomad’s forms', async (t) => {
  t.match(readQuery('taskgroup_avg_cpu-allocated/cache/redis@prod'), {
    kind: 'group',
    operation: 'avg',
    metric: 'cpu-allocated',
    group: 'cache',
    job: 'redis',
    namespace: 'prod',
  });
  t.match(readQuery('node_percentage-allocated_memory/node_class=gpu,node_pool=big'), {
    kind: 'nodes',
    metric: 'memory',
    class: 'gpu',
    pool: 'big',
    datacenter: null,
  });
  t.same(readQuery('node_wanted/node_pool=gpu'), { kind: 'wanted', class: null, datacenter: null, pool: 'gpu' });
  t.match(readQuery('node_percentage-allocated_cpu/gpu'), { class: 'gpu' });
  for (const bad of [
    '',
    'avg_cpu',
    'taskgroup_med_cpu/a/b',
    'taskgroup_avg_disk/a/b',
    'node_percentage-allocated_cpu/rack=1',
  ]) {
    t.throws(() => readQuery(bad), { message: /invalid query .*write avg_cpu/ }, bad);
  }
  t.same(
    (['sum', 'avg', 'max', 'min'] as const).map((operation) => combine(operation, [1, 2, 6])),
    [9, 3, 6, 1],
  );
  t.equal(combine('avg', []), undefined);
});

t.test('prometheus: figures of a window, errors in its words', async (t) => {
  let answer: unknown = {};
  let asked: { url: string; headers: Record<string, unknown> } = { url: '', headers: {} };
  const server = createServer((request, response) => {
    asked = { url: request.url ?? '', headers: request.headers };
    response.writeHead((answer as { status?: string }).status === 'error' ? 400 : 200).end(JSON.stringify(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/prom`;
  const config = { address, basic_auth_user: 'me', basic_auth_password: 'pw', 'header_X-Scope-OrgID': '7' };
  const rpc = { call: () => Promise.reject(new Error('asks nobody')) };
  const apm = prometheus.create({ config, stateDir: '', log: () => {}, rpc });
  const query = () => apm.query('up', { fromMs: 1_000, toMs: 61_000 }, { signal: AbortSignal.timeout(5_000) });
  const matrix = (...series: [number, string][][]) => ({
    status: 'success',
    data: { resultType: 'matrix', result: series.map((values) => ({ values })) },
  });
  answer = matrix([
    [1, '2.5'],
    [2, 'NaN'],
    [3, '4'],
  ]);
  t.same(await query(), [
    { timestampMs: 1_000, value: 2.5 },
    { timestampMs: 3_000, value: 4 },
  ]);
  t.match(asked.url, /^\/prom\/api\/v1\/query_range\?query=up&start=1&end=61&step=1s$/);
  t.match(asked.headers, { authorization: `Basic ${Buffer.from('me:pw').toString('base64')}`, 'x-scope-orgid': '7' });
  answer = matrix();
  t.same(await query(), []);
  answer = matrix([[1, '1']], [[1, '2']]);
  await t.rejects(query(), { message: /2 series/ });
  answer = { status: 'error', error: 'parse error at char 3' };
  await t.rejects(query(), { message: /400: parse error at char 3/ });
  answer = { status: 'success', data: { resultType: 'scalar' } };
  await t.rejects(query(), { message: /gives a scalar/ });
  t.same(
    prometheus.configProblems({ adress: 'x' }).map(({ path }) => path),
    ['adress', 'address'],
  );
});

t.test('a policy file, as Nomad’s autoscaler takes it', async (t) => {
  const source = `scaling "gpu" {
  enabled = true
  min     = 0
  max     = 3
  policy {
    cooldown = "10m"
    check "load" {
      query = "percentage-allocated_cpu"
      strategy "target-value" {
        target = 70
      }
    }
    target "power" {
      node_pool = "gpu"
    }
  }
}
`;
  const read = readPolicyFile(source, 'gpu.hcl');
  if (!read.ok) throw new Error(read.error);
  t.match(readPolicy(read.value[0] as never), {
    ok: true,
    value: {
      id: 'gpu',
      type: 'cluster',
      max: 3,
      cooldownMs: 600_000,
      target: { name: 'power', config: { node_pool: 'gpu' } },
      checks: [{ query: 'node_percentage-allocated_cpu/node_pool=gpu', strategy: { config: { target: '70' } } }],
    },
  });
  t.match(readPolicyFile('scalling "x" {\n}\n', 'a.hcl'), { ok: false, error: /a\.hcl:1,1/ });
  t.match(readPolicyFile('scaling "x" {\n  mn = 1\n}\n', 'a.hcl'), { ok: false, error: /a\.hcl:2,3.*"mn" is none of/ });
});
