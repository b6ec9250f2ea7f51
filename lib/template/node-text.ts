import type { AnyNode, ListNode, Operand, Pipeline } from './ast.js';
import { quote } from './quote.js';

/** A part of a template as Go writes it in its errors. */
export function nodeText(node: AnyNode): string {
  switch (node.kind) {
    case 'text':
      return node.text;
    case 'list':
      return node.nodes.map(nodeText).join('');
    case 'action':
      return `{{${nodeText(node.pipe)}}}`;
    case 'if':
    case 'with':
    case 'range': {
      const otherwise = node.otherwise ? `{{else}}${nodeText(node.otherwise)}` : '';
      return `{{${node.kind} ${nodeText(node.pipe)}}}${nodeText(node.body)}${otherwise}{{end}}`;
    }
    case 'template':
      return `{{template ${quote(node.name)}${node.pipe ? ` ${nodeText(node.pipe)}` : ''}}}`;
    case 'break':
    case 'continue':
      return `{{${node.kind}}}`;
    case 'pipe':
      return pipeText(node);
    case 'command':
      return node.args.map(argumentText).join(' ');
    default:
      return operandText(node);
  }
}

function operandText(node: Exclude<Operand, Pipeline>): string {
  switch (node.kind) {
    case 'bool':
      return String(node.value);
    case 'nil':
      return 'nil';
    case 'dot':
      return '.';
    case 'number':
      return node.text;
    case 'string':
      return node.source;
    case 'field':
      return fields(node.names);
    case 'variable':
      return node.name + fields(node.names);
    case 'function':
      return node.name;
    case 'chain':
      return argumentText(node.base) + fields(node.names);
  }
}

function pipeText({ declare, assign, commands }: Pipeline): string {
  const names = declare.map(nodeText).join(', ');
  const prefix = declare.length === 0 ? '' : `${names} ${assign ? '=' : ':='} `;
  return prefix + commands.map(nodeText).join(' | ');
}

function argumentText(node: Operand): string {
  return node.kind === 'pipe' ? `(${pipeText(node)})` : operandText(node);
}

function fields(names: readonly string[]): string {
  return names.map((name) => `.${name}`).join('');
}

/** Whether a list puts out nothing but white space. */
export function isEmptyList(list: ListNode): boolean {
  return list.nodes.every((node) => node.kind === 'text' && node.text.trim() === '');
}
