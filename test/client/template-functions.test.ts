import fc from 'fast-check';
import t from 'tap';
import { compileTemplate, renderTask } from '../../lib/client/template/render.js';
import type { Ask } from '../../lib/client/template/source.js';

const CONTEXT = {
  env: { HOME: '/root', NOMAD_TASK_NAME: 'web' },
  nowMs: Date.parse('2026-03-04T05:06:07.089Z'),
  denied: ['md5sum'],
  errMissingKey: false,
  addresses: () => [{ name: 'eth0', address: '192.168.1.5', family: 'IPv4' as const, internal: false }],
};

const nothing: Ask = (kind, key) => ({ state: 'waiting', what: `${kind}(${key})` });

function render(text: string, ask: Ask = nothing): string {
  const parsed = compileTemplate({ text, name: 'x', left: '', right: '' });
  if (!parsed.ok) return parsed.error;
  const result = renderTask(parsed.value, CONTEXT, ask);
  if (result.kind === 'text') return result.text;
  return result.kind === 'failed' ? result.reason : `waiting for ${result.missing.join(', ')}`;
}

const TEXTS: [string, string][] = [
  ['{{ env "HOME" }}{{ env "NO" }}|{{ envOrDefault "NO" "d" }}|{{ mustEnv "HOME" }}', '/root|d|/root'],
  [
    '{{ timestamp }} {{ timestamp "2006-01-02 15:04:05.000" }} {{ timestamp "unix" }} {{ timestamp "Jan _2 Mon" }}',
    '2026-03-04T05:06:07Z 2026-03-04 05:06:07.089 1772600767 Mar  4 Wed',
  ],
  [
    '{{ "a,b" | split "," | join "-" }} {{ "abc" | toUpper }} {{ "ab cd" | toTitle }} {{ "  x " | trimSpace }}',
    'a-b ABC Ab Cd x',
  ],
  [
    '{{ "abcabc" | replaceAll "b" "$1" }} {{ "foo bar" | regexReplaceAll "(o+)" "<$1>" }} {{ "foo" | regexMatch "^fo+$" }}',
    'a$1ca$1c f<oo> bar true',
  ],
  ['{{ "a:1,b:2" | splitToMap "," ":" | toJSON }} {{ "x\\ny" | indent 2 }}', '{"a":"1","b":"2"}   x\n  y'],
  [
    '{{ "YQ==" | base64Decode }} {{ "a" | base64Encode }} {{ "a?>" | base64URLEncode }} {{ "YT8-" | base64URLDecode }}',
    'a YQ== YT8- a?>',
  ],
  [
    '{{ "a" | sha256Hex }} {{ hmacSHA256Hex "m" "k" }}',
    'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb b60090e3052297aeb5a080889ce2fc4bca957e756faeb4df7d31800ca1e771ec',
  ],
  [
    '{{ with parseJSON "{\\"a\\":[1,2.5,1000000],\\"b\\":{\\"c\\":\\"<x>\\"}}" }}{{ .a }} {{ .b.c }} {{ toJSON . }}{{ end }}',
    '[1 2.5 1e+06] <x> {"a":[1,2.5,1000000],"b":{"c":"\\u003cx\\u003e"}}',
  ],
  [
    '{{ parseJSON "[1]" | toUnescapedJSON }} {{ parseJSON "{}" | toJSONPretty }} {{ "{\\"a\\":1}" | parseJSON | toJSONPretty }}',
    '[1] {} {\n  "a": 1\n}',
  ],
  ['{{ with parseYAML "a: 1\\nb: [x, 2.5]\\n" }}{{ .a }} {{ .b }} {{ printf "%T" .a }}{{ end }}', '1 [x 2.5] int'],
  [
    '{{ sprig_dict "b" 1 "a" (sprig_list "x" "yes" 2 true nil) "c" (sprig_dict "d" "e: f") | toYAML }}',
    'a:\n- x\n- "yes"\n- 2\n- true\n- null\nb: 1\nc:\n  d: \'e: f\'',
  ],
  [
    '{{ parseInt "7" | add 1 }} {{ 10 | subtract 3 }} {{ 7 | divide 2 }} {{ 7.0 | divide 2 }} {{ 7 | modulo 4 }} {{ 3 | multiply 2 }} {{ 3 | maximum 5 }} {{ 3 | minimum 5 }}',
    '8 7 3 3.5 3 6 5 3',
  ],
  ['{{ parseBool "true" }} {{ parseFloat "1.50" }} {{ parseUint "8" }} {{ parseInt "-3" }}', 'true 1.5 8 -3'],
  ['{{ range loop 2 4 }}{{ . }}{{ end }}|{{ range loop 3 }}{{ . }}{{ end }}', '23|012'],
  [
    '{{ if (sprig_list 1 2) | containsAll (sprig_list 2) }}a{{ end }}{{ if in (sprig_list "x") "x" }}b{{ end }}{{ "abc" | contains "b" }}',
    'abtrue',
  ],
  [
    '{{ scratch.Set "a" 1 }}{{ scratch.SetX "a" 2 }}{{ scratch.MapSet "m" "k" "v" }}{{ scratch.Get "a" }} {{ scratch.MapValues "m" }} {{ scratch.Key "z" }}',
    '1 [v] false',
  ],
  [
    '{{ sprig_default "d" "" }} {{ "x" | sprig_default "d" }} {{ sprig_ternary "y" "n" true }} {{ sprig_coalesce "" 0 "z" }}',
    'd x y z',
  ],
  [
    '{{ "Hello World" | sprig_snakecase }} {{ "x" | sprig_repeat 3 }} {{ "abcdef" | sprig_trunc 3 }} {{ "a" | sprig_quote }} {{ sprig_nindent 2 "a" }}',
    'hello_world xxx abc "a" \n  a',
  ],
  [
    '{{ sprig_list 3 1 2 | sprig_sortAlpha }} {{ sprig_until 3 }} {{ sprig_list 1 2 2 | sprig_uniq }} {{ (sprig_dict "a" 1).a }}',
    '[1 2 3] [0 1 2] [1 2] 1',
  ],
  [
    '{{ "a/b/c" | sprig_base }} {{ sprig_add 1 2 3 }} {{ sprig_div 7 2 }} {{ "x" | sprig_b64enc }} {{ sprig_round 3.14159 2 }}',
    'c 6 3 eA== 3.14',
  ],
  [
    '{{ sprig_dict "a/b" 1 | explodeMap | toJSON }} {{ mergeMap (sprig_dict "a" 1) (sprig_dict "a" 2 "b" 3) | toJSON }}',
    '{"a":{"b":1}} {"a":1,"b":3}',
  ],
]; // prettier-ignore

