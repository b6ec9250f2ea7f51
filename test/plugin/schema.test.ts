import t from 'tap';
import { decodeBySchema, type ProtoSpec, type Schema, toSchema } from '../../lib/plugin/schema/decode.js';
import { evaluate, parseExpression } from '../../lib/plugin/schema/expression.js';
import { encodeMsgpack } from '../../lib/plugin/schema/msgpack.js';
import { parseType } from '../../lib/plugin/schema/types.js';
import { seededRandom } from '../../lib/util/random.js';

const attr = (type: string, required = false): ProtoSpec => ({ block: 'Attr', Attr: { name: '', type, required } });
const object = (attributes: Record<string, ProtoSpec>): ProtoSpec => ({ block: 'object', object: { attributes } });
const literal = (value: string): ProtoSpec => ({ block: 'literal', literal: { value } });
const orElse = (primary: ProtoSpec, fallback: ProtoSpec): ProtoSpec => ({
  block: 'default',
  default: { primary, default: fallback },
});
const schemaOf = (spec: ProtoSpec): Schema => {
  const schema = toSchema(spec);
  if (!schema.ok) throw new Error(schema.error);
  return schema.value;
};
/** As the podman driver says its config, in parts. */
const PODMAN = schemaOf(
  object({
    image: attr('string', true),
    args: attr('list(string)'),
    tmpfs: attr('list(string)'),
    port_map: attr('list(map(number))'),
    init: attr('bool'),
    memory_swap: attr('string'),
    sysctl: attr('list(map(string))'),
    logging: {
      block: 'block_list',
      block_list: {
        name: 'logging',
        min_items: 0,
        max_items: 0,
        nested: object({
          driver: attr('string'),
          options: attr('list(map(string))'),
        }),
      },
    },
    auth: {
      block: 'block_value',
      block_value: {
        name: 'auth',
        required: false,
        nested: object({
          username: attr('string'),
          tls_verify: orElse(attr('bool'), literal('true')),
        }),
      },
    },
    gc: orElse(
      {
        block: 'block_value',
        block_value: { name: 'gc', required: false, nested: object({ container: attr('bool') }) },
      },
      literal('{ container = true }'),
    ),
  }),
);

t.test('a config is read by the plugin’s schema, what is not given is null or its default', async (t) => {
  t.same(decodeBySchema(PODMAN, { image: 'alpine', args: ['a', 1], port_map: [{ http: '80' }], init: 'true' }), {
    value: {
      image: 'alpine',
      args: ['a', '1'],
      tmpfs: null,
      port_map: [{ http: 80 }],
      init: true,
      memory_swap: null,
      sysctl: null,
      logging: [],
      auth: null,
      gc: { container: true },
    },
  });
  t.match(
    decodeBySchema(PODMAN, {
      image: 'a',
      auth: { username: 'me' },
      logging: [{ driver: 'x' }, { options: [{ a: true }] }],
      gc: [{ container: false }],
    }),
    {
      value: {
        auth: { username: 'me', tls_verify: true },
        logging: [
          { driver: 'x', options: null },
          { driver: null, options: [{ a: 'true' }] },
        ],
        gc: { container: false },
      },
    },
  );
});

t.test('what is wrong with a config is told with its place', async (t) => {
  for (const [config, path, message] of [
    [{}, 'image', 'is missing'],
    [{ imgae: 'x', image: 'a' }, 'imgae', 'is not a known key; did you mean "image"?'],
    [{ image: 'a', args: 'x' }, 'args', 'must be a list, not "x"'],
    [{ image: 'a', port_map: [{ http: 'x' }] }, 'port_map[0].http', 'must be a number, not "x"'],
    [{ image: 'a', init: 3 }, 'init', 'must be true or false, not 3'],
    [{ image: ['a'] }, 'image', 'must be a string, not ["a"]'],
    [{ image: 'a', auth: [{}, {}] }, 'auth', 'may be written once, not 2 times'],
    [{ image: 'a', auth: 'me' }, 'auth', 'must be a block, not "me"'],
    [{ image: 'a', auth: { usernmae: 'me' } }, 'auth.usernmae', 'is not a known key; did you mean "username"?'],
  ] as const) {
    const decoded = decodeBySchema(PODMAN, config);
    t.match('problems' in decoded && decoded.problems[0], { path }, JSON.stringify(config));
    t.equal('problems' in decoded && decoded.problems[0]?.message, message);
  }
});

