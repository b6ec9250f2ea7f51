import t from 'tap';
import { type AgentApi, rpcOverApi } from '../../lib/agent/standalone/api-rpc.js';

/** An API that notes what it is asked, and answers as a test says. */
function api(answer: (path: string) => unknown): { asked: unknown[]; rpc: ReturnType<typeof rpcOverApi> } {
  const asked: unknown[] = [];
  const ask: AgentApi['ask'] = async (method, path, { query, body }) => {
    const said = Object.fromEntries(Object.entries(query ?? {}).filter(([, value]) => value !== undefined));
    asked.push({ method, path, query: said, body });
    const value = answer(path);
    if (value instanceof Error) throw value;
    return { value: value as never, index: 42 };
  };
  return { asked, rpc: rpcOverApi({ ask }) };
}

const refusal = (status: number): Error => Object.assign(new Error(`refused: ${status}`), { status });

t.test('methods become requests, and answers replies', async (t) => {
  const { asked, rpc } = api((path) => (path === '/v1/nodes' ? [{ ID: 'n' }] : {}));
  const list = await rpc.call('Scaling.ListPolicies', { Namespace: '*', MinQueryIndex: 7, MaxQueryTimeMs: 1500 });
  t.equal(list.Index, 42);
  t.match(await rpc.call('Node.List', { Resources: true }), { Nodes: [{ ID: 'n' }] });
  await rpc.call('Job.Scale', { Namespace: 'team', JobID: 'a/b', Target: { Group: 'g' }, Count: 3, Message: 'why' });
  await rpc.call('Variables.Put', { Path: 'a/b', Items: { x: 'y' }, CAS: 0 });
  await rpc.call('ClientPower.Wake', { NodeID: 'n', MacAddress: '00:11:22:33:44:55' });
  t.match(asked, [
    { method: 'GET', path: '/v1/scaling/policies', query: { namespace: '*', index: 7, wait: '1500ms' } },
    { method: 'GET', path: '/v1/nodes', query: { resources: true } },
    {
      method: 'PUT',
      path: '/v1/job/a%2Fb/scale',
      query: { namespace: 'team' },
      body: { Count: 3, Target: { Group: 'g' }, Message: 'why' },
    },
    { method: 'PUT', path: '/v1/var/a/b', query: { cas: 0 }, body: { Items: { x: 'y' } } },
    { method: 'PUT', path: '/v1/client/power', query: { node_id: 'n' }, body: { Action: 'wake' } },
  ]);
});

t.test('what is not there is null, a conflict is told, and any other refusal is an error', async (t) => {
  const missing = api(() => refusal(404)).rpc;
  t.match(await missing.call('Variables.Read', { Path: 'x' }), { Variable: null });
  t.match(await missing.call('Node.GetNode', { NodeID: 'x' }), { Node: null });
  t.match(await missing.call('Job.ScaleStatus', { JobID: 'x' }), { JobScaleStatus: null });
  await t.rejects(missing.call('Node.List', {}), /refused: 404/);
  const conflict = api(() => refusal(409)).rpc;
  t.match(await conflict.call('Variables.Put', { Path: 'x', Items: {}, CAS: 3 }), { Variable: null });
  await t.rejects(api(() => refusal(403)).rpc.call('Variables.Read', { Path: 'x' }), /refused: 403/);
});

t.test('what an autoscaler does not need is not asked', async (t) => {
  await t.rejects(api(() => ({})).rpc.call('Job.Deregister', { JobID: 'x' } as never), { code: 'E_NOT_SUPPORTED' });
});
