import { nearest } from '../util/nearest.js';
import {
  type AnyNode,
  type Command,
  type ListNode,
  type Operand,
  type ParsedTemplate,
  type Pipeline,
  TemplateError,
  type TemplateNode,
} from './ast.js';
import { Account, HeavyTemplate } from './bounds.js';
import { BUILTINS } from './builtins.js';
import { costOf } from './extent.js';
import { nodeText } from './node-text.js';
import { nodePlace } from './parser.js';
import { printValue } from './printf.js';
import { quote } from './quote.js';
import {
  entriesOf,
  entryOf,
  float,
  int,
  kindOf,
  methodOf,
  NO_VALUE,
  Struct,
  type TemplateFunction,
  TextStruct,
  TypedMap,
  truth,
  typeName,
  type Value,
} from './values.js';

type Functions = Readonly<Record<string, TemplateFunction>>;

/** Executes a template that the text defines, within the bounds of the whole; throws TemplateError. */
export type ExecuteDefined = (name: string, data: Value) => string;

/** What a template is executed with. */
export interface ExecOptions {
  data: Value;
  /** Functions beside Go's own; they win over them. */
  functions?: Functions | ((execute: ExecuteDefined) => Functions);
  /** A key that a map lacks: an error, or `<no value>` (Go's missingkey). */
  missing: 'error' | 'no value';
  /** Objects are structs: a field that one lacks is an error of its type, and nil shows as `<nil>`. */
  structs?: boolean;
  /** Whether it has taken too long; asked now and then. */
  isOverdue?: () => boolean;
  /** Throws HeavyTemplate as soon as it is more than a moment's work, before the call that would make it so. */
  light?: boolean;
}

interface Variable {
  name: string;
  value: Value;
  /** As `dotIsItem`. */
  isItem: boolean;
}

/** What left the ordinary way through a list of nodes. */
type Jump = 'break' | 'continue' | undefined;

/** Where a function or method is called, and with what: the first of `args` is itself. */
interface Place {
  node: AnyNode;
  dot: Value;
  args: readonly Operand[];
  final: Value;
}

/** A template may call itself; this is where it must have ended. */
const DEPTH_MAX = 500;

/** There is no value from the stage before. */
const MISSING = Symbol('missing');

/** Executes a parsed template; throws TemplateError with Go's text where it cannot go on. */
export function execTemplate(template: ParsedTemplate, options: ExecOptions): string {
  return new Executor(template, options).run();
}

class Executor {
  private readonly template: ParsedTemplate;
  private readonly options: ExecOptions;
  private readonly functions: Functions;
  private out: string[] = [];
  private readonly account: Account;
  private depth = 0;
  private current: string;
  private variables: Variable[] = [];
  /** What the dot is was taken out of a list or map, which Go tells in errors as `interface {}`. */
  private dotIsItem = false;
  /** The part that errors are about. */
  private node: AnyNode | null = null;

  constructor(template: ParsedTemplate, options: ExecOptions) {
    this.template = template;
    this.options = options;
    const { functions = {}, light = false, isOverdue } = options;
    this.account = new Account({ light, fail: (message) => this.fail(message), ...(isOverdue && { isOverdue }) });
    this.functions = typeof functions === 'function' ? functions((name, data) => this.captured(name, data)) : functions;
    this.current = template.name;
  }

  run(): string {
    const { data } = this.options;
    const body = this.template.defined.get(this.template.name);
    if (!body) return this.fail(`${quote(this.template.name)} is an incomplete or empty template`);
    this.variables = [{ name: '$', value: data, isItem: false }];
    this.walkList(body, data);
    return this.out.join('');
  }

  /** A list with a dot of its own. */
  private inner(list: ListNode, dot: Value, isItem: boolean): Jump {
    const outer = this.dotIsItem;
    this.dotIsItem = isItem;
    const jump = this.walkList(list, dot);
    this.dotIsItem = outer;
    return jump;
  }

  private walkList(list: ListNode, dot: Value): Jump {
    this.at(list);
    for (const node of list.nodes) {
      const jump = this.walk(node, dot);
      if (jump) return jump;
    }
    return undefined;
  }

