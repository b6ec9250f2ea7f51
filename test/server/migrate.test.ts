import t from 'tap';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { MigrateSource } from '../../lib/structs/rpc-migrate.js';
import { isMigrateToken } from '../../lib/transport/migrate-token.js';
import { createTestWorld, webJob } from './world.js';

t.test('only the node of the replacement may have the data of an allocation, once it has ended', async (t) => {
  const world = createTestWorld();
  const nodes = [await world.addNode(1), await world.addNode(2)];
  const job = webJob({ count: 1 });
  for (const group of job.TaskGroups ?? []) group.EphemeralDisk = { Sticky: false, Migrate: true, SizeMB: 300 };
  await world.call('Job.Register', { Job: job });
  await world.time.advance(20);
  const nodeOf = ({ NodeID }: Allocation) => nodes.find(({ ID }) => ID === NodeID) ?? t.fail('no such node');
  const [before] = world.allocs();
  if (!before) throw new Error('nothing was placed');
  for (const node of nodes) await world.obey(node, () => ({ ClientStatus: 'running' }));

  await world.call('Alloc.Stop', { AllocID: before.ID });
  await world.time.advance(20);
  const after = world.allocs().find(({ PreviousAllocation }) => PreviousAllocation === before.ID);
  if (!after) throw new Error('nothing was placed instead');
  const [mine, other] = [nodeOf(after), nodes.find(({ ID }) => ID !== after.NodeID)];
  if (mine === true || !mine || !other) throw new Error('no nodes');
  const ask = (args: { NodeID: string; SecretID: string; AllocID: string }): Promise<MigrateSource> =>
    world.call('Alloc.GetMigrateToken', args);
  const own = { NodeID: mine.ID, SecretID: mine.SecretID };

  t.match(await ask({ ...own, AllocID: after.ID }), { State: 'running', Token: '' });
  await t.rejects(ask({ NodeID: other.ID, SecretID: other.SecretID, AllocID: after.ID }), {
    code: 'E_PERMISSION_DENIED',
  });
  await t.rejects(ask({ ...own, SecretID: other.SecretID, AllocID: after.ID }), { code: 'E_PERMISSION_DENIED' });
  await t.rejects(ask({ ...own, AllocID: before.ID }), { code: 'E_PERMISSION_DENIED' });

  const source = nodeOf(before);
  if (source === true || !source) throw new Error('no node');
  await world.obey(source, (alloc) => ({ ClientStatus: alloc.ID === before.ID ? 'complete' : 'pending' }));
  const reply = await ask({ ...own, AllocID: after.ID });
  t.match(reply, { State: 'ended', NodeID: before.NodeID });
  t.ok(isMigrateToken(reply.Token, source.SecretID, before.ID));
  t.notOk(isMigrateToken(reply.Token, source.SecretID, after.ID), 'and no other');
});
