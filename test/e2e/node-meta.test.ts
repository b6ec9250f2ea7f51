// Metadata of a node changes while it runs: jobs follow, and a killed agent comes back with it.
import t from 'tap';
import { allocsOf, eventually, jobJson, TestAgent } from '../support/mesh-agent.js';

t.test('a job that waits for metadata is placed when the node is given it', { timeout: 60_000 }, async (t) => {
  const agent = await TestAgent.start({ config: 'client {\n  meta {\n    rack = "r1"\n  }\n}\n' });
  t.teardown(() => agent.dispose());
  const rack = [{ LTarget: '${meta.rack}', Operand: '=', RTarget: 'r2' }];
  await agent.register(jobJson('moved', { group: { Constraints: rack } }));
  await eventually('the job to wait', async () =>
    /Placement Failure/.test((await agent.cli(['job', 'status', 'moved'])).out) ? true : undefined,
  );
  const applied = await agent.cli(['node', 'meta', 'apply', 'rack=r2', 'owner=ana', '-unset', 'gone']);
  t.equal(applied.code, 0, applied.err);
  await allocsOf(agent, 'moved', 'running', 1);

  await agent.kill();
  agent.launch();
  await agent.ready();
  const read = await agent.cli(['node', 'meta', 'read']);
  t.equal(
    read.out,
    'All Meta\nowner = ana\nrack  = r2\n\nDynamic Meta\nowner = ana\nrack  = r2\n\nStatic Meta\nrack = r1\n',
  );
  const refused = await agent.cli(['node', 'meta', 'apply', 'a b=c']);
  t.equal(refused.code, 1);
  t.match(refused.err, /metadata key "a b" must be of letters/);
  t.match((await agent.cli(['node', 'meta', 'apply'])).err, /say what to change: key=value/);
});