t.test('labelled blocks, sets, maps of attributes and tuples', async (t) => {
  const schema = schemaOf(
    object({
      volume: {
        block: 'block_map',
        block_map: { name: 'volume', labels: ['name'], nested: object({ size: attr('number') }) },
      },
      tags: attr('set(string)'),
      env: { block: 'block_attrs', block_attrs: { name: 'env', type: 'string', required: false } },
      pair: attr('tuple([string, number])'),
      point: attr('object({ x = number, y = number })'),
      free: attr('any'),
    }),
  );
  t.match(
    decodeBySchema(schema, {
      volume: [{ data: [{ size: 1 }] }, { logs: { size: '2' } }],
      tags: ['a', 'b', 'a'],
      env: [{ A: 1 }],
      pair: ['a', '1'],
      point: { x: 1, y: 2 },
      free: { any: [1] },
    }),
    {
      value: {
        volume: { data: { size: 1 }, logs: { size: 2 } },
        tags: ['a', 'b'],
        env: { A: '1' },
        pair: ['a', 1],
        point: { x: 1, y: 2 },
        free: { any: [1] },
      },
    },
  );
  t.match(decodeBySchema(schema, { point: { x: 1 } }), { problems: [{ path: 'point.y', message: 'is missing' }] });
});

t.test('a schema that makes no sense is the plugin’s mistake, told once', async (t) => {
  for (const [spec, message] of [
    [object({ a: attr('lsit(string)') }), /of "a" names the type "lsit"/],
    [object({ a: attr('list(') }), /of "a" has its end where/],
    [object({ a: literal('uuid()') }), /of "a" calls uuid\(\)/],
    [object({ a: { block: 'novelty' } }), /of "a" is empty or of a kind/],
    [object({ a: {} }), /is empty/],
    [{ block: 'default', default: { primary: null, default: null } }, /is empty/],
  ] as [ProtoSpec, RegExp][]) {
    const schema = toSchema(spec);
    t.match(schema.ok ? '' : schema.error, message);
  }
  let deep: ProtoSpec = attr('string');
  for (let i = 0; i < 10_000; i++) deep = { block: 'object', object: { attributes: { a: deep } } };
  t.match(toSchema(deep), { ok: false });
});

t.test('types and values are read from HCL, and nothing makes the reader fail', async (t) => {
  t.match(parseType('object({a = list(string), "b": any})'), {
    value: {
      fields: [
        ['a', {}],
        ['b', {}],
      ],
    },
  });
  const value = parseExpression('{\n  a = [1, -2.5, "x\\n"]\n  b = { c = null, d = true }\n}');
  t.same(value.ok && evaluate(value.value), { ok: true, value: { a: [1, -2.5, 'x\n'], b: { c: null, d: true } } });
  const random = seededRandom(3);
  const words = ['list', '(', ')', '{', '}', '[', ']', '"', ',', '=', 'a', '1', '\\', '\n', ' ', '-'];
  for (let round = 0; round < 3000; round++) {
    const text = Array.from({ length: 12 }, () => words[Math.floor(random.next() * words.length)]).join('');
    parseType(text);
    const parsed = parseExpression(text);
    if (parsed.ok) evaluate(parsed.value);
  }
  t.match(parseExpression('['.repeat(60_000)), { ok: false });
});

t.test('MessagePack of every length', async (t) => {
  for (const [value, hex] of [
    [null, 'c0'],
    [true, 'c3'],
    [5, '05'],
    [-1, 'ff'],
    [300, 'd3000000000000012c'],
    [-40, 'd3ffffffffffffffd8'],
    [1.5, 'cb3ff8000000000000'],
    ['ab', 'a26162'],
    [['a', 1], '92a16101'],
    [{ a: null }, '81a161c0'],
    ['ü', 'a2c3bc'],
  ] as const) {
    t.equal(encodeMsgpack(value).toString('hex'), hex, JSON.stringify(value));
  }
  t.match(encodeMsgpack('x'.repeat(40)).subarray(0, 2).toString('hex'), 'd928');
  t.match(encodeMsgpack('x'.repeat(300)).subarray(0, 3).toString('hex'), 'da012c');
  t.match(encodeMsgpack('x'.repeat(70_000)).subarray(0, 5).toString('hex'), 'db00011170');
  t.match(encodeMsgpack(Array(16).fill(0)).subarray(0, 3).toString('hex'), 'dc0010');
  t.match(encodeMsgpack(Array(70_000).fill(0)).subarray(0, 5).toString('hex'), 'dd00011170');
});
