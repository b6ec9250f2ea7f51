// What an agent answers while no server can be asked.
import t from 'tap';
import { createDispatcher, type Roles } from '../../lib/agent/dispatch.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { CallOptions, RpcCaller, RpcMethod } from '../../lib/transport/rpc.js';
import { fakeAlloc, fakeJob } from '../client/fakes.js';
import { mockNode } from '../scheduler/mock.js';

const HERE = 'ab123456-0000-4000-8000-000000000001';

function world() {
  const node = { ...mockNode(1), SecretID: 'secret' };
  const alloc = { ...fakeAlloc(node.ID, fakeJob(), { ID: HERE }), ClientStatus: 'running' as const };
  const asked: CallOptions[] = [];
  const state: { failure: MeshError | null } = { failure: new MeshError('E_NO_LEADER', 'no server is linked') };
  const remote = {
    call: async (_: RpcMethod, __: object, options: CallOptions) => {
      asked.push(options);
      if (state.failure) throw state.failure;
      return { Alloc: null, Index: 7, LastContactMs: 0, KnownLeader: true };
    },
  } as unknown as RpcCaller;
  const client = {
    nodeId: node.ID,
    node: () => node,
    allocations: () => [alloc],
    hasAlloc: (id: string) => id === HERE,
    silentMs: 5_000,
    handlers: {},
    streamHandlers: {},
  };
  const rpc = createDispatcher({ client, remote } as unknown as Roles, { allowExec: true });
  return { rpc, node, asked, state };
}

t.test('without a server an agent tells of its own work, and says that it is alone', async (t) => {
  const { rpc, node, asked } = world();
  t.match(await rpc.call('Alloc.List', { Prefix: 'ab12' }), {
    Allocations: [{ ID: HERE, ClientStatus: 'running' }],
    KnownLeader: false,
    LastContactMs: 5_000,
    Alone: true,
  });
  t.match(await rpc.call('Alloc.GetAlloc', { AllocID: HERE }), { Alloc: { ID: HERE }, Alone: true });
  t.match(await rpc.call('Node.GetNode', { NodeID: node.ID }), { Node: { ID: node.ID, SecretID: '' } });
  t.match(await rpc.call('Node.GetAllocs', { NodeID: node.ID }), { Allocs: [{ ID: HERE }] });
  t.ok(
    asked.every(({ linklessMs }) => linklessMs !== undefined),
    'what may be known here is not waited for long',
  );
});

t.test('what it does not know by itself, or all that there is, nobody can tell', async (t) => {
  const { rpc, state } = world();
  const none = { code: 'E_NO_LEADER' };
  await t.rejects(rpc.call('Alloc.List', {}), none);
  await t.rejects(rpc.call('Alloc.List', { Prefix: 'cd' }), none);
  await t.rejects(rpc.call('Alloc.GetAlloc', { AllocID: 'cd' }), none);
  await t.rejects(rpc.call('Node.GetNode', { NodeID: 'cd' }), none);
  await t.rejects(rpc.call('Alloc.GetAlloc', { AllocID: HERE, MinQueryIndex: 5 }), none, 'who waits for a change');
  await t.rejects(rpc.call('Job.List', {}), none);
  state.failure = new MeshError('E_TIMEOUT', 'it is slow');
  await t.rejects(rpc.call('Alloc.GetAlloc', { AllocID: HERE }), { code: 'E_TIMEOUT' }, 'a server is there');
  state.failure = null;
  t.same((await rpc.call('Alloc.GetAlloc', { AllocID: HERE })).Alloc, null, 'the word of a server counts');
});
