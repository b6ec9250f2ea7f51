import t from 'tap';
import { diagnosticLine, evaluate, jsonEncode, parseExpression, STANDARD_FUNCTIONS } from '../../lib/hcl/index.js';

function run(source: string): string {
  const { expression, diagnostics } = parseExpression(source, 'e');
  const { value, diagnostics: problems } = evaluate(expression, { functions: STANDARD_FUNCTIONS });
  const all = [...diagnostics, ...problems];
  return all.length > 0 ? `error: ${all.map(diagnosticLine).join(' ').replace(/^\S+ /, '')}` : jsonEncode(value);
}

const CASES: Record<string, string> = {
  'upper("héllo")': '"HÉLLO"',
  'title("hello wORLD")': '"Hello WORLD"',
  'strrev("aé👩‍👩‍👧‍👦")': '"👩‍👩‍👧‍👦éa"',
  'indent(2, "a\\nb")': '"a\\n  b"',
  'chomp("a\\r\\n\\n")': '"a"',
  'trim("??hi?!", "!?")': '"hi"',
  'trimprefix("foobar", "foo")': '"bar"',
  'trimsuffix("foobar", "bar")': '"foo"',
  'trimspace("  a \\n")': '"a"',
  'substr("hello", 1, 3)': '"ell"',
  'substr("hello", -2, -1)': '"lo"',
  'split(",", "a,b,,c")': '["a","b","","c"]',
  'split(",", "")': '[""]',
  'join("-", ["a", "b"], ["c"])': '"a-b-c"',
  'sort(["b", "a", "B"])': '["B","a","b"]',
  'replace("1 + 2 + 3", "+", "-")': '"1 - 2 - 3"',
  'replace("hello world", "/w.*d/", "everybody")': '"hello everybody"',
  'regex("[a-z]+", "53453453.345345aaabbbccc23454")': '"aaabbbccc"',
  'regex("(\\\\d+)-(\\\\d+)", "10-20")': '["10","20"]',
  'regex("(?P<y>\\\\d\\\\d)-(?P<m>\\\\d\\\\d)", "19-02")': '{"m":"02","y":"19"}',
  'regex("x", "y")':
    'error: Error in function call; Call to function "regex" failed: pattern did not match any part of the given string.',
  'regexall("[a-z]", "1a2b")': '["a","b"]',
  'regex_replace("barfoo", "(b)(ar)", "$2$1-")': '"arb-foo"',
  'format("%s-%03d-%v-%t-%q", "a", 7, 1.5, true, "x")': '"a-007-1.5-true-\\"x\\""',
  'format("%5.1f|%-5s|%x|%#v|%%", 3.14159, "ab", 255, ["a"])': '"  3.1|ab   |ff|[\\"a\\"]|%"',
  'format("%[2]s %[1]s", "a", "b")': '"b a"',
  'format("%d", "x")':
    'error: Error in function call; Call to function "format" failed: unsupported value for "%d" at 0: a number is required.',
  'format("%d")':
    'error: Error in function call; Call to function "format" failed: not enough arguments for "%d": need index 0 but have 0 total.',
  'format("x", 1)':
    'error: Error in function call; Call to function "format" failed: too many arguments; no verbs in format string.',
  'formatlist("%s!%s", ["a", "b"], "z")': '["a!z","b!z"]',
  'length("👩‍👩‍👧‍👦")': '1',
  'length([1, 2])': '2',
  'length({a = 1})': '1',
  'concat([1], ["a"], [])': '[1,"a"]',
  'lookup({a = 1}, "b", 2)': '2',
  'merge({a = 1, b = 2}, {b = 3})': '{"a":1,"b":3}',
  'keys({b = 1, a = 2})': '["a","b"]',
  'values({b = 1, a = 2})': '[2,1]',
  'element(["a", "b", "c"], 4)': '"b"',
  'contains(["a"], "a")': 'true',
  'index(["a", "b"], "b")': '1',
  'distinct(["a", "b", "a"])': '["a","b"]',
  'flatten([[1, [2]], [], 3])': '[1,2,3]',
  'range(3)': '[0,1,2]',
  'range(5, 1, -2)': '[5,3]',
  'range(1, 3, 0)': 'error: Invalid function argument; Invalid value for "params" parameter: step must not be zero.',
  'reverse([1, 2])': '[2,1]',
  'slice(["a", "b", "c"], 1, 2)': '["b"]',
  'chunklist([1, 2, 3], 2)': '[[1,2],[3]]',
  'compact(["a", "", "b"])': '["a","b"]',
  'coalesce(null, "", "x")': '"x"',
  'coalescelist([], ["a"])': '["a"]',
  'zipmap(["a", "b"], [1, 2])': '{"a":1,"b":2}',
  'setproduct(["a", "b"], [1, 2])': '[["a",1],["a",2],["b",1],["b",2]]',
  'setunion(["b", "a"], ["a"])': '["a","b"]',
  'setintersection(["a", "b"], ["b"])': '["b"]',
  'setsubtract(["a", "b"], ["b"])': '["a"]',
  'jsonencode({a = [1, null, "<&>"]})': '"{\\"a\\":[1,null,\\"\\\\u003c\\\\u0026\\\\u003e\\"]}"',
  'jsondecode("{\\"a\\":[1,123456789012345678901234567890,\\"1\\"]}")': '{"a":[1,123456789012345678901234567890,"1"]}',
  'base64encode("héllo")': '"aMOpbGxv"',
  'base64decode("aMOpbGxv")': '"héllo"',
  'base64decode("a")':
    'error: Error in function call; Call to function "base64decode" failed: failed to decode base64 data.',
  'urlencode("a b&c/é*")': '"a+b%26c%2F%C3%A9%2A"',
  'csvdecode("a,b\\n1,\\"x,\\"\\"y\\"\\n")': '[{"a":"1","b":"x,\\"y"}]',
  'abs(-1.5)': '1.5',
  'ceil(1.2)': '2',
  'ceil(-1.2)': '-1',
  'floor(-1.2)': '-2',
  'max(1, 3, 2)': '3',
  'min(1, 3, 2)': '1',
  'pow(2, 10)': '1024',
  'log(8, 2)': '3',
  'signum(-5)': '-1',
  'parseint("ff", 16)': '255',
  'parseint("12", 2)':
    'error: Error in function call; Call to function "parseint" failed: cannot parse "12" as a base 2 integer.',
  'tostring(1.50)': '"1.5"',
  'tonumber("1e3")': '1000',
  'tobool("true")': 'true',
  'tolist([1, "a"])': '["1","a"]',
  'toset(["b", "a", "b"])': '["a","b"]',
  'tomap({a = 1, b = "x"})': '{"a":"1","b":"x"}',
  'convert([1, 2], list(string))': '["1","2"]',
  'convert({a = "1"}, object({a = number}))': '{"a":1}',
};

t.test('functions give what HashiCorp documents', async (t) => {
  for (const [source, expected] of Object.entries(CASES)) t.equal(run(source), expected, source);
});
