// A task that runs as another user has its own files, and none of the agent's.
import t from 'tap';
import { allocsOf, eventually, jobJson, TestAgent } from '../support/mesh-agent.js';

const skip = process.getuid?.() === 0 ? false : 'only root can run a task as another user';

t.test('a task of user nobody reads and writes its own files only', { skip, timeout: 60_000 }, async (t) => {
  const agent = await TestAgent.start();
  t.teardown(() => agent.dispose());
  const script = [
    'id -un',
    'echo own > local/file && cat local/file',
    'echo shared > $NOMAD_ALLOC_DIR/data/file && cat $NOMAD_ALLOC_DIR/data/file',
    'echo secret > $NOMAD_SECRETS_DIR/file && cat $NOMAD_SECRETS_DIR/file',
    `cat ${agent.dir}/data/identity.key ${agent.dir}/data/client/secret-id || echo refused`,
    `ls ${agent.dir}/data ${agent.dir}/data/alloc || echo refused`,
  ];
  await agent.register(
    jobJson('other', {
      type: 'batch',
      config: { command: '/bin/sh', args: ['-c', script.join('; ')] },
      task: { User: 'nobody' },
    }),
  );
  const [alloc] = await allocsOf(agent, 'other', 'complete', 1);
  const out = await eventually(
    'the output',
    async () => (await agent.cli(['alloc', 'logs', alloc?.ID ?? ''])).out || undefined,
  );
  t.equal(out, 'nobody\nown\nshared\nsecret\nrefused\nrefused\n');
});
