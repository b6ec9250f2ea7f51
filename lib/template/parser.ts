import type { ListNode, ParsedTemplate, Pipeline, TemplateNode } from './ast.js';
import { BUILTINS } from './builtins.js';
import { type Delimiters, lex } from './lexer.js';
import { isEmptyList, nodeText } from './node-text.js';
import { PipelineParser } from './pipeline-parser.js';
import { quote, unquote } from './quote.js';
import { TokenReader } from './token-reader.js';

/** How a template is read. */
export interface ParseOptions {
  /** Stands in errors, and is what the template is known by. */
  name?: string;
  delimiters?: Delimiters;
  /** Names of functions beside Go's own; `any`: they are not known here, so every name may be one. */
  functions?: readonly string[] | 'any';
}

/** Deeper than any template a person writes; keeps the recursion bounded. */
const DEPTH_MAX = 200;

/** Parses a template; throws TemplateError with Go's text. */
export function parseTemplate(source: string, options: ParseOptions = {}): ParsedTemplate {
  const { name = '', delimiters = { left: '{{', right: '}}' }, functions = [] } = options;
  const reader = new TokenReader(name, lex(source, delimiters));
  const known = functions === 'any' ? null : new Set([...Object.keys(BUILTINS), 'and', 'or', ...functions]);
  const parser = new Parser(reader, known);
  parser.template(name);
  return { name, source, defined: parser.defined };
}

/** What ends a list: the end itself, or an `else`, behind which the reader then stands. */
type Ender = { kind: 'end' | 'else'; at: number };

class Parser {
  readonly defined = new Map<string, ListNode>();
  private readonly reader: TokenReader;
  private readonly pipelines: PipelineParser;
  /** Loops around what is being parsed, in the template that it belongs to. */
  private loops = 0;
  private depth = 0;

  constructor(reader: TokenReader, functions: ReadonlySet<string> | null) {
    this.reader = reader;
    this.pipelines = new PipelineParser(reader, functions);
  }

  template(name: string): void {
    const { reader } = this;
    const root: ListNode = { kind: 'list', nodes: [], at: reader.peek().at };
    while (reader.peek().kind !== 'end of file') {
      if (reader.peek().kind === 'left' && reader.keywordAhead() === 'define') {
        this.define();
        continue;
      }
      const node = this.textOrAction();
      if (node.kind === 'end' || node.kind === 'else') reader.fail(`unexpected {{${node.kind}}}`);
      root.nodes.push(node as TemplateNode);
    }
    this.add(name, root);
  }

  private define(): void {
    const { reader } = this;
    reader.next();
    reader.nextNonSpace();
    const token = reader.nextNonSpace();
    if (token.kind !== 'string' && token.kind !== 'raw string') reader.unexpected(token, 'define clause');
    const name = this.unquoted(token.value);
    reader.expect('right', 'define clause');
    this.add(name, this.ownTemplate('define clause'));
  }

  /** The body of a template of its own, which sees no variables and no loops from around it. */
  private ownTemplate(context: string): ListNode {
    const outer = this.loops;
    this.loops = 0;
    const variables = this.pipelines.enterTemplate();
    const { list, ender } = this.list();
    if (ender.kind !== 'end') this.reader.fail(`unexpected {{else}} in ${context}`);
    this.pipelines.leaveTemplate(variables);
    this.loops = outer;
    return list;
  }

  /** A template may be defined again only where one of the two is empty. */
  private add(name: string, list: ListNode): void {
    const before = this.defined.get(name);
    if (!before || isEmptyList(before)) this.defined.set(name, list);
    else if (!isEmptyList(list)) this.reader.fail(`template: multiple definition of template ${quote(name)}`);
  }

  private list(): { list: ListNode; ender: Ender } {
    if (++this.depth > DEPTH_MAX) this.reader.fail(`nested deeper than ${DEPTH_MAX}`);
    const list: ListNode = { kind: 'list', nodes: [], at: this.reader.peekNonSpace().at };
    while (this.reader.peekNonSpace().kind !== 'end of file') {
      const node = this.textOrAction();
      if (node.kind === 'end' || node.kind === 'else') {
        this.depth--;
        return { list, ender: node as Ender };
      }
      list.nodes.push(node as TemplateNode);
    }
    return this.reader.fail('unexpected EOF');
  }

