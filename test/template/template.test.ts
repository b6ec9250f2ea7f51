import fc from 'fast-check';
import t from 'tap';
import { renderTemplate } from '../../lib/template/index.js';

const DATA = {
  ID: 'web',
  Count: 3,
  Time: 1_790_000_000_000_000_000,
  On: true,
  Nothing: null,
  List: ['a', 'b', 'c'],
  Map: { z: 1, a: 2 },
  Groups: [
    { Name: 'x', N: 1 },
    { Name: 'y', N: 0 },
  ],
};

// The right-hand side is what Go's text/template prints for the same data as maps.
const RENDERED: [string, string][] = [
  ['plain', 'plain'],
  ['{{.ID}} {{ .Count }}', 'web 3'],
  ['{{.Time}}', '1790000000000000000'],
  ['{{.Nothing}}', '<nil>'],
  ['{{.List}} {{.Map}}', '[a b c] map[a:2 z:1]'],
  ['{{range .List}}<{{.}}>{{end}}', '<a><b><c>'],
  ['{{range $i, $e := .List}}{{$i}}={{$e}},{{end}}', '0=a,1=b,2=c,'],
  ['{{range $k, $v := .Map}}{{$k}}{{$v}} {{end}}', 'a2 z1 '],
  ['{{range .Nothing}}x{{else}}none{{end}}', 'none'],
  ['{{range .Groups}}{{if .N}}{{.Name}}{{else}}-{{end}}{{end}}', 'x-'],
  ['{{range .Groups}}{{$.ID}}.{{.Name}} {{end}}', 'web.x web.y '],
  ['{{with .Map}}{{.a}}{{end}}{{with .Nothing}}x{{else with .ID}}{{.}}{{end}}', '2web'],
  ['{{if eq .ID "web"}}yes{{else if .On}}on{{else}}no{{end}}', 'yes'],
  ['{{if and .On (gt .Count 2) (not .Nothing)}}ok{{end}}', 'ok'],
  ['{{or .Nothing "d"}} {{and 0 .Missing}}', 'd 0'],
  ['{{$x := 1}}{{if .On}}{{$x = 2}}{{end}}{{$x}}', '2'],
  ['{{$x := 1}}{{if .On}}{{$x := 2}}{{$x}}{{end}}{{$x}}', '21'],
  ['{{index .List 1}} {{index .Map "z"}} {{(index .Groups 0).Name}}', 'b 1 x'],
  ['{{len .List}} {{len .ID}} {{slice .ID 1 3}}', '3 3 eb'],
  [
    '{{printf "%-5s|%5d|%05.1f|%q|%v|%t|%x" .ID .Count 2.25 "a\\"b" .List .On 255}}',
    'web  |    3|002.2|"a\\"b"|[a b c]|true|ff',
  ],
  ['{{printf "%d" "x"}} {{printf "%s"}}', '%!d(string=x) %!s(MISSING)'],
  ['{{.ID | printf "%s-%s" "a" | len}}', '5'],
  ['a {{- .ID -}} b', 'awebb'],
  ['a {{/* note */}} b {{- /* note */ -}} c', 'a  bc'],
  ['{{define "t"}}[{{.}}]{{end}}{{template "t" .ID}}{{template "t"}}', '[web][<no value>]'],
  ['{{block "b" .Count}}<{{.}}>{{end}}', '<3>'],
  ['{{range .List}}{{if eq . "b"}}{{continue}}{{end}}{{if eq . "c"}}{{break}}{{end}}{{.}}{{end}}', 'a'],
  ['{{range 3}}{{.}}{{end}}', '012'],
  ['{{"raw"}} {{`a\\n`}} {{\'a\'}} {{1.5}} {{0x10}} {{true}}', 'raw a\\n 97 1.5 16 true'],
  ['{{println .ID .Count}}', 'web 3\n'],
  ['{{html "<a&b>"}} {{urlquery "a b/c"}}', '&lt;a&amp;b&gt; a+b%2Fc'],
];

for (const [template, expected] of RENDERED) {
  t.test(`renders ${template}`, async (t) => t.same(renderTemplate(template, DATA), { ok: true, value: expected }));
}

const REFUSED: [string, RegExp][] = [
  ['{{.Idd}}', /^template: :1:2: executing "" at <\.Idd>: can't evaluate field Idd in type .*; did you mean \.ID\?/],
  ['{{.ID.x}}', /can't evaluate field x/],
  ['{{pirntf "x"}}', /function "pirntf" not defined; did you mean "printf"\?/],
  ['{{if .On}}', /unexpected EOF/],
  ['\n {{end}}', /^template: :2: unexpected \{\{end\}\}/],
  ['{{.ID', /unclosed action/],
  ['{{"a}}', /unterminated/],
  ['{{$y}}', /undefined variable/],
  ['{{template "no"}}', /template "no" not defined/],
  ['{{define "r"}}{{template "r"}}{{end}}{{template "r"}}', /exceeded maximum template depth/],
  ['{{break}}', /outside/],
  ['{{lt 1 "a"}}', /incompatible types/],
  ['{{index .List 9}}', /out of range/],
  ['{{}}', /missing value/],
  ['{{.ID "x"}}', /is not a method but has arguments/],
];

for (const [template, expected] of REFUSED) {
  t.test(`refuses ${JSON.stringify(template)}`, async (t) => {
    const rendered = renderTemplate(template, DATA);
    t.equal(rendered.ok, false);
    if (!rendered.ok) t.match(rendered.error, expected);
  });
}

t.test('no text makes it throw or run for ever', async () => {
  const piece = fc.constantFrom(
    '{{',
    '}}',
    '{{-',
    '-}}',
    '.',
    '$',
    'x',
    '"',
    '`',
    '(',
    ')',
    '|',
    ':=',
    'if',
    'range',
    'end',
    'else',
    ' ',
    '/*',
    '*/',
    '1',
    'define',
    'template',
    'index',
    '.A',
  );
  fc.assert(fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => void renderTemplate(pieces.join(''), DATA)));
});
