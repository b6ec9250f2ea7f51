import { type ExecuteDefined, fn, type TemplateFunction, type Value } from '../../../template/index.js';
import { type InterfaceAddress, resolveAddress } from '../../../util/address-template.js';
import type { Answer, Ask } from '../source.js';
import { textOf } from './arguments.js';
import { COLLECTION_FUNCTIONS } from './collections.js';
import { ENCODE_FUNCTIONS } from './encode.js';
import { MATH_FUNCTIONS } from './math.js';
import { meshFunctions } from './mesh.js';
import { REFUSED_FUNCTIONS } from './refused.js';
import { scratchFunction } from './scratch.js';
import { SPRIG_FUNCTIONS } from './sprig.js';
import { TEXT_FUNCTIONS } from './text.js';
import { timestamp } from './time.js';

/** What the functions of one render may know. */
export interface FunctionContext {
  /** The task's environment. */
  env: Readonly<Record<string, string>>;
  nowMs: number;
  ask: Ask;
  /** Renders another template of the same text, for `executeTemplate`. */
  execute: ExecuteDefined;
  /** The addresses of this machine now. */
  addresses: () => InterfaceAddress[];
  denied: readonly string[];
}

const PURE: Readonly<Record<string, TemplateFunction>> = {
  ...TEXT_FUNCTIONS,
  ...ENCODE_FUNCTIONS,
  ...MATH_FUNCTIONS,
  ...COLLECTION_FUNCTIONS,
  ...SPRIG_FUNCTIONS,
};

/** The functions of a task's template beside Go's own: Consul Template's, for one render. */
export function templateFunctions(context: FunctionContext): Record<string, TemplateFunction> {
  const { env, nowMs, ask, denied, execute, addresses } = context;
  const functions: Record<string, TemplateFunction> = {
    ...REFUSED_FUNCTIONS,
    ...PURE,
    env: fn(1, (name) => env[textOf(name)] ?? ''),
    envOrDefault: fn(2, (name, other) => (env[textOf(name)] === undefined ? textOf(other) : env[textOf(name)])),
    mustEnv: fn(1, (name) => required(env, textOf(name))),
    file: fn(1, (path) => known(ask('file', textOf(path)), '')),
    ...meshFunctions(ask, known),
    executeTemplate: fn([1, 2], (name, data) => execute(textOf(name), data === undefined ? null : data)),
    sockaddr: fn(1, (expression) => socketAddress(textOf(expression), addresses())),
    scratch: scratchFunction(),
    timestamp: fn([0, 1], (layout) => timestamp(nowMs, layout === undefined ? null : textOf(layout))),
  };
  for (const name of Object.keys(functions)) {
    if (denied.some((pattern) => isLike(name, pattern))) functions[name] = refuse(`function is disabled: ${name}`);
  }
  return functions;
}

/** Whether a name is the pattern's, in which `*` stands for anything: `sprig_*`. */
function isLike(name: string, pattern: string): boolean {
  if (!pattern.includes('*')) return name === pattern;
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop() ?? '';
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false;
  let at = first.length;
  return rest.every((part) => {
    const found = name.indexOf(part, at);
    at = found + part.length;
    return found >= 0 && at <= name.length - last.length;
  });
}

/** `GetPrivateIP`, `GetInterfaceIP "eth0"`, …: as addresses in an agent's configuration have it. */
function socketAddress(expression: string, addresses: readonly InterfaceAddress[]): string {
  const resolved = resolveAddress(`{{ ${expression} }}`, addresses);
  if (!resolved.ok) throw new Error(resolved.error);
  return resolved.value;
}

/** What is there, or `other` while it is not: the text of such a render is not used. */
function known(answer: Answer, other: Value): Value {
  if (answer.state === 'failed') throw new Error(answer.reason);
  return answer.state === 'known' ? answer.value : other;
}

function required(env: Readonly<Record<string, string>>, name: string): string {
  const value = env[name];
  if (value === undefined || value === '') throw new Error(`required environment variable ${name} is empty`);
  return value;
}

function refuse(message: string): TemplateFunction {
  return fn([0, Infinity], () => {
    throw new Error(message);
  });
}
