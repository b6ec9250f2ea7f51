import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openConsensus, type RunningConsensus } from '../../lib/server/consensus.js';
import { systemTimers } from '../../lib/server/timers.js';
import { createStateMachine } from '../../lib/state/fsm.js';
import { createStore } from '../../lib/state/store.js';
import { ensureIdentity } from '../../lib/transport/identity.js';
import { silentLog } from '../../lib/util/log.js';
import { createCliWorld } from '../cli/world.js';
import { mockJob } from '../scheduler/mock.js';

const VIEW = {
  Self: { ID: 'a'.repeat(64), Name: 'nas', Term: 4, LastIndex: 120, Epoch: 1 },
  HasLeader: false,
  Others: [
    { ID: 'b', Name: 'pi', Stats: null, Why: 'no answer' },
    { ID: 'c', Name: 'nuc', Stats: { Term: 4, LastIndex: 125, Epoch: 1 }, Why: '' },
  ],
};

t.test(
  'the command shows survivors, what would be lost and who has more, asks once, and says what is done',
  async (t) => {
    const world = await createCliWorld(t, {
      'GET /v1/operator/recover': VIEW,
      'PUT /v1/operator/recover': { Epoch: 2 },
    });
    const unasked = await world.run('recover');
    t.match(unasked, { code: 1, error: /give -yes/ });
    t.notOk(
      world.asked.some((line) => line.startsWith('PUT')),
      'and nothing was done',
    );
    const done = await world.run('recover', '-yes');
    t.match(done.out, /nas \(this one\) +reached +4 +120/);
    t.match(done.out, /pi +not reached .*no answer/);
    t.match(done.out, /up to 120 is kept\.\nnuc has more \(5 entries\): recover there instead/);
    t.match(done.out, /What only pi had is lost/);
    t.match(done, { code: 0, out: /nas is the only voter now, in epoch 2/ });
    world.replies['GET /v1/operator/recover'] = { ...VIEW, HasLeader: true };
    t.match(await world.run('recover', '-yes'), { code: 1, error: /nothing needs to be recovered/ });
  },
);

t.test('a stopped server is recovered in its data directory, and leads alone when it starts', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'recover-'));
  t.teardown(() => rmSync(dataDir, { recursive: true }));
  const id = ensureIdentity(dataDir).publicKey;
  const open = async (): Promise<{ consensus: RunningConsensus; store: ReturnType<typeof createStore> }> => {
    const store = createStore();
    const consensus = await openConsensus({
      dataDir: join(dataDir, 'server'),
      id,
      found: true,
      fsm: createStateMachine(store),
      timers: systemTimers,
      now: () => performance.now(),
      random: { next: Math.random },
      log: silentLog,
      transport: {
        send() {},
        onMessage() {},
        sendSnapshot: () => Promise.reject(new Error('nobody is there')),
        onSnapshot() {},
      },
    });
    consensus.start();
    return { consensus, store };
  };
  const until = async (holds: () => boolean): Promise<void> => {
    for (let i = 0; !holds() && i < 12_000; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    t.ok(holds());
  };
  const first = await open();
  await until(() => first.consensus.isLeader);
  await first.consensus.propose({ type: 'job-register', job: mockJob({ ID: 'kept' }), eval: null, submission: null });
  // Two others that never come: the next leader would need one of them.
  for (const other of ['b'.repeat(64), 'c'.repeat(64)]) {
    void first.consensus.change({ type: 'addVoter', id: other }).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await first.consensus.close();
  const stuck = await open();
  t.ok(stuck.consensus.membership().voters.length > 1);
  const world = await createCliWorld(t);
  t.match(await world.run('recover', '-yes', '-data-dir', dataDir), { code: 1, error: /in use|runs|process/ });
  await stuck.consensus.close();

  t.match(await world.run('recover', '-data-dir', join(dataDir, 'none')), { code: 1, error: /holds no server/ });
  t.match(await world.run('recover', '-yes', '-data-dir', dataDir), { code: 0, out: /only voter now, in epoch 2/ });
  const after = await open();
  await until(() => after.consensus.isLeader);
  t.same(after.consensus.membership().voters, [id]);
  t.equal(after.consensus.epoch(), 2);
  t.ok(after.consensus.isJustRecovered());
  t.ok(after.store.snapshot().jobById('default', 'kept'));
  await after.consensus.close();
});
