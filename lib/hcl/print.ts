import type { Attribute, Body, Expression, ForExpression, TraversalStep } from './ast.js';
import { bigFloatToString } from './number.js';
import type { Value } from './values.js';

/** A body as HCL text, two spaces a level, equals signs of neighbouring attributes in one column. */
export function printBody(body: Body, indent = ''): string {
  const lines: string[] = [];
  for (let i = 0; i < body.items.length; i++) {
    const item = body.items[i];
    if (item?.kind === 'attribute') {
      const run: Attribute[] = [];
      for (let next = body.items[i]; next?.kind === 'attribute'; next = body.items[++i]) run.push(next);
      i--;
      const width = Math.max(...run.map(({ name }) => name.length));
      for (const { name, expression } of run)
        lines.push(`${indent}${name.padEnd(width)} = ${printExpression(expression)}\n`);
    } else if (item) {
      if (i > 0) lines.push('\n');
      const labels = item.labels.map(({ value }) => ` "${escapeText(value)}"`).join('');
      const inner = printBody(item.body, `${indent}  `);
      lines.push(`${indent}${item.type}${labels} {\n${inner}${indent}}\n`);
    }
  }
  return lines.join('');
}

/** A value as HCL; lists and sets look like tuples, maps like objects. What is unknown has no text: it is `null`. */
export function printValue(value: Value): string {
  switch (value.kind) {
    case 'string':
      return `"${escapeText(value.value)}"`;
    case 'number':
      return bigFloatToString(value.value);
    case 'bool':
      return String(value.value);
    case 'null':
    case 'unknown':
      return 'null';
    case 'list':
    case 'set':
    case 'tuple':
      return `[${value.items.map(printValue).join(', ')}]`;
    case 'map':
    case 'object': {
      const entries = [...value.entries].map(([key, item]) => `"${escapeText(key)}" = ${printValue(item)}`);
      return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
    }
  }
}

function escapeText(text: string): string {
  return text
    .replace(/[\\"]/g, '\\$&')
    .replace(/\n/g, '\\n')
    .replace(/\r/g, '\\r')
    .replace(/\t/g, '\\t')
    .replace(/\u0000/g, '\\u0000')
    .replace(/([$%])(?=\{)/g, '$1$1');
}

/** An expression as HCL on one line: parsed again, it gives the same tree (without ranges). */
export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'literal':
      return printValue(expression.value);
    case 'invalid':
    case 'splat-item':
      return '';
    case 'template':
      return `"${expression.parts.map(printPart).join('')}"`;
    case 'template-wrap':
      return `"\${${printExpression(expression.wrapped)}}"`;
    case 'template-join':
      return `"${printPart(expression)}"`;
    case 'parentheses':
      return `(${printExpression(expression.inner)})`;
    case 'traversal':
      return expression.root + printSteps(expression.steps);
    case 'relative-traversal':
      return printExpression(expression.source) + printSteps(expression.steps);
    case 'index':
      return `${printExpression(expression.collection)}[${printExpression(expression.key)}]`;
    case 'splat':
      // `.*` and `[*]` give the same tree: the brackets hold on to whatever follows.
      return `${printExpression(expression.source)}[*]${printExpression(expression.each)}`;
    case 'for':
      return printFor(expression);
    case 'tuple':
      return `[${expression.items.map(printExpression).join(', ')}]`;
    case 'object': {
      const items = expression.items.map(({ key, value }) => `${printExpression(key)} = ${printExpression(value)}`);
      return items.length === 0 ? '{}' : `{ ${items.join(', ')} }`;
    }
    case 'object-key':
      return expression.name ?? printExpression(expression.wrapped);
    case 'conditional':
      return `${printExpression(expression.condition)} ? ${printExpression(expression.whenTrue)} : ${printExpression(expression.whenFalse)}`;
    case 'binary':
      return printBinary(expression);
    case 'unary':
      return expression.operator + printExpression(expression.operand);
    case 'call': {
      const args = expression.arguments.map(printExpression).join(', ');
      return `${expression.name}(${args}${expression.expandLast ? '...' : ''})`;
    }
  }
}

function printBinary(expression: Expression & { readonly kind: 'binary' }): string {
  const parts: string[] = [];
  let node: Expression = expression;
  while (node.kind === 'binary') {
    parts.push(` ${node.operator} ${printExpression(node.right)}`);
    node = node.left;
  }
  return printExpression(node) + parts.reverse().join('');
}

function printSteps(steps: readonly TraversalStep[]): string {
  return steps.map((step) => (step.kind === 'attribute' ? `.${step.name}` : `[${printValue(step.key)}]`)).join('');
}

function printFor(expression: ForExpression): string {
  const { keyName, valueName, collection, key, value, condition, grouping } = expression;
  const names = keyName === null ? valueName : `${keyName}, ${valueName}`;
  const head = `for ${names} in ${printExpression(collection)} : `;
  const tail = `${printExpression(value)}${grouping ? '...' : ''}${condition ? ` if ${printExpression(condition)}` : ''}`;
  return key ? `{${head}${printExpression(key)} => ${tail}}` : `[${head}${tail}]`;
}

/** A part of a template: text, an interpolation, or a directive. */
function printPart(part: Expression): string {
  if (part.kind === 'literal' && part.value.kind === 'string') return escapeText(part.value.value);
  if (part.kind === 'conditional' && part.whenTrue.kind === 'template' && part.whenFalse.kind === 'template') {
    const no = part.whenFalse.parts.map(printPart).join('');
    const otherwise = no === '' ? '' : `%{ else }${no}`;
    return `%{ if ${printExpression(part.condition)} }${part.whenTrue.parts.map(printPart).join('')}${otherwise}%{ endif }`;
  }
  if (part.kind === 'template-join') {
    const { keyName, valueName, collection, value } = part.tuple;
    const names = keyName === null ? valueName : `${keyName}, ${valueName}`;
    const body = value.kind === 'template' ? value.parts.map(printPart).join('') : printPart(value);
    return `%{ for ${names} in ${printExpression(collection)} }${body}%{ endfor }`;
  }
  return `\${${printExpression(part)}}`;
}