for (const [template, expected] of TEXTS)
  t.test(`renders ${template}`, async (t) => t.equal(render(template), expected));

const ERRORS: [string, RegExp][] = [
  ['{{ mustEnv "NO" }}', /error calling mustEnv: required environment variable NO is empty/],
  ['{{ key "a" }}', /key asks Consul, and there is none: .*nomadVar/],
  ['{{ with secret "a" }}{{ end }}', /secret asks Vault/],
  ['{{ plugin "/bin/sh" }}', /would run a program on the host|function is disabled: plugin/],
  ['{{ md5sum "a" }}', /function is disabled: md5sum/],
  ['{{ parseJSON "{" }}', /^template: x:1:3: executing "x" at <parseJSON "\{">: error calling parseJSON/],
  ['{{ parseInt "x" }}', /invalid syntax/],
  ['{{ splt "," "a" }}', /function "splt" not defined; did you mean "split"\?/],
  ['{{ loop 100000000 }}', /more than/],
  ['{{ "a" | sprig_repeat 1000000000 }}', /more than/],
  ['{{ range loop 900000 }}{{ range loop 900000 }}x{{ end }}{{ end }}', /more than \d+ steps/],
  ['{{ "a" | regexMatch "(" }}', /error parsing regexp/],
  ['{{ "x" | indent -1 }}', /positive/],
  ['{{ 1 | divide 0 }}', /division by zero/],
  ['{{ sprig_fail "no" }}', /error calling sprig_fail: no/],
];

for (const [template, expected] of ERRORS)
  t.test(`refuses ${template}`, async (t) => t.match(render(template), expected));

t.test('a render waits for all that is missing, and reads what is there', async (t) => {
  const ask: Ask = (_, key) => (key === 'b' ? { state: 'known', value: 'B' } : nothing('file', key));
  t.equal(render('{{ file "a" }}{{ file "b" }}{{ file "c" }}', ask), 'waiting for file(a), file(c)');
  t.equal(render('{{ file "b" }}', ask), 'B');
  t.equal(render('{{ mustEnv (file "a") }}', ask), 'waiting for file(a)', 'what fails for want of it is not told');
  t.match(
    render('{{ file "x" }}', () => ({ state: 'failed', reason: 'no such luck' })),
    /error calling file: no such luck/,
  );
});

t.test('no arguments make a function throw anything but an error of the template', async () => {
  const names =
    'split join toJSON toYAML parseJSON parseYAML base64Decode replaceAll regexMatch add divide loop in containsAny explodeMap mergeMap sprig_trunc sprig_substr sprig_dict sprig_get sprig_pick sprig_abbrev sprig_round sprig_untilStep sprig_regexFindAll indent trim'.split(
      ' ',
    );
  const argument = fc.constantFrom(
    '1',
    '-5',
    '1.5',
    '"a,b"',
    '"["',
    '""',
    'nil',
    'true',
    '(sprig_list 1 "x")',
    '(sprig_dict "a" 1)',
    '.',
    '99999',
  );
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.array(argument, { maxLength: 3 }), (name, args) => {
      render(`{{ ${name} ${args.join(' ')} }}`);
    }),
    { numRuns: 2_000, seed: 11 },
  );
});

