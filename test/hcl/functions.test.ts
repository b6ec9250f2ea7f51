import t from 'tap';
import {
  diagnosticLine,
  evaluate,
  jsonEncode,
  parseExpression,
  STANDARD_FUNCTIONS,
  typeName,
  typeOf,
} from '../../lib/hcl/index.js';
import { FUNCTION_ROWS } from './function-rows.js';

function run(source: string): string {
  const { expression, diagnostics } = parseExpression(source, 'e');
  const { value, diagnostics: problems } = evaluate(expression, {
    functions: STANDARD_FUNCTIONS,
    variables: new Map(),
  });
  const [first] = [...diagnostics, ...problems];
  return first ? `error: ${diagnosticLine(first)}` : `${typeName(typeOf(value))} ${jsonEncode(value)}`;
}

for (const [name, rows] of Object.entries(FUNCTION_ROWS)) {
  t.test(`${name} gives what HashiCorp's gives`, async (t) => {
    for (const [source, result] of rows) t.equal(run(source), result, source);
  });
}

t.test('every function has rows, and one of them is an error', async (t) => {
  for (const name of STANDARD_FUNCTIONS.keys()) {
    const rows = FUNCTION_ROWS[name] ?? [];
    t.ok(
      rows.some(([, result]) => result.startsWith('error: ')),
      `${name} has an error row`,
    );
    if (!NEEDS_HOST.includes(name)) t.ok(rows.length >= 3, `${name} has ${rows.length} rows`);
  }
});

const NEEDS_HOST = [
  'file',
  'filebase64',
  'fileexists',
  'fileset',
  'abspath',
  'basename',
  'dirname',
  'pathexpand',
  'templatefile',
  'bcrypt',
  'uuidv4',
];
