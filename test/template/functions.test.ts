import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { compileTemplate, renderTask } from '../../lib/client/template/render.js';
import { ROOT } from '../support/mesh-agent.js';

// Templates with what Consul Template made of them, its functions and Sprig's, by Go itself; null where it refused them.

const CASES = JSON.parse(readFileSync(join(ROOT, 'test/template/data/functions.json'), 'utf8')) as [
  string,
  string | null,
][];

const CONTEXT = {
  env: { HOME: '/root', EMPTY: '', A: '1' },
  nowMs: Date.parse('2026-03-04T05:06:07.089Z'),
  denied: [],
  errMissingKey: false,
  addresses: () => [],
};

function render(text: string): string | null {
  const parsed = compileTemplate({ text, name: '', left: '', right: '' });
  if (!parsed.ok) return null;
  const result = renderTask(parsed.value, CONTEXT, () => ({ state: 'waiting', what: 'servers' }));
  return result.kind === 'text' ? result.text : null;
}

t.test('functions do what those of Consul Template and Sprig do', async (t) => {
  t.ok(CASES.length > 800);
  for (const [template, expected] of CASES) {
    const text = render(template);
    if (text !== expected) t.equal(text, expected, template);
  }
});

t.test('what a map is given later, those who have it see', async (t) => {
  t.equal(render('{{ $d := sprig_dict "a" 1 }}{{ $e := $d }}{{ $_ := sprig_set $d "b" 2 }}{{ $e }}'), 'map[a:1 b:2]');
});

const GROW = '{{ range loop 60 }}';

t.test('no value grows until it fills the memory', async (t) => {
  for (const [text, reason] of [
    [`{{ $x := "x" }}${GROW}{{ $x = printf "%s%s" $x $x }}{{ end }}`, /more than \d+ characters/],
    [`{{ $x := loop 1000 }}${GROW}{{ $x = sprig_concat $x $x }}{{ end }}`, /more than \d+ items/],
    [`{{ $x := sprig_list 1 }}${GROW}{{ $x = sprig_list $x $x }}{{ end }}{{ $x }}`, /more than \d+ parts/],
    [`{{ $x := sprig_list 1 }}${GROW}{{ $x = sprig_list $x $x }}{{ end }}{{ toJSON $x }}`, /more than \d+ parts/],
    [
      `{{ $x := sprig_list 1 }}${GROW}{{ $x = sprig_list $x $x }}{{ end }}{{ sprig_deepEqual $x $x }}`,
      /more than \d+ parts/,
    ],
    ['{{ $d := sprig_dict }}{{ $_ := sprig_set $d "me" $d }}{{ $d }}', /more than \d+ parts/],
    ['{{ $d := sprig_dict }}{{ $_ := sprig_set $d "me" $d }}{{ toYAML $d }}', /more than \d+ parts/],
    ['{{ $d := sprig_dict }}{{ $_ := sprig_set $d "me" $d }}{{ $_ := sprig_merge $d $d }}', /more than \d+ parts/],
    ['{{ range loop 1000 }}{{ scratch.Set (print .) (sprig_repeat 16000000 "x") }}{{ end }}', /fits into memory/],
    ['{{ range 9000000000000000000 }}{{ end }}', /takes too long/],
    ['{{ range loop 1000 }}{{ regexMatch "(a*)*(a*)*(a*)*b" (sprig_repeat 2000 "a") }}{{ end }}', /takes too long/],
  ] as const) {
    const parsed = compileTemplate({ text, name: '', left: '', right: '' });
    if (!parsed.ok) throw new Error(parsed.error);
    let looks = 0;
    const context = { ...CONTEXT, isOverdue: () => ++looks > 20 };
    const result = renderTask(parsed.value, context, () => ({ state: 'waiting', what: '' }));
    t.match(result.kind === 'failed' ? result.reason : result, reason, text);
  }
});

t.test('names may be refused by a pattern', async (t) => {
  const parsed = compileTemplate({ text: '{{ sprig_upper "a" }}', name: '', left: '', right: '' });
  if (!parsed.ok) throw new Error(parsed.error);
  for (const [pattern, isRefused] of [
    ['sprig_*', true],
    ['*_upper', true],
    ['s*i*p*r', true],
    ['sprig_upper', true],
    ['*_lower', false],
    ['sprig', false],
    ['sprig_u*pper_', false],
  ] as const) {
    const result = renderTask(parsed.value, { ...CONTEXT, denied: [pattern] }, () => ({ state: 'waiting', what: '' }));
    t.equal(result.kind, isRefused ? 'failed' : 'text', pattern);
  }
});
