import t from 'tap';
import { diagnosticLine, evaluate, jsonEncode, parseJson } from '../../lib/hcl/index.js';

t.test('JSON gives the values it says, without templates', async (t) => {
  const { expression, diagnostics } = parseJson('{"a": [1, -2.5e1, true, null], "b": {"c": "x${y}\\n\\u00e9",},}', 'e');
  t.same(diagnostics, []);
  t.equal(jsonEncode(evaluate(expression, {}).value), '{"a":[1,-25,true,null],"b":{"c":"x${y}\\né"}}');
});

const ERRORS: Record<string, string> = {
  '': 'e:1,1-1: Missing JSON value; The file ends where a JSON value is expected.',
  '{"a": 1\n "b": 2}': 'e:2,2-3: Missing JSON comma; A comma or "}" is expected here.',
  '{a: 1}': 'e:1,2-3: Invalid JSON property name; A property name in double quotes is expected here.',
  '{"a": yes}': 'e:1,7-10: Invalid JSON value; "yes" is not a valid JSON keyword: strings stand in quotes.',
  '{"a": 1, "a": 2}': 'e:1,10-13: Duplicate JSON property; The property "a" is set twice.',
  '[1': 'e:1,1-2: Unclosed array; The array that begins here has no closing "]".',
  '["a\n"]': 'e:1,2-3: Unterminated JSON string; The string has no closing quote on its line.',
  '1 2': 'e:1,3-4: Extraneous data after JSON; Extra characters appear after the JSON value.',
};

t.test('errors of JSON have a place', async (t) => {
  for (const [source, expected] of Object.entries(ERRORS)) {
    t.same(parseJson(source, 'e').diagnostics.map(diagnosticLine), [expected], source);
  }
  t.match(parseJson('['.repeat(10_000), 'e').diagnostics[0]?.summary, 'Nesting too deep');
});
