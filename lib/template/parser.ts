import {
  type Command,
  type Operand,
  type ParsedTemplate,
  type Pipeline,
  type Position,
  TemplateError,
  type TemplateNode,
} from './ast.js';
import { type Delimiters, lex, type Token } from './lexer.js';

/** Deeper than any template a person writes; keeps the recursion bounded. */
const DEPTH_MAX = 200;

/** Parses a template; throws TemplateError with line and column. */
export function parseTemplate(source: string, delimiters: Delimiters = { left: '{{', right: '}}' }): ParsedTemplate {
  return new Parser(lex(source, delimiters)).parse();
}

type Ender = 'end' | 'else' | 'eof';

class Parser {
  readonly #tokens: Token[];
  readonly #defined = new Map<string, TemplateNode[]>();
  #next = 0;
  #depth = 0;
  #loops = 0;

  constructor(tokens: Token[]) {
    this.#tokens = tokens;
  }

  parse(): ParsedTemplate {
    const body = this.#list(['eof']).nodes;
    return { body, defined: this.#defined };
  }

  get #here(): Position {
    return (this.#tokens[this.#next] ?? this.#tokens.at(-1))?.at ?? { line: 1, column: 1 };
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#next];
  }

  #take(): Token {
    const token = this.#tokens[this.#next++];
    if (!token) throw new TemplateError(this.#here, 'unexpected end of the template');
    return token;
  }

  #isWord(text: string): boolean {
    const token = this.#peek();
    return token?.kind === 'word' && token.text === text;
  }