  private textOrAction(): TemplateNode | Ender {
    const token = this.reader.nextNonSpace();
    if (token.kind === 'text') return { kind: 'text', text: token.value, at: token.at };
    if (token.kind !== 'left') return this.reader.unexpected(token, 'input');
    this.reader.actionLine = token.line;
    const node = this.action();
    this.reader.actionLine = 0;
    return node;
  }

  private action(): TemplateNode | Ender {
    const { reader } = this;
    const token = reader.nextNonSpace();
    switch (token.kind === 'keyword' ? token.value : '') {
      case 'block':
        return this.block();
      case 'break':
        return this.jump('break', token.at);
      case 'continue':
        return this.jump('continue', token.at);
      case 'else':
        return this.otherwise();
      case 'end':
        return { kind: 'end', at: reader.expect('right', 'end').at };
      case 'if':
        return this.control('if');
      case 'range':
        return this.control('range');
      case 'with':
        return this.control('with');
      case 'template':
        return this.call();
    }
    reader.backup();
    const { at } = reader.peek();
    return { kind: 'action', pipe: this.pipelines.pipeline('command', 'right'), at };
  }

  private jump(kind: 'break' | 'continue', at: number): TemplateNode {
    const token = this.reader.nextNonSpace();
    if (token.kind !== 'right') this.reader.unexpected(token, `{{${kind}}}`);
    if (this.loops === 0) this.reader.fail(`{{${kind}}} outside {{range}}`);
    return { kind, at };
  }

  /** `{{else if …}}` and `{{else with …}}` leave their condition to the one who asked. */
  private otherwise(): Ender {
    const next = this.reader.peekNonSpace();
    if (next.kind === 'keyword' && (next.value === 'if' || next.value === 'with')) return { kind: 'else', at: next.at };
    return { kind: 'else', at: this.reader.expect('right', 'else').at };
  }

  private control(kind: 'if' | 'with' | 'range'): TemplateNode {
    const variables = this.pipelines.mark();
    const pipe = this.pipelines.pipeline(kind, 'right');
    if (kind === 'range') this.loops++;
    const { list, ender } = this.list();
    if (kind === 'range') this.loops--;
    const otherwise = ender.kind === 'else' ? this.elseList(kind, ender) : null;
    this.pipelines.forget(variables);
    return { kind, pipe, body: list, otherwise, at: pipe.at };
  }

  private elseList(kind: 'if' | 'with' | 'range', ender: Ender): ListNode {
    const { reader } = this;
    const next = reader.peek();
    if (kind !== 'range' && next.kind === 'keyword' && next.value === kind) {
      reader.next();
      if (++this.depth > DEPTH_MAX) reader.fail(`nested deeper than ${DEPTH_MAX}`);
      const nodes = [this.control(kind)];
      this.depth--;
      return { kind: 'list', nodes, at: ender.at };
    }
    const { list, ender: last } = this.list();
    if (last.kind !== 'end') reader.fail('expected end; found {{else}}');
    return list;
  }

  private block(): TemplateNode {
    const { name, at } = this.name('block clause');
    const pipe = this.pipelines.pipeline('block clause', 'right');
    this.add(name, this.ownTemplate('block clause'));
    return { kind: 'template', name, pipe, at };
  }

  private call(): TemplateNode {
    const { name, at } = this.name('template clause');
    let pipe: Pipeline | null = null;
    if (this.reader.nextNonSpace().kind !== 'right') {
      this.reader.backup();
      pipe = this.pipelines.pipeline('template clause', 'right');
    }
    return { kind: 'template', name, pipe, at };
  }

  private name(context: string): { name: string; at: number } {
    const token = this.reader.nextNonSpace();
    if (token.kind !== 'string' && token.kind !== 'raw string') this.reader.unexpected(token, context);
    return { name: this.unquoted(token.value), at: token.at };
  }

  private unquoted(source: string): string {
    return unquote(source) ?? this.reader.fail('invalid syntax');
  }
}

/** `NAME:LINE:COLUMN` of a part, and the part itself, as Go names it in its errors. */
export function nodePlace(
  { name, source }: ParsedTemplate,
  node: Parameters<typeof nodeText>[0],
): {
  location: string;
  context: string;
} {
  const before = source.slice(0, node.at);
  const line = before.split('\n').length;
  const column = new TextEncoder().encode(before.slice(before.lastIndexOf('\n') + 1)).length;
  return { location: `${name}:${line}:${column}`, context: nodeText(node) };
}