t.test('what is written as JSON or YAML reads back as it was', async (t) => {
  const value = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      fc.string(),
      fc.constantFrom(
        'yes',
        'null',
        '1',
        '0x1',
        '1e3',
        '~',
        '- a',
        'a: b',
        '# c',
        "it's",
        ' x ',
        'a\nb',
        '2020-01-01',
        '-',
        '?',
        '.5',
        '@a',
      ),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(fc.stringMatching(/^[a-z:# 0-9-]{1,5}$/), tie('any'), { maxKeys: 3, noNullPrototype: true }),
    ),
  })).any;
  fc.assert(
    fc.property(value, (given) => {
      const known: Ask = () => ({ state: 'known', value: { v: given } });
      t.same(JSON.parse(render('{{ toJSON (file "v") }}', known)), { v: given });
      t.same(
        JSON.parse(render('{{ file "v" | toYAML | parseYAML | toJSON }}', known)),
        { v: given },
        JSON.stringify(given),
      );
    }),
    { numRuns: 300, seed: 5 },
  );
});

const META = { Namespace: 'default', CreateIndex: 1, ModifyIndex: 2, CreateTime: 0, ModifyTime: 0 };
const SERVICE = {
  ID: 's1',
  ServiceName: 'web',
  Address: '10.0.0.1',
  Port: 80,
  Tags: ['a', 'b'],
  NodeID: 'n',
  Datacenter: 'dc1',
};

/** Servers that know one variable and one service. */
const servers: Ask = (kind, key) => {
  const known = (value: unknown) => ({ state: 'known', value }) as const;
  switch (`${kind} ${key}`) {
    case 'nomadVar nomad/jobs/x':
      return known({ ...META, Path: key, Items: { user: 'admin', Keys: 'own' } });
    case 'nomadVarList ':
    case 'nomadVarList nomad/jobs/x':
      return known([{ ...META, Path: 'nomad/jobs/x' }]);
    case 'nomadService web':
    case 'nomadService 1|me|web':
      return known([SERVICE]);
    case 'nomadServices ':
      return known([{ ServiceName: 'web', Tags: ['a'] }]);
    case 'nomadVar secret':
      return { state: 'failed', reason: 'may not read it' };
    default:
      return kind === 'nomadVarList' ? known([]) : { state: 'waiting', what: `${kind}(${key})` };
  }
};

t.test('variables and services', async (t) => {
  for (const [text, expected] of [
    [
      '{{ with nomadVar "nomad/jobs/x" }}{{ .user }} {{ .Metadata.Path }} {{ .Values }}{{ end }}',
      'admin nomad/jobs/x [own admin]',
    ],
    ['{{ with nomadVar "nomad/jobs/x" }}{{ .Keys }} [{{ .none }}]{{ end }}', '[Keys user] []'],
    ['{{ range $k, $v := nomadVar "nomad/jobs/x" }}{{ $k }}={{ $v }} {{ end }}', 'Keys=own user=admin '],
    [
      '{{ with nomadVar "/nomad/jobs/x/@default.global" }}{{ .user.Value | toUpper }} {{ .user | sha256Hex | sprig_trunc 4 }} {{ .user.Key }} {{ .user.Metadata.Path }} {{ .user.Parent.Items.user }}{{ end }}',
      'ADMIN 8c69 user nomad/jobs/x admin',
    ],
    ['{{ range (nomadVar "nomad/jobs/x").Tuples }}{{ .K }}={{ .V }} {{ end }}', 'Keys=own user=admin '],
    [
      '{{ with nomadVar "nomad/jobs/x" }}{{ .ItemsMap | toJSON }} {{ toJSON . }} {{ toYAML . }}{{ end }}',
      '{"Keys":"own","user":"admin"} {"Keys":"own","user":"admin"} Keys: own\nuser: admin',
    ],
    [
      '{{ if eq (nomadVar "nomad/jobs/x").user "admin" }}yes{{ end }}{{ if (nomadVar "nomad/jobs/x").no }}no{{ end }}',
      'yes',
    ],
    ['{{ range nomadVarList }}{{ . }} {{ .Path }} {{ .ModifyIndex }}{{ end }}', 'nomad/jobs/x nomad/jobs/x 2'],
    [
      '{{ range nomadService "web" }}{{ .Tags.Contains "a" }}{{ in .Tags "c" }}{{ .Tags | contains "b" }}{{ end }}',
      'truefalsetrue',
    ],
    [
      '{{ range nomadService "web" }}{{ toJSON . | regexReplaceAll ":[^,]*" "" }}{{ end }}',
      '{"ID","Name","Node","Address","Port","Datacenter","Tags","b"],"JobID","AllocID"',
    ],
    ['{{ range $port, $of := nomadService "web" | byPort }}{{ $port }}={{ len $of }}{{ end }}', '80=1'],
    ['{{ nomadVarExists "nomad/jobs/x" }} {{ nomadVarExists "none" }}', 'true false'],
    [
      '{{ range nomadService "web" }}{{ .Address }}:{{ .Port }} {{ .Name }} {{ .Tags | join "," }}{{ end }}',
      '10.0.0.1:80 web a,b',
    ],
    ['{{ range nomadService 1 "me" "web@global" }}{{ .ID }}{{ end }}', 's1'],
    [
      '{{ range $tag, $of := nomadService "web" | byTag }}{{ $tag }}{{ range $of }}:{{ .Port }} {{ end }}{{ end }}',
      'a:80 b:80 ',
    ],
    ['{{ range nomadServices }}{{ .Name }} {{ .Tags }}{{ end }}', 'web [a]'],
    ['{{ nomadVar "later" }}{{ nomadVarListSafe "p" }}', 'waiting for nomadVar(later), nomadVarListSafe(p)'],
  ] as const) {
    t.equal(render(text, servers), expected, text);
  }
  t.match(render('{{ nomadVar "secret" }}', servers), /may not read it/);
  const told = render('{{ (nomadVar "nomad/jobs/x").user | parseInt }}', servers);
  t.match(told, /parsing "\[redacted\]": invalid syntax/);
  t.notMatch(told, /admin/, 'what a variable holds is not told');
  t.match(render('{{ nomadService 1 "web" }}', servers), /a name, or a number, a key and a name/);
});

