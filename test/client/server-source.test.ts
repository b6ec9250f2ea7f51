import t from 'tap';
import { serverSource } from '../../lib/client/template/server-source.js';
import { MeshError } from '../../lib/structs/errors.js';
import { seededRandom } from '../../lib/util/random.js';
import { FakeTimers, until } from './fakes.js';

/** A source whose servers answer as a test says. */
function world() {
  const timers = new FakeTimers();
  const kept = new Map<string, unknown>();
  const asked: number[] = [];
  const hasty: boolean[] = [];
  const waiting: ((reply: { index: number; value: unknown } | Error) => void)[] = [];
  const source = serverSource({
    name: 'nomadVar',
    ask: (_, { MinQueryIndex }, { linklessMs }) => {
      asked.push(MinQueryIndex);
      hasty.push(linklessMs !== undefined);
      return new Promise((resolve, reject) => {
        waiting.push((reply) => (reply instanceof Error ? reject(reply) : resolve(reply)));
      });
    },
    kept: { get: (key) => kept.get(key), put: (key, value) => void kept.set(key, value) },
    timers,
    random: seededRandom(1),
  });
  const answer = async (reply: { index: number; value: unknown } | Error): Promise<void> => {
    const before = asked.length;
    waiting.shift()?.(reply);
    await until(() => {
      timers.advance(60_000);
      return asked.length > before;
    }, 'it is asked again');
  };
  return { source, kept, asked, hasty, answer, waiting };
}

t.test('what the servers say is told when it changes, and waited for while it is not there', async (t) => {
  const { source, asked, answer } = world();
  let changes = 0;
  const watched = source.watch('a/b', () => changes++);
  t.match(watched.answer, { state: 'waiting', what: 'nomadVar(a/b)' });
  await answer({ index: 5, value: null });
  t.equal(changes, 0);
  await answer({ index: 6, value: { x: 1 } });
  t.same(watched.answer, { state: 'known', value: { x: 1 } });
  await answer({ index: 7, value: { x: 1 } });
  t.equal(changes, 1, 'the same again is no change');
  await answer({ index: 2, value: { x: 2 } });
  t.same(asked, [0, 5, 6, 7, 0], 'an index that went back begins anew');
  watched.close();
});

t.test('without servers what they said last holds; what they refuse fails', async (t) => {
  const { source, kept, hasty, answer, waiting } = world();
  kept.set('nomadVar a', { x: 'kept' });
  const offline = source.watch('a', () => {});
  await answer(new MeshError('E_NO_LEADER', 'none'));
  t.same(offline.answer, { state: 'known', value: { x: 'kept' } });
  await answer({ index: 3, value: { x: 'new' } });
  t.same(offline.answer, { state: 'known', value: { x: 'new' } });
  t.same(kept.get('nomadVar a'), { x: 'new' });
  offline.close();
  waiting.splice(0);
  const refused = source.watch('b', () => {});
  waiting.shift()?.(new MeshError('E_PERMISSION_DENIED', 'not yours'));
  await until(() => refused.answer.state === 'failed', 'it has failed');
  t.same(hasty, [true, false, false, false], 'a link is not waited for where something is kept that nobody has yet');
  t.match(refused.answer, { reason: 'not yours' });
});
