import t from 'tap';
import { templateFunctions } from '../../lib/client/template/functions/index.js';
import { type HeavyTask, renderHeavy } from '../../lib/client/template/heavy-render.js';
import { compileTemplate, type RenderContext, renderLight, renderTask } from '../../lib/client/template/render.js';
import { TemplateRunner } from '../../lib/client/template/runner.js';
import type { SourceKind, TemplateSource } from '../../lib/client/template/source.js';
import { execTemplate, fn, HeavyTemplate, NO_VALUE, parseTemplate, type Value } from '../../lib/template/index.js';
import { FakeTimers } from './fakes.js';

const CONTEXT: RenderContext = { env: {}, nowMs: 0, denied: [], errMissingKey: false, addresses: () => [] };
const BUILTINS = 'and call eq ge gt html index js le len lt ne not or print printf println slice urlquery'.split(' ');
const TEXT = { name: 'big', left: '', right: '' };
const CALL_CHARS = 8 * 1024;

t.test('where others wait no function is given more than it does in a moment', async (t) => {
  const functions = templateFunctions({
    ...CONTEXT,
    ask: () => ({ state: 'known', value: null }),
    execute: () => '',
  });
  const given: Value[] = [];
  const watched = Object.fromEntries(
    Object.entries(functions).map(([name, one]) => [
      name,
      {
        ...one,
        call: (args: Value[]): Value => {
          given.push(...args);
          return one.call(args);
        },
      },
    ]),
  );
  const long = 'ab,'.repeat(CALL_CHARS);
  const values: Record<string, Value> = {
    text: long,
    list: long.split(','),
    nested: [[new Map([['a', [long]]])]],
    map: new Map([['a', long]]),
    short: '(a|b)*',
  };
  const constants = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, fn(0, () => value)]));
  let count = 0;
  for (const name of [...Object.keys(functions), ...BUILTINS]) {
    for (const big of ['text', 'list', 'nested', 'map']) {
      for (const args of [`(${big})`, `(short) (${big})`, `(${big}) (short)`, `(short) (short) (${big})`]) {
        const text = `{{ ${name} ${args} }}`;
        const parsed = parseTemplate(text, {
          name: 'x',
          functions: [...Object.keys(functions), ...Object.keys(constants)],
        });
        given.length = 0;
        try {
          const options = { data: NO_VALUE, missing: 'no value', light: true } as const;
          execTemplate(parsed, { ...options, functions: { ...watched, ...constants } });
        } catch (error) {
          if (error instanceof HeavyTemplate) count++;
        }
        if (given.includes(values[big])) t.fail(`${text} was called`);
      }
    }
  }
  t.ok(count > 2_000, `${count} calls were not begun`);
});

t.test('what turns out to be more than a moment’s work is given up', async (t) => {
  for (const text of [
    '{{ range loop 100000 }}{{ end }}',
    '{{ range loop 1000 }}{{ sprig_repeat 2000 "x" }}{{ end }}',
    '{{ $x := sprig_repeat 100000 "x" }}{{ toUpper $x }}',
    '{{ sprig_repeat 9000000 "x" }}',
    '{{ regexMatch "(a?){900}b" (sprig_repeat 900 "a") }}',
    '{{ range loop 1000 }}{{ toUpper (sprig_repeat 1000 "x") | len }}{{ end }}',
    '{{ define "a" }}{{ toUpper (sprig_repeat 9000 "x") }}{{ end }}{{ executeTemplate "a" }}',
  ]) {
    const parsed = compileTemplate({ ...TEXT, text });
    if (!parsed.ok) throw new Error(parsed.error);
    t.equal(
      renderLight(parsed.value, CONTEXT, () => ({ state: 'waiting', what: '' })),
      'heavy',
      text,
    );
  }
  const parsed = compileTemplate({ ...TEXT, text: '{{ range loop 100 }}{{ toUpper "x" }}{{ end }}' });
  if (!parsed.ok) throw new Error(parsed.error);
  const overdue = { ...CONTEXT, isOverdue: () => true };
  t.equal(
    renderLight(parsed.value, overdue, () => ({ state: 'waiting', what: '' })),
    'heavy',
  );
});

