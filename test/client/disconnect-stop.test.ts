import t from 'tap';
import type { AllocRunner } from '../../lib/client/alloc-runner.js';
import { DisconnectStop } from '../../lib/client/disconnect-stop.js';
import { silentLog } from '../../lib/util/log.js';
import { FakeTimers, fakeAlloc, fakeGroup, fakeJob, fakeTask } from './fakes.js';

/** An allocation that may run for so many seconds without a server. */
function careful(seconds: number) {
  const Disconnect = {
    LostAfter: null,
    StopOnClientAfter: seconds * 1e9,
    Replace: true,
    Reconcile: 'best_score' as const,
  };
  const ended: string[] = [];
  const runner = {
    id: `after-${seconds}`,
    alloc: fakeAlloc('n1', fakeJob(fakeGroup([fakeTask()], { Disconnect }))),
    get isEnding() {
      return ended.length > 0;
    },
    end: async () => {
      ended.push('stopped');
    },
  };
  return { runner: runner as unknown as AllocRunner, ended };
}

t.test(
  'an allocation that comes in a silence has its own time: it is not stopped at once, and again and again',
  async (t) => {
    const timers = new FakeTimers();
    const late = careful(10);
    const runners: AllocRunner[] = [];
    const contact = timers.now();
    const silent = new DisconnectStop({ lastContactMs: () => contact, runners: () => runners, timers, log: silentLog });
    t.equal(silent.beatMs, Number.POSITIVE_INFINITY, 'nothing is in a hurry');
    const end = new AbortController();
    t.teardown(() => end.abort());
    void silent.run(end.signal);
    const pass = async (seconds: number): Promise<void> => {
      for (let passed = 0; passed < seconds; passed++) {
        timers.advance(1000);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await pass(30);
    runners.push(late.runner);
    silent.refresh();
    await pass(9);
    t.same(late.ended, []);
    await pass(5);
    t.same(late.ended, ['stopped']);
    runners.push(careful(6).runner, careful(60).runner);
    t.equal(silent.beatMs, 2_000, 'the servers are asked thrice in the shortest time');
  },
);
