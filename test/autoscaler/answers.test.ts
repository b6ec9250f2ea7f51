import t from 'tap';
import { checkAction, checkMetrics, checkStatus } from '../../lib/autoscaler/answers.js';
import { seededRandom } from '../../lib/util/random.js';

const status = (value: unknown) => checkStatus(value as never);
const metrics = (value: unknown) => checkMetrics(value as never);
const action = (value: unknown) => checkAction(value as never);

t.test('answers that make sense are taken', async (t) => {
  t.same(status({ ready: true, count: 3, meta: { a: 'b' } }), { ready: true, count: 3, meta: { a: 'b' } });
  t.same(status({ ready: false, count: 0 }), { ready: false, count: 0, meta: {} });
  const wish = { count: 3, direction: 'up', reason: 'load', error: false, meta: { seen: 1 } };
  t.same(action(wish), wish);
  t.match(action({ direction: 'none' }), { direction: 'none', reason: '' });
  const mixed = [
    { timestampMs: 2, value: 1 },
    { timestampMs: 1, value: 0 },
    { timestampMs: 3, value: Number.NaN },
  ];
  t.same(
    metrics(mixed),
    [
      { timestampMs: 1, value: 0 },
      { timestampMs: 2, value: 1 },
    ],
    'in order, and numbers only',
  );
  t.same(metrics([]), []);
});

t.test('answers without sense are refused, with what they say', async (t) => {
  for (const [check, value, message] of [
    [status, null, /its status is null/],
    [status, { ready: 'yes', count: 1 }, /says "yes" of whether it is ready/],
    [status, { ready: true, count: -1 }, /says that there are -1/],
    [status, { ready: true, count: 1.5 }, /there are 1\.5/],
    [status, { ready: true, count: Number.NaN }, /there are NaN/],
    [status, { ready: true, count: 1, meta: { a: 1 } }, /no text for "a"/],
    [status, { ready: true, count: 1, meta: [] }, /meta of its status is a list/],
    [action, 7, /its wish is 7/],
    [action, { count: 1, direction: 'sideways' }, /the direction "sideways", which is none of down, none, up/],
    [action, { count: 'many', direction: 'up' }, /a count of "many"/],
    [action, { count: Number.POSITIVE_INFINITY, direction: 'up' }, /a count of Infinity/],
    [action, { count: 2, direction: 'up', error: true, reason: 'no quota' }, /^Error: no quota$|no quota/],
    [action, { count: 2, direction: 'up', meta: 'x' }, /meta of its wish is "x"/],
    [metrics, 'many', /the figures are "many", and no list/],
    [metrics, [{ timestampMs: 1, value: Number.NaN }], /none of the 1 figures is a number/],
    [metrics, new Array(100_001), /100001 figures are too many/],
  ] as const) {
    t.throws(() => check(value), { message });
  }
});

t.test('whatever a plugin answers is taken or refused with an Error, and never decided by as it is', async (t) => {
  const random = seededRandom(7);
  const odd = [
    null,
    undefined,
    0,
    -1,
    2 ** 53,
    Number.NaN,
    1.5,
    '',
    'x'.repeat(500),
    [],
    {},
    true,
    () => {},
    'up',
    'none',
  ];
  const pick = (): unknown => odd[Math.floor(random.next() * odd.length)];
  for (let i = 0; i < 5_000; i++) {
    const value = { ready: pick(), count: pick(), meta: pick(), direction: pick(), reason: pick(), error: pick() };
    for (const check of [status, action, metrics]) {
      try {
        const taken = check(i % 3 === 0 ? pick() : value) as { count?: number };
        if (taken.count !== undefined && !Number.isSafeInteger(taken.count)) t.fail(`count ${taken.count}`);
      } catch (error) {
        const { message } = error as Error;
        if (!(error instanceof Error) || error instanceof TypeError || message.length > 600) t.fail(message);
      }
    }
  }
  t.pass('5,000 answers');
});
