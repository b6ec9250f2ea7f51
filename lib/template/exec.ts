import { nearest } from '../util/nearest.js';
import {
  type Command,
  type Operand,
  type ParsedTemplate,
  type Pipeline,
  type Position,
  TemplateError,
  type TemplateNode,
} from './ast.js';
import { BUILTINS, type TemplateFunction, truth, type Value } from './functions.js';
import { printValue } from './printf.js';

/** What a template is executed with. */
export interface ExecOptions {
  data: Value;
  /** Functions beside Go's own; they win over them. */
  functions?: Readonly<Record<string, TemplateFunction>>;
  /** A field that a map lacks: an error that names the nearest one, or Go's `<no value>`. */
  missing: 'error' | 'no value';
}

/** What left the ordinary way through a list of nodes. */
type Jump = 'break' | 'continue' | undefined;

/** A template may call itself; this is where it must have ended. */
const DEPTH_MAX = 500;
const NO_VALUE = Symbol('no value');

/** Executes a parsed template; throws TemplateError where it cannot go on. */
export function execTemplate(template: ParsedTemplate, options: ExecOptions): string {
  return new Executor(template, options).run();
}

class Executor {
  readonly #template: ParsedTemplate;
  readonly #options: ExecOptions;
  readonly #out: string[] = [];
  #variables: { name: string; value: Value }[] = [];
  #depth = 0;

  constructor(template: ParsedTemplate, options: ExecOptions) {
    this.#template = template;
    this.#options = options;
  }

  run(): string {
    this.#variables = [{ name: '$', value: this.#options.data }];
    this.#walk(this.#template.body, this.#options.data);
    return this.#out.join('');
  }