function task(text: string, more: Partial<HeavyTask> = {}): HeavyTask {
  return {
    template: { ...TEXT, text },
    context: { ...CONTEXT, addresses: [] },
    answers: new Map(),
    maxMs: 60_000,
    ...more,
  };
}

t.test('the thread says what the agent would have said, and the agent goes on meanwhile', async (t) => {
  const text = '{{ $x := sprig_repeat 20000 "ab," }}{{ $x | split "," | join "-" | toUpper | sha256Hex }}';
  const parsed = compileTemplate({ ...TEXT, text });
  if (!parsed.ok) throw new Error(parsed.error);
  const expected = renderTask(parsed.value, CONTEXT, () => ({ state: 'waiting', what: '' }));
  // Were it rendered here, nothing else would come before it.
  let isLate = false;
  setImmediate(() => {
    isLate = true;
  });
  const [first, second] = await Promise.all([renderHeavy(task(text)), renderHeavy(task('{{ fail'))]);
  t.ok(isLate);
  t.same(first, { rendered: expected, asked: [] });
  t.match(second.rendered, { kind: 'failed', reason: /template: big:1/ });
});

t.test('a render that does not end is ended, also within a call, and the next one goes on', async (t) => {
  const endless = await renderHeavy(task('{{ range 9000000000 }}{{ end }}', { maxMs: 100 }));
  t.match(endless.rendered, { kind: 'failed', reason: /too long|more than \d+ steps/ });
  const stuck = await renderHeavy(task('{{ sprig_uniq (loop 1000000) }}', { maxMs: 100 }));
  t.match(stuck.rendered, { kind: 'failed', reason: /takes too long/ });
  t.match((await renderHeavy(task('{{ len "abc" }}'))).rendered, { kind: 'text', text: '3' });
});

t.test(
  'a heavy template reads what it needs, one thing after the other, and is rendered again when that changes',
  async (t) => {
    const texts = new Map([['a', 'b'], ['b', 'x']]); // biome-ignore format: a table
    const changes: (() => void)[] = [];
    const source: TemplateSource = {
      watch: (key, onChange) => {
        changes.push(onChange);
        return {
          get answer() {
            const value = texts.get(key);
            return value === undefined ? { state: 'waiting' as const, what: key } : { state: 'known' as const, value };
          },
          close: () => {},
        };
      },
    };
    const written: string[] = [];
    const text = '{{ $x := sprig_repeat 100000 (file (file "a")) }}{{ toUpper $x | len }} {{ file (file "a") }}';
    const parsed = compileTemplate({ ...TEXT, text });
    if (!parsed.ok) throw new Error(parsed.error);
    const template = {
      index: 0,
      destination: 'local/out',
      once: false,
      wait: { minMs: 0, maxMs: 0 },
      context: CONTEXT,
    };
    const sources: Record<SourceKind & 'file', TemplateSource> = { file: source };
    let changed: () => void = () => {};
    for (const parsedHere of [parsed.value, null]) {
      written.length = 0;
      texts.set('b', 'x');
      const again = new Promise<void>((resolve) => (changed = resolve));
      const runner = new TemplateRunner({
        templates: [{ ...template, text: { ...TEXT, text }, parsed: parsedHere }],
        sources,
        timers: new FakeTimers(),
        renderHeavy,
        written: new Map(),
        events: {
          write: async (_, content) => void written.push(content),
          changed: () => changed(),
          failed: (reason) => t.fail(reason),
          waiting: () => {},
        },
      });
      await runner.rendered();
      t.same(written, ['100000 x']);
      texts.set('b', 'yy');
      for (const change of changes) change();
      await again;
      t.same(written, ['100000 x', '200000 yy']);
      runner.close();
    }
  },
);
