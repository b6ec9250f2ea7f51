import t from 'tap';
import {
  diagnosticLine,
  type EvalContext,
  evaluate,
  fromJs,
  jsonEncode,
  parseExpression,
  references,
  STANDARD_FUNCTIONS,
  UNKNOWN,
} from '../../lib/hcl/index.js';

const context: EvalContext = {
  variables: new Map([
    ['name', fromJs('web')],
    ['ports', fromJs({ http: 80, https: 443 })],
    ['list', fromJs(['a', 'b'])],
    ['later', UNKNOWN],
  ]),
  functions: STANDARD_FUNCTIONS,
};

function run(source: string): string {
  const { expression, diagnostics } = parseExpression(source, 'e');
  const result = evaluate(expression, context);
  const problems = [...diagnostics, ...result.diagnostics];
  if (problems.length > 0) return problems.map(diagnosticLine).join('\n');
  return result.value.kind === 'unknown' ? 'unknown' : jsonEncode(result.value);
}

const VALUES: Record<string, string> = {
  '9007199254740993 + 0': '9007199254740993',
  '0.1 + 0.2': '0.3',
  '1 / 3 * 3': '1',
  '7 % -3': '1',
  '-46 + 5': '-41',
  '1 + 2 * 3 == 7 && !false': 'true',
  '2 - 1 - 1': '0',
  '"5" + 1': '6',
  '1 == "1"': 'false',
  'null == null': 'true',
  name: '"web"',
  'ports.http': '80',
  'ports["https"]': '443',
  '"${name}-${ports.http}"': '"web-80"',
  '"${ports}"': '{"http":80,"https":443}',
  'true ? 1 : "x"': '"1"',
  'false ? 1 : null': 'null',
  '[for k, v in ports : "${k}=${v}"]': '["http=80","https=443"]',
  '{for v in list : v => upper(v)}': '{"a":"A","b":"B"}',
  '[for i, v in list : i if v != "a"]': '[1]',
  'list[*]': '["a","b"]',
  'null[*]': '[]',
  'name[*]': '["web"]',
  'max([1, 5, 3]...)': '5',
  'later + 1': 'unknown',
  '"${later}x"': 'unknown',
  'later ? 1 : 2': 'unknown',
  'try(ports.ftp, 21)': '21',
  'can(ports.ftp)': 'false',
  'convert("3", number) + 1': '4',
  '{(name) = 1, "x-${name}" = 2}': '{"web":1,"x-web":2}',
};

const OPTIONAL = 'object({ a = number, b = optional(string, "x"), c = optional(bool) })';
Object.assign(VALUES, {
  [`convert({ a = 1 }, ${OPTIONAL})`]: '{"a":1,"b":"x","c":null}',
  [`convert({ a = 1, b = null, c = "true" }, ${OPTIONAL})`]: '{"a":1,"b":"x","c":true}',
  [`convert([{ a = 1 }, { a = 2, b = 3 }], list(${OPTIONAL}))`]: '[{"a":1,"b":"x","c":null},{"a":2,"b":"3","c":null}]',
});

t.test('values', async (t) => {
  for (const [source, expected] of Object.entries(VALUES)) t.equal(run(source), expected, source);
});

const ERRORS: Record<string, string> = {
  nope: 'e:1,1-5: Unknown variable; There is no variable named "nope".',
  nmae: 'e:1,1-5: Unknown variable; There is no variable named "nmae". Did you mean "name"?',
  'uper("x")': 'e:1,1-5: Call to unknown function; There is no function named "uper". Did you mean "upper"?',
  'upper()': 'e:1,7-8: Not enough function arguments; Function "upper" expects 1 argument(s). Missing value for "str".',
  'upper("a", "b")': 'e:1,13-14: Too many function arguments; Function "upper" expects only 1 argument(s).',
  'upper(list)': 'e:1,7-11: Invalid function argument; Invalid value for "str" parameter: string required.',
  'upper(null)': 'e:1,7-11: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
  '1 / 0': 'e:1,1-6: Operation failed; Error during operation: division by zero.',
  '1 + null': 'e:1,1-9: Operation failed; Error during operation: argument must not be null.',
  '"${null}"': 'null',
  '"x${null}"':
    'e:1,5-9: Invalid template interpolation value; The expression result is null. Cannot include a null value in a string template.',
  '"x${list}"':
    'e:1,5-9: Invalid template interpolation value; Cannot include the given value in a string template: string required.',
  'ports.ftp': 'e:1,6-10: Unsupported attribute; This object does not have an attribute named "ftp".',
  'list[2]':
    'e:1,5-8: Invalid index; The given key does not identify an element in this collection value: the given index is greater than or equal to the length of the collection.',
  'true ? 1 : [2]':
    'e:1,8-15: Inconsistent conditional result types; The true and false result expressions must have consistent types. The given expressions are number and tuple, respectively.',
  'name ? 1 : 2': 'e:1,1-5: Incorrect condition type; The condition expression must be of type bool.',
  '{a.b = 1}':
    "e:1,2-5: Ambiguous attribute key; If this expression is intended to be a reference, wrap it in parentheses. If it's instead intended as a literal name containing periods, wrap it in quotes to create a string literal.",
  'element([], 0)':
    'e:1,1-9: Error in function call; Call to function "element" failed: cannot use element function with an empty list.',
};

t.test('errors have the words and places of HashiCorp', async (t) => {
  for (const [source, expected] of Object.entries(ERRORS)) t.equal(run(source), expected, source);
});

t.test('references are the variables of the outer scope', async (t) => {
  const found = (source: string): string[] =>
    references(parseExpression(source, 'e').expression).map(({ root }) => root);
  t.same(found('a.b + [for a, x in c : a + x + d]... '.replace('...', '')), ['a', 'c', 'd']);
  t.same(found('"${a}%{ for x in b }${x}${c}%{ endfor }"'), ['a', 'b', 'c']);
  t.same(found('{a = b, (c) = d[e][*].f}'), ['b', 'c', 'd', 'e']);
});

t.test('what would never end is given up', async (t) => {
  const loops =
    '[for a in range(1024) : [for b in range(1024) : [for c in range(1024) : [for d in range(1024) : 1 if false] if false]]]';
  t.match(run(loops), /Expression takes too long|Value too large/);
  let value = fromJs([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  let problem = '';
  const { expression } = parseExpression('[x, x, x, x, x, x, x, x, x, x]', 'e');
  for (let i = 0; i < 20 && problem === ''; i++) {
    const result = evaluate(expression, { variables: new Map([['x', value]]) });
    value = result.value;
    problem = result.diagnostics.map(({ summary }) => summary).join();
  }
  t.equal(problem, 'Value too large');
  const long = `join("", [for i in range(100) : join("", [for j in range(1000) : "${'x'.repeat(200)}"])])`;
  t.match(run(long), /Value too large/);
});