t.test('what can never be there is told, not waited for', (t) => {
  for (const [text, expected] of [
    ['{{ nomadVar "bad path!" }}', /invalid path "bad path!": 1 to 128 letters, digits/],
    ['{{ nomadVar "nomad/mine" }}', /only paths at "nomad\/jobs" or below/],
    ['{{ nomadVar "a//b" }}', /must not be empty/],
    ['{{ nomadVarListSafe "bad prefix" }}', /no variable has a path with " " in it/],
    ['{{ nomadService "bad name!" }}', /"bad name!" names no service/],
    ['{{ nomadService 1 "key" "" }}', /"" names no service/],
  ] as const) {
    t.match(render(text, servers), expected, text);
  }
  t.equal(render('{{ range nomadService "a.web" }}{{ .ID }}{{ end }}', servers), 'waiting for nomadService(a.web)');
  t.end();
});

t.test('a defined template is executed to a text, within the bounds of the whole', (t) => {
  t.equal(render('{{ define "y" }}<{{ . }}>{{ end }}{{ executeTemplate "y" "a" | toUpper }}'), '<A>');
  t.equal(render('{{ define "y" }}-{{ end }}a{{ executeTemplate "y" }}b'), 'a-b');
  t.match(render('{{ executeTemplate "none" 1 }}'), /template "none" not defined/);
  t.match(
    render('{{ define "y" }}{{ executeTemplate "y" . }}{{ end }}{{ executeTemplate "y" 1 }}'),
    /maximum template depth/,
  );
  t.end();
});

t.test('addresses of the machine', (t) => {
  t.equal(
    render('{{ sockaddr "GetPrivateIP" }} {{ sockaddr "GetInterfaceIP \\"eth0\\"" }}'),
    '192.168.1.5 192.168.1.5',
  );
  t.match(render('{{ sockaddr "GetPublicIP" }}'), /no public address/);
  t.match(render('{{ sockaddr "rm" }}'), /is not known/);
  t.end();
});

t.test('values as TOML', (t) => {
  const value = {
    name: 'a "b"',
    n: 1,
    'two words': true,
    list: [1, 2],
    gone: null,
    owner: { id: 2.5, deep: { x: [] } },
    item: [{ a: 1 }, { b: { c: 'd' } }],
    mixed: [{ a: 1 }, 2],
  };
  const text = render(`{{ ${JSON.stringify(JSON.stringify(value))} | parseJSON | toTOML }}`);
  t.same(text.split('\n'), [
    'list = [1.0, 2.0]',
    'mixed = [{a = 1.0}, 2.0]',
    'n = 1.0',
    'name = "a \\"b\\""',
    '"two words" = true',
    '',
    '[[item]]',
    '  a = 1.0',
    '',
    '[[item]]',
    '  [item.b]',
    '    c = "d"',
    '',
    '[owner]',
    '  id = 2.5',
    '  [owner.deep]',
    '    x = []',
  ]);
  t.match(render('{{ "x" | toTOML }}'), /takes a map/);
  t.end();
});
