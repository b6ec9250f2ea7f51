import type { Block, Body, Expression } from '../hcl/index.js';
import { attributesOf, blocksOf, diagnosticLine, parseHcl, toJs } from '../hcl/index.js';

// hcl2-parser is HashiCorp's parser. Its result is JSON: keys are sorted, an expression is a text "${…}", `$${` and `${`
// come out alike, integers are doubles. What it cannot tell apart is compared with nothing.

/** Stands for an expression, whose text the other parser rewrites. */
const ANY = Symbol('any');

/**
 * Reads a file a second time, with HashiCorp's parser, and compares verdict and content with our own reading. Null when
 * they agree, otherwise the message to show: a disagreement is a defect of one of the two. Takes a third of a second, most of
 * which is the loading of the other parser.
 */
export async function readAgain(source: string, filename: string): Promise<string | null> {
  const { default: parser } = await import('hcl2-parser');
  return compareReadings(source, filename, parser);
}

interface OtherParser {
  /** [value, null], or [null, why not]. */
  parseToObject(source: string): [unknown, unknown];
}

/** Our reading of a file against that of another parser, whichever it is. */
export function compareReadings(source: string, filename: string, parser: OtherParser): string | null {
  const { body, diagnostics } = parseHcl(source, filename);
  const firstError = diagnostics.find((diagnostic) => diagnostic.severity === 'error');
  // It has no shape for blocks of one type with different numbers of labels: it refuses or even throws.
  if (!firstError && hasUnevenLabels(body)) return null;
  const { value: theirs, refused } = readWith(parser, source);
  if (firstError && refused) return null;
  if (firstError) return report(`it is not valid: ${diagnosticLine(firstError)}`, 'it is valid');
  if (refused) return report('it is valid', 'it is not valid (it gives no reason)');
  const found = difference(projectBody(body), theirs, '');
  return (
    found && report(`${found.path || 'the file'} is ${found.ours}`, `${found.path || 'the file'} is ${found.theirs}`)
  );
}

function readWith(parser: OtherParser, source: string): { value: unknown; refused: boolean } {
  try {
    const [value, refusal] = parser.parseToObject(source);
    return { value, refused: refusal !== null };
  } catch {
    return { value: null, refused: true };
  }
}

function hasUnevenLabels(body: Body): boolean {
  const groups = groupBy(blocksOf(body), (block) => block.type);
  for (const blocks of groups.values()) {
    if (blocks.some((block) => block.labels.length !== blocks[0]?.labels.length)) return true;
    if (blocks.some((block) => hasUnevenLabels(block.body))) return true;
  }
  return false;
}

function report(ours: string, theirs: string): string {
  return [
    'Two readings of this file disagree. One of the parsers has a defect; please report it with the file.',
    `  meshnomad:   ${ours}`,
    `  hcl2-parser: ${theirs}`,
  ].join('\n');
}

/** Our syntax tree in the other parser's shape: type → label → list of bodies. */
function projectBody(body: Body): Record<string, unknown> {
  const projected = new Map<string, unknown>(attributesOf(body).map((a) => [a.name, project(a.expression)]));
  const byType = groupBy(blocksOf(body), (block) => block.type);
  for (const [type, blocks] of byType) projected.set(type, projectBlocks(blocks, 0));
  return Object.fromEntries(projected);
}

function projectBlocks(blocks: readonly Block[], depth: number): unknown {
  if (blocks[0]?.labels.length === depth) return blocks.map((block) => projectBody(block.body));
  const byLabel = groupBy(blocks, (block) => block.labels[depth]?.value ?? '');
  return Object.fromEntries([...byLabel].map(([label, group]) => [label, projectBlocks(group, depth + 1)]));
}

function groupBy(blocks: readonly Block[], keyOf: (block: Block) => string): Map<string, Block[]> {
  const groups = new Map<string, Block[]>();
  for (const block of blocks) {
    const group = groups.get(keyOf(block));
    if (group) group.push(block);
    else groups.set(keyOf(block), [block]);
  }
  return groups;
}

function project(expression: Expression): unknown {
  switch (expression.kind) {
    case 'literal':
      return toJs(expression.value);
    case 'tuple':
      return expression.items.map(project);
    case 'template':
      return projectTemplate(expression.parts);
    case 'object': {
      const pairs = expression.items.map(
        ({ key, value }) => [plainKey(key.name, key.wrapped), project(value)] as const,
      );
      if (pairs.some(([key]) => key === undefined)) return ANY;
      return Object.fromEntries(pairs as [string, unknown][]);
    }
    default:
      return ANY;
  }
}

function projectTemplate(parts: readonly Expression[]): unknown {
  const texts = parts.map((part) => (part.kind === 'literal' ? toJs(part.value) : ANY));
  return texts.includes(ANY) ? ANY : texts.join('');
}

function plainKey(name: string | null, wrapped: Expression): string | undefined {
  if (name !== null) return name;
  const key = wrapped.kind === 'template' ? projectTemplate(wrapped.parts) : undefined;
  return typeof key === 'string' ? key : undefined;
}

interface Difference {
  path: string;
  ours: string;
  theirs: string;
}

function difference(ours: unknown, theirs: unknown, path: string): Difference | null {
  if (ours === ANY || sameScalar(ours, theirs)) return null;
  const told = { path, ours: show(ours), theirs: show(theirs) };
  if (Array.isArray(ours) && Array.isArray(theirs)) {
    if (ours.length !== theirs.length) return told;
    return first(ours.map((item, i) => () => difference(item, theirs[i], `${path}[${i}]`)));
  }
  if (isRecord(ours) && isRecord(theirs)) {
    const keys = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
    return first(keys.map((key) => () => difference(ours[key], theirs[key], path === '' ? key : `${path}.${key}`)));
  }
  return told;
}

function first(checks: (() => Difference | null)[]): Difference | null {
  for (const check of checks) {
    const found = check();
    if (found) return found;
  }
  return null;
}

function sameScalar(ours: unknown, theirs: unknown): boolean {
  if (typeof ours === 'bigint' || typeof ours === 'number') {
    const number = Number(ours);
    // Beyond a double the other parser has no number.
    return Number.isFinite(number) ? number === theirs : !Number.isFinite(theirs);
  }
  return ours === theirs;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  if (value === undefined) return 'absent';
  const text = JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? String(item) : item)) ?? 'an expression';
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
