import t from 'tap';
import type { Entry } from '../../lib/raft/index.js';
import { APPLIED_PER_TURN_BYTES, Applier, PacedApplier } from '../../lib/server/consensus-apply.js';
import { PendingWrites } from '../../lib/server/consensus-pending.js';
import { encodeCommand } from '../../lib/state/command-codec.js';
import type { Command } from '../../lib/state/commands.js';
import { createStateMachine } from '../../lib/state/fsm.js';
import { createStore } from '../../lib/state/store.js';
import { silentLog } from '../../lib/util/log.js';
import { mockJob } from '../scheduler/mock.js';

t.test('a large entry is read in one turn and applied in the next', async (t) => {
  const store = createStore();
  const seen: string[] = [];
  const applier = new (class extends Applier {
    override read(entry: Entry) {
      seen.push(`read ${entry.index}`);
      return super.read(entry);
    }
    override applyRead(...args: Parameters<Applier['applyRead']>): void {
      seen.push(`apply ${args[0].index}`);
      super.applyRead(...args);
    }
  })({ fsm: createStateMachine(store), writes: new PendingWrites(), log: silentLog });
  const paced = new PacedApplier(applier, (fn) => {
    setImmediate(() => {
      seen.push('turn');
      fn();
    });
  });
  const entry = (index: number, long: number): Entry => {
    const job = mockJob({ ID: `job-${index}`, Meta: { long: 'x'.repeat(long) } });
    const command: Command = { type: 'job-register', job, eval: null, submission: null };
    return { index, term: 1, type: 'command', data: encodeCommand(command) };
  };
  await paced.apply([entry(1, 0), entry(2, APPLIED_PER_TURN_BYTES), entry(3, 0)], () => {});
  t.same(seen, ['read 1', 'apply 1', 'read 2', 'turn', 'apply 2', 'turn', 'read 3', 'apply 3']);
  t.equal([...store.snapshot().jobs()].length, 3);
});
