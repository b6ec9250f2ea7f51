import { blocksOf, diagnosticLine, errorAt, parseHcl, printValue, stringValue } from '../hcl/index.js';
import type { Variable } from '../structs/variable.js';
import { err, ok, type Result } from '../util/result.js';
import { readAttributes } from './plain-attributes.js';

/** What `var init` writes. */
export const INIT_VARIABLE = `# Where it lies: what tasks of the job "example" may read.
path = "nomad/jobs/example"

items {
  user     = "admin"
  password = "change-me"
}
`;

/** A variable as a file has it; what it does not say is ''. */
export interface VariableFile {
  path: string;
  namespace: string;
  items: Record<string, string>;
  /** Of the variable that the file was made from; absent = not said. */
  modifyIndex?: string;
}

/** Reads a variable in HCL or, when it begins with a brace, as the API's JSON; errors name the place. */
export function parseVariable(source: string, filename: string): Result<VariableFile, string> {
  return /^\s*\{/.test(source) ? parseJson(source, filename) : parseText(source, filename);
}

function parseText(source: string, filename: string): Result<VariableFile, string> {
  const { body, diagnostics } = parseHcl(source, filename);
  const problems = [...diagnostics];
  const { path, namespace, items: map } = readAttributes(body, ['path', 'namespace', 'items'], problems);
  const [block, more] = blocksOf(body, 'items');
  for (const item of body.items) {
    if (item.kind === 'block' && item.type !== 'items') {
      problems.push(errorAt(item.range, 'Unknown block', `a variable has no block "${item.type}"`));
    }
  }
  if (more) problems.push(errorAt(more.range, 'Duplicate block', 'there must be one items block'));
  const items = block ? readAttributes(block.body, null, problems) : map;
  if (problems.length > 0) return err(problems.map(diagnosticLine).join('\n'));
  return checked({ Path: path, Namespace: namespace, Items: items }, filename);
}

function parseJson(source: string, filename: string): Result<VariableFile, string> {
  try {
    return checked(JSON.parse(source) as Record<string, unknown>, filename);
  } catch (error) {
    return err(`${filename}: ${(error as Error).message}`);
  }
}

function checked(read: Record<string, unknown>, filename: string): Result<VariableFile, string> {
  const { Path = '', Namespace = '', Items = {}, ModifyIndex } = read;
  if (typeof Path !== 'string') return err(`${filename}: the path must be a string`);
  if (typeof Namespace !== 'string') return err(`${filename}: the namespace must be a string`);
  if (typeof Items !== 'object' || Items === null || Array.isArray(Items))
    return err(`${filename}: items must be a map`);
  for (const [key, value] of Object.entries(Items)) {
    if (typeof value !== 'string') return err(`${filename}: item ${JSON.stringify(key)} must be a string`);
  }
  const items = Items as Record<string, string>;
  return ok({
    path: Path,
    namespace: Namespace,
    items,
    ...(typeof ModifyIndex === 'number' && ModifyIndex > 0 ? { modifyIndex: String(ModifyIndex) } : {}),
  });
}

/** A variable as `parseVariable` reads it. */
export function printVariableFile({ Namespace, Path, Items }: Variable): string {
  const names = Object.keys(Items).sort();
  const text = (value: string): string => printValue(stringValue(value));
  const isName = (key: string): boolean => /^[A-Za-z_][\w-]*$/.test(key);
  const shown = names.map((key) => (isName(key) ? key : text(key)));
  const width = Math.max(...shown.map((key) => key.length));
  const rows = names.map((key, i) => `    ${(shown[i] as string).padEnd(width)} = ${text(Items[key] as string)}`);
  return `namespace = ${text(Namespace)}\npath      = ${text(Path)}\n\nitems = {\n${rows.map((row) => row.slice(2)).join('\n')}\n}\n`;
}
