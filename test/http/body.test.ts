import t from 'tap';
import { bodyOf } from '../../lib/http/body.js';

const SHARED = { shared: true, pretty: false };
const text = (value: unknown, options = SHARED): string => bodyOf(value, options).plain().toString();

t.test('an object that is asked for again is printed once more, and then never again', async (t) => {
  let printed = 0;
  const job = { toJSON: () => ({ printed: ++printed }) };
  const answers = Array.from({ length: 5 }, () => text(job));
  t.same(answers, ['{"printed":1}', '{"printed":2}', '{"printed":2}', '{"printed":2}', '{"printed":2}']);
});

t.test('the text of many others takes its place', async (t) => {
  let printed = 0;
  const job = { toJSON: () => ++printed };
  for (let i = 0; i < 3; i++) text(job);
  t.equal(printed, 2);
  for (let i = 0; i < 64; i++) {
    const other = { i };
    for (let times = 0; times < 2; times++) t.equal(text(other), `{"i":${i}}`);
  }
  text(job);
  t.equal(printed, 3);
});

t.test('what is not shared, for a person, or large is printed each time', async (t) => {
  let printed = 0;
  const job = { toJSON: () => ++printed };
  for (let i = 0; i < 3; i++) text(job, { shared: false, pretty: false });
  for (let i = 0; i < 3; i++) text(job, { shared: true, pretty: true });
  t.equal(printed, 6);
  const large = { toJSON: () => `${++printed}${'x'.repeat(70_000)}` };
  for (let i = 0; i < 3; i++) text(large);
  t.equal(printed, 9);
});

t.test('what is no object has a text, too', async (t) => {
  for (const value of [null, 7, 'x', true]) t.equal(text(value), JSON.stringify(value));
});