  private walk(node: TemplateNode, dot: Value): Jump {
    this.at(node);
    this.account.step();
    switch (node.kind) {
      case 'text':
        this.write(node.text);
        return undefined;
      case 'action': {
        const value = this.pipeline(node.pipe, dot);
        if (node.pipe.declare.length === 0) this.print(node, value);
        return undefined;
      }
      case 'if':
      case 'with':
        return this.branch(node, dot);
      case 'range':
        return this.range(node, dot);
      case 'template':
        this.call(node, dot);
        return undefined;
      case 'break':
      case 'continue':
        return node.kind;
    }
  }

  private branch(node: Extract<TemplateNode, { kind: 'if' | 'with' | 'range' }>, dot: Value): Jump {
    const scope = this.variables.length;
    const value = this.pipeline(node.pipe, dot);
    let jump: Jump;
    if (isTrue(value))
      jump = node.kind === 'with' ? this.inner(node.body, value, false) : this.walkList(node.body, dot);
    else if (node.otherwise) jump = this.walkList(node.otherwise, dot);
    this.variables.length = scope;
    return jump;
  }

  private range(node: Extract<TemplateNode, { kind: 'if' | 'with' | 'range' }>, dot: Value): Jump {
    const outer = this.variables.length;
    const { pipe } = node;
    const value = this.pipeline(pipe, dot);
    const scope = this.variables.length;
    let count = 0;
    let left: Jump;
    for (const [key, item] of this.entries(value, pipe)) {
      count++;
      this.account.step();
      this.setLoopVariables(pipe, key, item);
      const jump = this.inner(node.body, item, kindOf(value) !== 'int');
      this.variables.length = scope;
      if (jump === 'break') break;
    }
    if (count === 0 && node.otherwise) left = this.walkList(node.otherwise, dot);
    this.variables.length = outer;
    return left;
  }

  /** One variable is the element, two are index and element. */
  private setLoopVariables({ declare, assign }: Pipeline, key: Value, item: Value): void {
    const values = declare.length > 1 ? [key, item] : [item];
    for (const [i, { name }] of declare.entries()) {
      const variable = assign ? this.variable(name) : this.variables[this.variables.length - declare.length + i];
      if (!variable) continue;
      variable.value = values[i];
      variable.isItem = i === declare.length - 1;
    }
  }

  private *entries(value: Value, pipe: Pipeline): Generator<[Value, Value]> {
    if (value === NO_VALUE) return;
    switch (kindOf(value)) {
      case 'nil':
        return;
      case 'list':
        for (const [i, item] of (value as Value[]).entries()) yield [i, item];
        return;
      case 'map':
        yield* entriesOf(value as object);
        return;
      case 'int':
        if (pipe.declare.length > 1) this.fail(`can't use ${printValue(value)} to iterate over more than one variable`);
        for (let i = 0; i < Number(value); i++) yield [i, i];
        return;
      default:
        this.fail(`range can't iterate over ${printValue(value)}`);
    }
  }

  private call(node: Extract<TemplateNode, { kind: 'template' }>, dot: Value): void {
    const body = this.definition(node.name);
    this.enter(node.name, body, node.pipe ? this.pipeline(node.pipe, dot) : NO_VALUE);
  }

  /** What a defined template puts out, as a text instead. */
  private captured(name: string, data: Value): string {
    const outer = this.out;
    this.out = [];
    this.enter(name, this.definition(name), data);
    const text = this.out.join('');
    this.out = outer;
    return text;
  }

  private definition(name: string): ListNode {
    const body = this.template.defined.get(name) ?? this.fail(`template ${quote(name)} not defined`);
    if (this.depth >= DEPTH_MAX) this.fail(`exceeded maximum template depth (${DEPTH_MAX})`);
    return body;
  }

  /** Walks a defined template with variables of its own. */
  private enter(defined: string, body: ListNode, value: Value): void {
    const [outer, name] = [this.variables, this.current];
    this.variables = [{ name: '$', value, isItem: false }];
    this.current = defined;
    this.depth++;
    this.inner(body, value, false);
    this.depth--;
    this.current = name;
    this.variables = outer;
  }

  private pipeline(pipe: Pipeline, dot: Value): Value {
    this.at(pipe);
    let value: Value = MISSING;
    for (const command of pipe.commands) {
      value = this.command(command, dot, value);
      // As in Go a nil that has come to the end of a stage is no value at all.
      if (!this.options.structs && (value === null || value === undefined)) value = NO_VALUE;
    }
    for (const { name } of pipe.declare) {
      if (pipe.assign) Object.assign(this.variable(name), { value, isItem: false });
      else this.variables.push({ name, value, isItem: false });
    }
    return value;
  }