  #walk(nodes: readonly TemplateNode[], dot: Value): Jump {
    const scope = this.#variables.length;
    for (const node of nodes) {
      const jump = this.#node(node, dot);
      if (jump) {
        this.#variables.length = scope;
        return jump;
      }
    }
    this.#variables.length = scope;
    return undefined;
  }

  #node(node: TemplateNode, dot: Value): Jump {
    switch (node.kind) {
      case 'text':
        this.#out.push(node.text);
        return undefined;
      case 'action': {
        const value = this.#pipeline(node.pipe, dot);
        if (node.pipe.declare.length === 0) this.#out.push(value === NO_VALUE ? '<no value>' : printValue(value));
        return undefined;
      }
      case 'if':
      case 'with': {
        const scope = this.#variables.length;
        const value = this.#known(this.#pipeline(node.pipe, dot));
        const chosen = truth(value) ? node.body : node.otherwise;
        const jump = this.#walk(chosen, node.kind === 'with' && truth(value) ? value : dot);
        this.#variables.length = scope;
        return jump;
      }
      case 'range':
        this.#range(node, dot);
        return undefined;
      case 'template':
        this.#call(node, dot);
        return undefined;
      case 'break':
      case 'continue':
        return node.kind;
    }
  }

  #range(node: Extract<TemplateNode, { kind: 'range' }>, dot: Value): void {
    const scope = this.#variables.length;
    const { declare, at } = node.pipe;
    const value = this.#known(this.#pipeline({ ...node.pipe, declare: [] }, dot));
    const entries = entriesOf(value, at);
    if (entries.length === 0) this.#walk(node.otherwise, dot);
    for (const [key, item] of entries) {
      if (declare.length === 1) this.#variables.push({ name: declare[0] as string, value: item });
      if (declare.length === 2) {
        this.#variables.push({ name: declare[0] as string, value: key }, { name: declare[1] as string, value: item });
      }
      const jump = this.#walk(node.body, item);
      this.#variables.length = scope;
      if (jump === 'break') break;
    }
    this.#variables.length = scope;
  }

  #call(node: Extract<TemplateNode, { kind: 'template' }>, dot: Value): void {
    const body = this.#template.defined.get(node.name);
    if (!body) throw new TemplateError(node.at, `template ${JSON.stringify(node.name)} is not defined`);
    if (++this.#depth > DEPTH_MAX)
      throw new TemplateError(node.at, `template ${JSON.stringify(node.name)} calls itself without end`);
    const value = node.pipe ? this.#known(this.#pipeline(node.pipe, dot)) : null;
    const outer = this.#variables;
    this.#variables = [{ name: '$', value }];
    this.#walk(body, value);
    this.#variables = outer;
    this.#depth--;
  }

  #pipeline(pipe: Pipeline, dot: Value): Value {
    let value: Value;
    pipe.commands.forEach((command, i) => {
      value = this.#command(command, dot, i > 0 ? { value: this.#known(value) } : undefined);
    });
    const name = pipe.declare[0];
    if (name === undefined) return value;
    if (!pipe.assign) this.#variables.push({ name, value: this.#known(value) });
    else this.#variable(name, pipe.at).value = this.#known(value);
    return value;
  }

  #command(command: Command, dot: Value, last: { value: Value } | undefined): Value {
    const [first, ...rest] = command.args as [Operand, ...Operand[]];
    if (first.kind === 'function') return this.#function(first, rest, dot, last);
    if (rest.length > 0 || last) throw new TemplateError(command.at, "can't give argument to non-function");
    return this.#operand(first, dot);
  }

  #function(
    node: { name: string; at: Position },
    args: Operand[],
    dot: Value,
    last: { value: Value } | undefined,
  ): Value {
    const lazy = [
      ...args.map((arg) => () => this.#known(this.#operand(arg, dot))),
      ...(last ? [() => last.value] : []),
    ];
    if (node.name === 'and' || node.name === 'or') {
      let value: Value;
      for (const next of lazy) {
        value = next();
        if (truth(value) === (node.name === 'or')) break;
      }
      return value;
    }
    const own = this.#options.functions;
    const call =
      own && Object.hasOwn(own, node.name)
        ? own[node.name]
        : Object.hasOwn(BUILTINS, node.name)
          ? BUILTINS[node.name]
          : undefined;
    if (!call) {
      const near = nearest(node.name, [...Object.keys(own ?? {}), ...Object.keys(BUILTINS), 'and', 'or']);
      throw new TemplateError(
        node.at,
        `function ${JSON.stringify(node.name)} not defined${near ? `; did you mean "${near}"?` : ''}`,
      );
    }
    const values = lazy.map((next) => next());
    try {
      return call(...values);
    } catch (error) {
      if (error instanceof TemplateError) throw error;
      throw new TemplateError(node.at, `error calling ${node.name}: ${(error as Error).message}`);
    }
  }

  #operand(operand: Operand, dot: Value): Value {
    switch (operand.kind) {
      case 'literal':
        return operand.value;
      case 'dot':
        return dot;
      case 'variable':
        return this.#variable(operand.name, operand.at).value;
      case 'function':
        return this.#function(operand, [], dot, undefined);
      case 'pipe':
        return this.#pipeline(operand.pipe, dot);
      case 'field': {
        let value = this.#operand(operand.base, dot);
        for (const name of operand.names) value = this.#field(value, name, operand.at);
        return value;
      }
    }
  }

  #field(value: Value, name: string, at: Position): Value {
    if (value === NO_VALUE) throw new TemplateError(at, `nil pointer evaluating .${name}`);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new TemplateError(at, `can't evaluate field ${name} in ${printValue(value).slice(0, 40)}`);
    }
    if (Object.hasOwn(value, name)) return (value as Record<string, Value>)[name];
    if (this.#options.missing === 'no value') return NO_VALUE;
    const near = nearest(name, Object.keys(value));
    throw new TemplateError(at, `there is no field ${name}${near ? `; did you mean .${near}?` : ''}`);
  }

  #variable(name: string, at: Position): { value: Value } {
    const found = this.#variables.findLast((variable) => variable.name === name);
    if (!found) throw new TemplateError(at, `undefined variable ${JSON.stringify(name)}`);
    return found;
  }

  #known(value: Value): Value {
    return value === NO_VALUE ? null : value;
  }
}

function entriesOf(value: Value, at: Position): [string | number, Value][] {
  if (Array.isArray(value)) return value.map((item, i) => [i, item as Value]);
  if (value === null || value === undefined) return [];
  if (typeof value === 'object') {
    return Object.keys(value)
      .sort()
      .map((key) => [key, (value as Record<string, Value>)[key]]);
  }
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 1e6) {
    return Array.from({ length: value }, (_, i) => [i, i]);
  }
  throw new TemplateError(at, `range can't iterate over ${printValue(value)}`);
}
