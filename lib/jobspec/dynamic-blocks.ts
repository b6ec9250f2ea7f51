import { budgetOf } from '../hcl/evaluate.js';
import type { Block, BodyItem, Diagnostic, Expression } from '../hcl/index.js';
import { attributesOf, blocksOf, convert, elementsOf, errorAt, hasErrors, objectValue, STRING } from '../hcl/index.js';
import { missingItemRange } from '../hcl/start-range.js';
import { evaluateIn, type Scope, withVariable } from './interpolation.js';

/** What one block takes of the budget: some 50,000 of them are made at most. */
const BLOCK_STEPS = 40;

/** An item of a body and the scope it is to be evaluated in. */
export interface ScopedItem {
  readonly item: BodyItem;
  readonly scope: Scope;
}

/** The items of a body with every `dynamic` block replaced by the blocks that it stands for, in their place. */
export function expandDynamic(items: readonly BodyItem[], scope: Scope, diagnostics: Diagnostic[]): ScopedItem[] {
  return items.flatMap((item) =>
    item.kind === 'block' && item.type === 'dynamic' ? expandBlock(item, scope, diagnostics) : [{ item, scope }],
  );
}

function expandBlock(block: Block, scope: Scope, diagnostics: Diagnostic[]): ScopedItem[] {
  const parts = partsOf(block, diagnostics);
  if (!parts) return [];
  const each = evaluateIn(parts.forEach, scope);
  diagnostics.push(...each.diagnostics);
  if (hasErrors(each.diagnostics)) return [];
  const elements = elementsOf(each.value);
  if (!elements) {
    const what = each.value.kind === 'null' ? 'a null value' : `a ${each.value.kind} value`;
    const detail = `for_each takes a list, set, map or object, not ${what}.`;
    diagnostics.push(errorAt(parts.forEach.range, 'Invalid dynamic for_each value', detail));
    return [];
  }
  const budget = budgetOf(scope.context);
  const isFirst = budget.left >= 0;
  budget.left -= elements.length * BLOCK_STEPS;
  if (budget.left < 0) {
    const detail = 'The dynamic blocks of this file make too many blocks.';
    if (isFirst) diagnostics.push(errorAt(parts.forEach.range, 'Too many dynamic blocks', detail));
    return [];
  }
  return elements.flatMap(([key, value]) => {
    const inside = withVariable(scope, parts.iterator, objectValue({ key, value }));
    const labels = labelsOf(parts.labels, inside, diagnostics);
    const made: Block = { ...block, type: parts.type, labels, body: parts.content.body };
    return [{ item: made, scope: inside }];
  });
}

interface Parts {
  type: string;
  forEach: Expression;
  iterator: string;
  labels: readonly Expression[];
  content: Block;
}

function partsOf(block: Block, diagnostics: Diagnostic[]): Parts | undefined {
  const refuse = (range: Block['range'], summary: string, detail: string): undefined => {
    diagnostics.push(errorAt(range, summary, detail));
    return undefined;
  };
  const [name, extra] = block.labels;
  if (!name || extra) {
    const detail = 'A dynamic block has one label: the type of the blocks that it makes.';
    return refuse(block.headerRange, 'Invalid dynamic block', detail);
  }
  const attributes = new Map(attributesOf(block.body).map((attribute) => [attribute.name, attribute]));
  for (const [key, attribute] of attributes) {
    if (['for_each', 'iterator', 'labels'].includes(key)) continue;
    return refuse(attribute.nameRange, 'Unsupported argument', `An argument named "${key}" is not expected here.`);
  }
  const forEach = attributes.get('for_each')?.expression;
  if (!forEach) {
    const detail = 'The argument "for_each" is required, but no definition was found.';
    return refuse(missingItemRange(block.body), 'Missing required argument', detail);
  }
  const other = block.body.items.find((item) => item.kind === 'block' && item.type !== 'content');
  if (other?.kind === 'block') {
    const detail = `Blocks of type "${other.type}" are not expected here: they belong into "content".`;
    return refuse(other.typeRange, 'Unsupported block type', detail);
  }
  const [content, another] = blocksOf(block.body, 'content');
  if (!content || another) {
    const detail = 'A dynamic block has one block "content", the pattern of the blocks that it makes.';
    return refuse(block.headerRange, 'Invalid dynamic content block', detail);
  }
  const iterator = attributes.get('iterator')?.expression;
  if (iterator && !(iterator.kind === 'traversal' && iterator.steps.length === 0)) {
    return refuse(iterator.range, 'Invalid dynamic iterator name', 'The iterator of a dynamic block is a bare name.');
  }
  const labels = attributes.get('labels')?.expression;
  if (labels && labels.kind !== 'tuple') {
    return refuse(labels.range, 'Invalid dynamic block labels', 'The labels must be written as a list of expressions.');
  }
  return {
    type: name.value,
    forEach,
    iterator: iterator?.kind === 'traversal' ? iterator.root : name.value,
    labels: labels?.items ?? [],
    content,
  };
}

function labelsOf(labels: readonly Expression[], scope: Scope, diagnostics: Diagnostic[]): Block['labels'] {
  return labels.map((expression) => {
    const { value, diagnostics: found } = evaluateIn(expression, scope);
    diagnostics.push(...found);
    const text = convert(value, STRING);
    if (text.ok && text.value.kind === 'string') return { value: text.value.value, range: expression.range };
    if (!hasErrors(found)) {
      diagnostics.push(errorAt(expression.range, 'Invalid dynamic block label', 'A label must be a known string.'));
    }
    return { value: '', range: expression.range };
  });
}