  private command(command: Command, dot: Value, final: Value): Value {
    const [first] = command.args as [Operand, ...Operand[]];
    switch (first.kind) {
      case 'field':
      case 'chain':
      case 'variable':
        return this.fieldsOf(first, dot, command.args, final);
      case 'function':
        return this.callFunction(first, command, dot, final);
      case 'pipe':
        this.refuseArguments(command.args, final);
        return this.pipeline(first, dot);
      default:
    }
    this.at(first);
    this.refuseArguments(command.args, final);
    if (first.kind === 'nil') return this.fail('nil is not a command');
    return this.constant(first, dot);
  }

  /** The value of an argument. */
  private argument(operand: Operand, dot: Value): Value {
    this.at(operand);
    switch (operand.kind) {
      case 'field':
      case 'chain':
      case 'variable':
        return this.fieldsOf(operand, dot, [], MISSING);
      case 'function':
        return this.callFunction(operand, operand, dot, MISSING);
      case 'pipe':
        return this.pipeline(operand, dot);
      default:
        return this.constant(operand, dot);
    }
  }

  private constant(
    operand: Extract<Operand, { kind: 'bool' | 'nil' | 'dot' | 'number' | 'string' }>,
    dot: Value,
  ): Value {
    switch (operand.kind) {
      case 'bool':
      case 'string':
        return operand.value;
      case 'nil':
        return NO_VALUE;
      case 'dot':
        return dot;
      case 'number':
        if (operand.value.type === 'int') return int(operand.value.value);
        if (operand.value.type === 'float') return float(operand.value.value);
        return this.fail(`${operand.text} overflows int`);
    }
  }

  private refuseArguments(args: readonly Operand[], final: Value): void {
    if (args.length > 1 || final !== MISSING) {
      this.fail(`can't give argument to non-function ${nodeText(args[0] as Operand)}`);
    }
  }

  /** `.A.B args`, `$x.A args`, `(pipe).A args`: the last field may be a method. */
  private fieldsOf(
    node: Extract<Operand, { kind: 'field' | 'chain' | 'variable' }>,
    dot: Value,
    args: readonly Operand[],
    final: Value,
  ): Value {
    this.at(node);
    let value = dot;
    let isItem = this.dotIsItem;
    if (node.kind === 'variable') ({ value, isItem } = this.variable(node.name));
    if (node.kind === 'chain') {
      if (node.base.kind === 'nil') this.fail(`indirection through explicit nil in ${nodeText(node)}`);
      value = this.argument(node.base, dot);
      isItem = false;
    }
    if (node.names.length === 0) {
      this.refuseArguments(args.length === 0 ? [node] : args, final);
      return value;
    }
    const where = { node, dot, args: [] as readonly Operand[], final: MISSING as Value, isItem };
    const last = node.names.length - 1;
    for (const name of node.names.slice(0, last)) {
      value = this.field(value, name, where);
      where.isItem = true;
    }
    return this.field(value, node.names[last] as string, { ...where, args, final });
  }

  private field(receiver: Value, name: string, where: Place & { isItem: boolean }): Value {
    const { args, final, isItem } = where;
    if (receiver === NO_VALUE) {
      return this.options.missing === 'error' ? this.fail(`nil data; no entry for key ${quote(name)}`) : NO_VALUE;
    }
    const hasArguments = args.length > 1 || final !== MISSING;
    if (kindOf(receiver) === 'nil') return this.fail(`nil pointer evaluating interface {}.${name}`);
    const method = methodOf(receiver, name);
    if (method) return this.invoke(method, { name, ...where });
    if (receiver instanceof Struct) {
      if (!Object.hasOwn(receiver.fields, name)) return this.noField(name, receiver, isItem);
      if (hasArguments) this.fail(`${name} has arguments but cannot be invoked as function`);
      return receiver.fields[name];
    }
    if (kindOf(receiver) !== 'map') return this.noField(name, receiver, isItem);
    if (hasArguments) this.fail(`${name} is not a method but has arguments`);
    const value = entryOf(receiver as object, name);
    if (value !== NO_VALUE) return value;
    if (this.options.structs) return this.noField(name, receiver, isItem);
    if (this.options.missing === 'error') this.fail(`map has no entry for key ${quote(name)}`);
    return receiver instanceof TypedMap ? receiver.zero : NO_VALUE;
  }