  #isPunctuation(text: string): boolean {
    const token = this.#peek();
    return token?.kind === 'punctuation' && token.text === text;
  }

  #close(what: string): void {
    const token = this.#take();
    if (token.kind !== 'close') throw new TemplateError(token.at, `unexpected ${describe(token)} in ${what}`);
  }

  /** Nodes up to one of the enders; which one, and the `{{else` is left open so that its condition can follow. */
  #list(enders: Ender[]): { nodes: TemplateNode[]; ender: Ender } {
    if (++this.#depth > DEPTH_MAX) throw new TemplateError(this.#here, `nested deeper than ${DEPTH_MAX}`);
    const nodes: TemplateNode[] = [];
    try {
      for (;;) {
        const token = this.#tokens[this.#next];
        if (!token) {
          if (enders.includes('eof')) return { nodes, ender: 'eof' };
          throw new TemplateError(this.#here, 'unexpected end of the template: {{end}} is missing');
        }
        this.#next++;
        if (token.kind === 'text') nodes.push({ kind: 'text', text: token.text });
        else {
          const ender = this.#action(nodes, enders, token.at);
          if (ender) return { nodes, ender };
        }
      }
    } finally {
      this.#depth--;
    }
  }

  #action(nodes: TemplateNode[], enders: Ender[], at: Position): Ender | undefined {
    const token = this.#peek();
    const word = token?.kind === 'word' ? token.text : '';
    switch (word) {
      case 'end':
      case 'else':
        if (!enders.includes(word)) throw new TemplateError(at, `unexpected {{${word}}}`);
        this.#next++;
        if (word === 'end') this.#close('end');
        return word;
      case 'if':
      case 'with':
      case 'range':
        this.#next++;
        nodes.push(this.#control(word));
        return undefined;
      case 'break':
      case 'continue':
        if (this.#loops === 0) throw new TemplateError(at, `{{${word}}} outside {{range}}`);
        this.#next++;
        this.#close(word);
        nodes.push({ kind: word });
        return undefined;
      case 'define':
        this.#next++;
        this.#defined.set(this.#name('define'), this.#definition());
        return undefined;
      case 'template':
      case 'block':
        this.#next++;
        nodes.push(this.#template(word, at));
        return undefined;
      default:
        nodes.push({ kind: 'action', pipe: this.#pipeline('action') });
        this.#close('an action');
        return undefined;
    }
  }

  #control(kind: 'if' | 'with' | 'range'): TemplateNode {
    const pipe = this.#pipeline(kind);
    this.#close(kind);
    if (kind === 'range') this.#loops++;
    const { nodes: body, ender } = this.#list(['end', 'else']);
    if (kind === 'range') this.#loops--;
    if (ender === 'end') return { kind, pipe, body, otherwise: [] };
    // `{{else if x}}` is an if inside the else, closed by the same {{end}}.
    if (kind !== 'range' && (this.#isWord('if') || this.#isWord('with'))) {
      const token = this.#take();
      const inner = token.kind === 'word' && token.text === 'with' ? 'with' : 'if';
      return { kind, pipe, body, otherwise: [this.#control(inner)] };
    }
    this.#close('else');
    return { kind, pipe, body, otherwise: this.#list(['end']).nodes };
  }

  #name(what: string): string {
    const token = this.#take();
    if (token.kind !== 'string') throw new TemplateError(token.at, `${what} needs a quoted name`);
    return token.value;
  }

  #definition(): TemplateNode[] {
    this.#close('define');
    return this.#list(['end']).nodes;
  }

  #template(word: 'template' | 'block', at: Position): TemplateNode {
    const name = this.#name(word);
    const pipe = this.#peek()?.kind === 'close' ? undefined : this.#pipeline(word);
    this.#close(word);
    if (word === 'block') {
      const body = this.#list(['end']).nodes;
      if (!this.#defined.has(name)) this.#defined.set(name, body);
    }
    return { kind: 'template', name, pipe, at };
  }

  #pipeline(what: string): Pipeline {
    const at = this.#here;
    const { declare, assign } = this.#declaration(what === 'range');
    const commands: Command[] = [this.#command()];
    while (this.#isPunctuation('|')) {
      this.#next++;
      commands.push(this.#command());
    }
    return { declare, assign, commands, at };
  }

  #declaration(two: boolean): { declare: string[]; assign: boolean } {
    const start = this.#next;
    const declare: string[] = [];
    for (;;) {
      const token = this.#peek();
      if (token?.kind !== 'variable') break;
      declare.push(token.text);
      this.#next++;
      if (this.#isPunctuation(':=') || this.#isPunctuation('=')) {
        const assign = this.#isPunctuation('=');
        this.#next++;
        return { declare, assign };
      }
      if (!two || declare.length > 1 || !this.#isPunctuation(',')) break;
      this.#next++;
    }
    this.#next = start;
    return { declare: [], assign: false };
  }

  #command(): Command {
    const at = this.#here;
    const args: Operand[] = [];
    for (;;) {
      const operand = this.#operand();
      if (!operand) break;
      args.push(operand);
    }
    if (args.length === 0) throw new TemplateError(at, 'missing value for command');
    return { args, at };
  }

  #operand(): Operand | undefined {
    const token = this.#peek();
    if (!token) return undefined;
    const base = this.#base(token);
    if (!base) return undefined;
    const names: string[] = [];
    for (let next = this.#peek(); next?.kind === 'field' && !next.spaced; next = this.#peek()) {
      names.push(next.text);
      this.#next++;
    }
    return names.length > 0 ? { kind: 'field', base, names, at: token.at } : base;
  }

  #base(token: Token): Operand | undefined {
    const { at } = token;
    switch (token.kind) {
      case 'string':
      case 'number':
        this.#next++;
        return { kind: 'literal', value: token.value };
      case 'field':
        this.#next++;
        return { kind: 'field', base: { kind: 'dot', at }, names: [token.text], at };
      case 'variable':
        this.#next++;
        return { kind: 'variable', name: token.text, at };
      case 'word':
        this.#next++;
        if (token.text === 'true' || token.text === 'false') return { kind: 'literal', value: token.text === 'true' };
        if (token.text === 'nil') return { kind: 'literal', value: null };
        return { kind: 'function', name: token.text, at };
      case 'punctuation':
        if (token.text === '.') {
          this.#next++;
          return { kind: 'dot', at };
        }
        if (token.text !== '(') return undefined;
        return this.#parenthesised(at);
      default:
        return undefined;
    }
  }

  #parenthesised(at: Position): Operand {
    this.#next++;
    if (++this.#depth > DEPTH_MAX) throw new TemplateError(at, `nested deeper than ${DEPTH_MAX}`);
    const pipe = this.#pipeline('parentheses');
    this.#depth--;
    const token = this.#take();
    if (token.kind !== 'punctuation' || token.text !== ')')
      throw new TemplateError(token.at, 'unclosed left parenthesis');
    return { kind: 'pipe', pipe, at };
  }
}

function describe(token: Token): string {
  switch (token.kind) {
    case 'string':
    case 'number':
      return JSON.stringify(token.value);
    case 'open':
    case 'close':
      return `${token.kind}ing delimiter`;
    default:
      return JSON.stringify(token.text);
  }
}
