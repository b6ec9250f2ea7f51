import { nearest } from '../util/nearest.js';
import type { Command, Operand, Pipeline } from './ast.js';
import type { Token, TokenKind } from './lexer.js';
import { nodeText } from './node-text.js';
import { parseNumber } from './number.js';
import { quote, unquote } from './quote.js';
import type { TokenReader } from './token-reader.js';

/** Parentheses within parentheses. */
const DEPTH_MAX = 200;

const OPERANDS = new Set<TokenKind>([
  'bool',
  'char',
  'dot',
  'field',
  'identifier',
  'number',
  'nil',
  'raw string',
  'string',
  'variable',
  'open',
]);
/** What cannot be given the value of the stage before it. */
const NOT_EXECUTABLE = new Set<Operand['kind']>(['bool', 'dot', 'nil', 'number', 'string']);
/** What has no fields. */
const NO_FIELDS = new Set<Operand['kind']>(['bool', 'string', 'number', 'nil', 'dot']);

/** Parses what stands between the delimiters, and knows which variables there are. */
export class PipelineParser {
  private readonly reader: TokenReader;
  /** Null: any name may be one. */
  private readonly functions: ReadonlySet<string> | null;
  private variables = ['$'];
  private depth = 0;

  constructor(reader: TokenReader, functions: ReadonlySet<string> | null) {
    this.reader = reader;
    this.functions = functions;
  }

  /** Begins a template of its own; give the result back to `leaveTemplate`. */
  enterTemplate(): string[] {
    const outer = this.variables;
    this.variables = ['$'];
    return outer;
  }

  leaveTemplate(outer: string[]): void {
    this.variables = outer;
  }

  mark(): number {
    return this.variables.length;
  }

  /** Variables declared since `mark` are gone. */
  forget(mark: number): void {
    this.variables.length = mark;
  }

  /** A pipeline up to and with the token that ends it. */
  pipeline(context: string, end: 'right' | 'close'): Pipeline {
    const { reader } = this;
    if (++this.depth > DEPTH_MAX) reader.fail(`nested deeper than ${DEPTH_MAX}`);
    const { at } = reader.peekNonSpace();
    const pipe: Pipeline = { kind: 'pipe', ...this.declaration(context), commands: [], at };
    for (;;) {
      const token = reader.nextNonSpace();
      if (token.kind === end) break;
      if (!OPERANDS.has(token.kind)) reader.unexpected(token, context);
      reader.backup();
      pipe.commands.push(this.command());
    }
    this.depth--;
    if (pipe.commands.length === 0) reader.fail(`missing value for ${context}`);
    for (const [i, command] of pipe.commands.entries()) {
      if (i > 0 && NOT_EXECUTABLE.has((command.args[0] as Operand).kind)) {
        reader.fail(`non executable command in pipeline stage ${i + 1}`);
      }
    }
    return pipe;
  }

  private declaration(context: string): Pick<Pipeline, 'declare' | 'assign'> {
    const { reader } = this;
    const declare: Pipeline['declare'] = [];
    while (reader.peekNonSpace().kind === 'variable') {
      const variable = reader.next();
      const spaced = reader.peek().kind === 'space';
      const after = reader.peekNonSpace();
      const assigns = after.kind === 'assign' || after.kind === 'declare';
      if (!assigns && !(after.kind === 'punctuation' && after.value === ',')) {
        reader.backup(spaced ? 2 : 1);
        break;
      }
      reader.nextNonSpace();
      declare.push({ kind: 'variable', name: variable.value, names: [], at: variable.at });
      this.variables.push(variable.value);
      if (assigns) return { declare, assign: after.kind === 'assign' };
      this.checkSecond(context, declare.length);
    }
    return { declare, assign: false };
  }

  /** Only `range` declares two. */
  private checkSecond(context: string, declared: number): void {
    const { reader } = this;
    if (context !== 'range' || declared > 1) reader.fail(`too many declarations in ${context}`);
    const { kind } = reader.peekNonSpace();
    if (kind !== 'variable' && kind !== 'right' && kind !== 'close') reader.fail('range can only initialize variables');
  }

  private command(): Command {
    const { reader } = this;
    const command: Command = { kind: 'command', args: [], at: reader.peekNonSpace().at };
    for (;;) {
      reader.peekNonSpace();
      const operand = this.operand();
      if (operand) command.args.push(operand);
      const token = reader.next();
      if (token.kind === 'space') continue;
      if (token.kind === 'right' || token.kind === 'close') reader.backup();
      else if (token.kind !== 'pipe') reader.unexpected(token, 'operand');
      break;
    }
    if (command.args.length === 0) reader.fail('empty command');
    return command;
  }

  private operand(): Operand | null {
    const { reader } = this;
    const base = this.term();
    if (!base || reader.peek().kind !== 'field') return base;
    const { at } = reader.peek();
    const names: string[] = [];
    while (reader.peek().kind === 'field') names.push(reader.next().value.slice(1));
    if (NO_FIELDS.has(base.kind)) reader.fail(`unexpected . after term ${quote(nodeText(base))}`);
    if (base.kind === 'field' || base.kind === 'variable') return { ...base, names: [...base.names, ...names], at };
    return { kind: 'chain', base, names, at };
  }

  private term(): Operand | null {
    const { reader } = this;
    const token = reader.nextNonSpace();
    const { value, at } = token;
    switch (token.kind) {
      case 'identifier':
        if (this.functions && !this.functions.has(value)) this.unknownFunction(value, this.functions);
        return { kind: 'function', name: value, at };
      case 'dot':
      case 'nil':
        return { kind: token.kind, at };
      case 'bool':
        return { kind: 'bool', value: value === 'true', at };
      case 'variable':
        if (!this.variables.includes(value)) reader.fail(`undefined variable ${quote(value)}`);
        return { kind: 'variable', name: value, names: [], at };
      case 'field':
        return { kind: 'field', names: [value.slice(1)], at };
      case 'char':
      case 'number':
        return this.number(token);
      case 'open':
        return this.pipeline('parenthesized pipeline', 'close');
      case 'string':
      case 'raw string': {
        const text = unquote(value) ?? reader.fail('invalid syntax');
        return { kind: 'string', source: value, value: text, at };
      }
      default:
        reader.backup();
        return null;
    }
  }

  private unknownFunction(name: string, known: ReadonlySet<string>): never {
    const near = nearest(name, known);
    return this.reader.fail(`function ${quote(name)} not defined${near ? `; did you mean ${quote(near)}?` : ''}`);
  }

  private number({ kind, value, at }: Token): Operand {
    const constant = parseNumber(value);
    if (constant?.type === 'too large') this.reader.fail(`integer overflow: ${quote(value)}`);
    if (constant) return { kind: 'number', text: value, value: constant, at };
    if (kind === 'char') return this.reader.fail(`malformed character constant: ${value}`);
    return this.reader.fail(`illegal number syntax: ${quote(value)}`);
  }
}