  private noField(name: string, receiver: Value, isItem: boolean): never {
    const fields = receiver instanceof Struct ? receiver.fields : this.options.structs ? receiver : null;
    const near = fields && typeof fields === 'object' ? nearest(name, Object.keys(fields)) : undefined;
    const hint = near ? `; did you mean .${near}?` : '';
    this.fail(`can't evaluate field ${name} in type ${isItem ? 'interface {}' : typeName(receiver)}${hint}`);
  }

  private callFunction(node: Extract<Operand, { kind: 'function' }>, cmd: AnyNode, dot: Value, final: Value): Value {
    this.at(node);
    const { name } = node;
    const own = this.functions;
    const args = cmd.kind === 'command' ? cmd.args : [];
    if (Object.hasOwn(own, name)) {
      return this.invoke(own[name] as TemplateFunction, { name, node: cmd, args, dot, final });
    }
    if (name === 'and' || name === 'or') return this.shortCircuit(name, args, dot, final);
    if (!Object.hasOwn(BUILTINS, name)) return this.fail(`${quote(name)} is not a defined function`);
    return this.invoke(BUILTINS[name] as TemplateFunction, { name, node: cmd, args, dot, final });
  }

  private shortCircuit(name: 'and' | 'or', args: readonly Operand[], dot: Value, final: Value): Value {
    const given = args.slice(1);
    if (given.length === 0 && final === MISSING) {
      this.fail(`wrong number of args for ${name}: want at least 1 got 0`);
    }
    let value: Value = NO_VALUE;
    for (const arg of given) {
      value = this.argument(arg, dot);
      if (isTrue(value) === (name === 'or')) return value;
    }
    return final === MISSING ? value : final;
  }

  private invoke({ min, max, call, effort }: TemplateFunction, where: Place & { name: string }): Value {
    const { name, node, dot, final } = where;
    const given = where.args.slice(1);
    const count = given.length + (final === MISSING ? 0 : 1);
    if (max === Infinity && count < min) {
      this.fail(`wrong number of args for ${name}: want at least ${min} got ${given.length}`);
    }
    if (count < min || count > max) {
      this.fail(`wrong number of args for ${name}: want ${count < min ? min : max} got ${count}`);
    }
    const values = given.map((arg) => plain(this.argument(arg, dot)));
    if (final !== MISSING) values.push(plain(final));
    this.account.step();
    this.account.give(values, effort);
    try {
      const result = call(values);
      if (!values.includes(result)) this.account.make(costOf(result));
      return result;
    } catch (error) {
      if (error instanceof TemplateError || error instanceof HeavyTemplate) throw error;
      this.at(node);
      return this.fail(`error calling ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  private variable(name: string): Variable {
    return this.variables.findLast((variable) => variable.name === name) ?? this.fail(`undefined variable: ${name}`);
  }

  private print(node: AnyNode, value: Value): void {
    this.at(node);
    if (value === NO_VALUE) this.write('<no value>');
    else if (kindOf(value) === 'func') this.fail(`can't print ${nodeText(node)} of type func`);
    else this.write(this.shown(value));
  }

  private shown(value: Value): string {
    try {
      return printValue(value);
    } catch (error) {
      if (error instanceof TemplateError) throw error;
      return this.fail(error instanceof Error ? error.message : String(error));
    }
  }

  private write(text: string): void {
    this.account.write(text.length);
    this.out.push(text);
  }

  private at(node: AnyNode): void {
    this.node = node;
  }

  private fail(message: string): never {
    const { node, template } = this;
    if (!node) throw new TemplateError(`template: ${template.name}: ${message}`);
    const { location, context } = nodePlace(template, node);
    throw new TemplateError(`template: ${location}: executing ${quote(this.current)} at <${context}>: ${message}`);
  }
}

function isTrue(value: Value): boolean {
  return value !== NO_VALUE && truth(value);
}

/** What stands for a text is given to functions as that text. */
function plain(value: Value): Value {
  return value instanceof TextStruct ? value.text : value;
}
