import t from 'tap';
import { createTestWorld, webJob } from './world.js';

t.test('pools, their nodes and their jobs are listed page by page, each once', async (t) => {
  const world = createTestWorld();
  for (const Name of ['gpu', 'edge', 'lab']) await world.call('NodePool.Upsert', { NodePool: { Name } });
  for (let i = 1; i <= 5; i++) await world.addNode(i, { NodePool: 'gpu' });
  for (const ID of ['a', 'b', 'c']) await world.call('Job.Register', { Job: webJob({ ID, NodePool: 'gpu' }) });
  const walk = async (read: (NextToken: string) => Promise<{ names: string[]; next: string }>): Promise<string[]> => {
    const all: string[] = [];
    let token = '';
    do {
      const { names, next } = await read(token);
      t.ok(names.length <= 2);
      all.push(...names);
      token = next;
    } while (token !== '');
    return all;
  };
  const of = (NextToken: string) => ({ PerPage: 2, ...(NextToken !== '' && { NextToken }) });
  const pools = await walk(async (token) => {
    const { NodePools, NextToken = '' } = await world.call('NodePool.List', of(token));
    return { names: NodePools.map(({ Name }) => Name), next: NextToken };
  });
  t.same(pools, ['all', 'default', 'edge', 'gpu', 'lab']);
  const nodes = await walk(async (token) => {
    const { Nodes, NextToken = '' } = await world.call('NodePool.ListNodes', { Name: 'gpu', ...of(token) });
    return { names: Nodes.map(({ Name }) => Name), next: NextToken };
  });
  t.same(nodes, ['n1', 'n2', 'n3', 'n4', 'n5']);
  const jobs = await walk(async (token) => {
    const { Jobs, NextToken = '' } = await world.call('NodePool.ListJobs', { Name: 'gpu', ...of(token) });
    return { names: Jobs.map(({ ID }) => ID), next: NextToken };
  });
  t.same(jobs, ['a', 'b', 'c']);
  const { NodePools } = await world.call('NodePool.List', { Filter: 'Name != "lab"', PerPage: 9 });
  t.same(
    NodePools.map(({ Name }) => Name),
    ['all', 'default', 'edge', 'gpu'],
  );
});
