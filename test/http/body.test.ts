import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { bodyOf } from '../../lib/http/body.js';
import { Turns } from '../../lib/util/turns.js';

const turns = new Turns(setImmediate);
const SHARED = { shared: true, pretty: false };
const whole = async (value: unknown, options = SHARED) => await bodyOf(value, { ...options, turns }).plain();
const text = async (value: unknown, options = SHARED): Promise<string> => {
  const { length, pieces } = await whole(value, options);
  const bytes = Buffer.concat(pieces);
  if (bytes.length !== length) throw new Error(`${bytes.length} bytes, not ${length}`);
  return bytes.toString();
};

t.test('an object that is asked for again is printed once more, and then never again', async (t) => {
  let printed = 0;
  const job = { toJSON: () => ({ printed: ++printed }) };
  const answers: string[] = [];
  for (let i = 0; i < 5; i++) answers.push(await text(job));
  t.same(answers, ['{"printed":1}', '{"printed":2}', '{"printed":2}', '{"printed":2}', '{"printed":2}']);
});

t.test('the text of many others takes its place', async (t) => {
  let printed = 0;
  const job = { toJSON: () => ++printed };
  for (let i = 0; i < 3; i++) await text(job);
  t.equal(printed, 2);
  for (let i = 0; i < 64; i++) {
    const other = { i };
    for (let times = 0; times < 2; times++) t.equal(await text(other), `{"i":${i}}`);
  }
  await text(job);
  t.equal(printed, 3);
});

t.test('what is not shared, for a person, or large is printed each time', async (t) => {
  let printed = 0;
  const job = { toJSON: () => ++printed };
  for (let i = 0; i < 3; i++) await text(job, { shared: false, pretty: false });
  for (let i = 0; i < 3; i++) await text(job, { shared: true, pretty: true });
  t.equal(printed, 6);
  const large = { toJSON: () => `${++printed}${'x'.repeat(70_000)}` };
  for (let i = 0; i < 3; i++) await text(large);
  t.equal(printed, 9);
});

t.test('what is no object has a text, too', async (t) => {
  for (const value of [null, 7, 'x', true]) t.equal(await text(value), JSON.stringify(value));
});

t.test('a long list is made in pieces, and is byte for byte what it would be at once', async (t) => {
  const row = (i: number): object => ({
    ID: `${i}`,
    Text: 'ä "\n" '.repeat(i % 90),
    None: undefined,
    List: [i, null],
    In: {},
  });
  for (const count of [0, 1, 2, 700, 21_000]) {
    const list = Array.from({ length: count }, (_, i) => row(i));
    const plain = JSON.stringify(list);
    for (const shared of [true, false]) t.equal(await text(list, { shared, pretty: false }), plain, `${count} rows`);
    const pretty = `${JSON.stringify(list, null, 4)}\n`;
    t.equal(await text(list, { shared: true, pretty: true }), pretty, `${count} rows for a person`);
    const { length, pieces } = await bodyOf(list, { ...SHARED, turns }).packed();
    t.equal(Buffer.concat(pieces).length, length);
    t.equal(gunzipSync(Buffer.concat(pieces)).toString(), plain, `${count} rows packed`);
    for (const piece of (await whole(list)).pieces) t.ok(piece.length < 160 * 1024, `a piece of ${piece.length} bytes`);
  }
  const odd = [undefined, null, 7, 'x\n', [], {}, [[1]], { a: [] }];
  t.equal(await text(odd), JSON.stringify(odd));
  t.equal(await text(odd, { shared: true, pretty: true }), `${JSON.stringify(odd, null, 4)}\n`);
});

t.test('no turn prints more than some hundred thousand bytes of a long list', async (t) => {
  let [printed, most] = [0, 0];
  const own = new Turns((fn) =>
    setImmediate(() => {
      printed = 0;
      fn();
    }),
  );
  const text = 'x'.repeat(2000);
  const row = {
    toJSON() {
      printed += text.length;
      most = Math.max(most, printed);
      return text;
    },
  };
  const list = Array.from({ length: 2000 }, () => row);
  const { length } = await bodyOf(list, { shared: false, pretty: false, turns: own }).plain();
  t.ok(length > 4_000_000);
  t.ok(most < 400 * 1024, `${most} bytes in one turn`);
});
