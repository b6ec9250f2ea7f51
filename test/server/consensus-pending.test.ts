import t from 'tap';
import type { Raft } from '../../lib/raft/index.js';
import { PendingReads } from '../../lib/server/consensus-pending.js';

/** A machine that notes what it is asked. */
function asked(): { raft: Raft; contexts: number[] } {
  const contexts: number[] = [];
  const readIndex = (context: number) => {
    contexts.push(context);
    return { ok: true, value: undefined } as const;
  };
  return { raft: { readIndex } as Partial<Raft> as Raft, contexts };
}

t.test('an answer to a question of a former life is nobody’s', async (t) => {
  const former = asked();
  const before = new PendingReads(() => 1024);
  void before.wait(0).catch(() => {});
  before.ask(former.raft);
  const { raft, contexts } = asked();
  const reads = new PendingReads(() => 2048);
  const read = reads.wait(0);
  reads.ask(raft);
  reads.named(former.contexts[0] as number, 3);
  reads.applied(5);
  let answered = false;
  void read.then(() => {
    answered = true;
  });
  await Promise.resolve();
  t.notOk(answered);
  reads.named(contexts[0] as number, 7);
  reads.applied(8);
  t.equal(await read, 8);
});
