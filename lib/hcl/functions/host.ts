import { err, ok, type Result } from '../../util/result.js';
import type { CallResult, EvalContext, FunctionTable, HclFunction } from '../context.js';
import { convert } from '../convert.js';
import { evaluate } from '../evaluate.js';
import { parseExpression } from '../parser.js';
import { BOOL, STRING, setOf } from '../types.js';
import { boolValue, setValue, stringValue, typeOf, type Value } from '../values.js';
import { base64Encode, utf8Text } from './base64.js';
import { bcrypt } from './bcrypt.js';
import { any, define, entriesOf, integerOf, NOT_WHOLE, number, refuse, text, textOf } from './define.js';
import { printUuid } from './uuid.js';

/** What functions need from the machine on which they are called. Paths count from the folder that it stands for. */
export interface HclHost {
  /** So many random bytes. */
  random(size: number): Uint8Array;
  /** The files of the caller; absent where a file of one must not be read for another (the HTTP API). */
  readonly files?: HclFiles;
}

export interface HclFiles {
  /** The bytes of a file; the error says why not. */
  read(path: string): Result<Uint8Array, string>;
  /** Whether there is a regular file; the error says what else there is. */
  exists(path: string): Result<boolean, string>;
  /** The regular files below a folder that match a pattern (`*`, `**`, `?`, `[…]`, `{a,b}`), relative to it, with `/`. */
  glob(folder: string, pattern: string): Result<readonly string[], string>;
  absolute(path: string): string;
  /** With the home folder for a leading `~`. */
  expand(path: string): Result<string, string>;
}

const NO_FILES = 'filesystem functions are disabled here: only a job file that the command line reads can use them';
const NO_CHANCE = 'this function needs randomness, which is not available here';

function withFiles(host: HclHost | null, use: (files: HclFiles) => Result<Value, string>): CallResult {
  if (!host?.files) return refuse(NO_FILES);
  const used = use(host.files);
  return used.ok ? used : refuse(used.error);
}

const textResult = (result: Result<string, string>): Result<Value, string> =>
  result.ok ? ok(stringValue(result.value)) : result;

function readText(files: HclFiles, path: string): Result<string, string> {
  const read = files.read(path);
  if (!read.ok) return read;
  const content = utf8Text(read.value);
  if (content !== null) return ok(content);
  return err(
    `contents of ${path} are not valid UTF-8; use the filebase64 function to obtain the Base64 encoded contents`,
  );
}

/** The last part of a path, as Go has it: `.` of an empty one. */
function basename(path: string): string {
  if (path === '') return '.';
  const bare = path.replace(/\/+$/, '');
  return bare === '' ? '/' : bare.slice(bare.lastIndexOf('/') + 1);
}

/** Without `.`, `..` and doubled slashes. */
function clean(path: string): string {
  const rooted = path.startsWith('/');
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (!rooted) parts.push('..');
  }
  return (rooted ? '/' : '') + parts.join('/') || '.';
}

const dirname = (path: string): string => clean(path.slice(0, path.lastIndexOf('/') + 1));

function onPath(host: HclHost | null, use: (files: HclFiles, path: string) => Result<Value, string>): HclFunction {
  return define([text('path')], STRING, ([path]) => withFiles(host, (files) => use(files, textOf(path))));
}

/** Beyond this a hash takes seconds. */
const BCRYPT_COST_MAX = 14;

function bcryptCall(host: HclHost | null, [password, ...costs]: readonly Value[]): CallResult {
  if (costs.length > 1) return refuse('bcrypt() takes no more than two arguments');
  const given = costs[0] ? integerOf(costs[0]) : 10;
  if (given === null) return refuse(NOT_WHOLE);
  // Less than 4 is taken for "the usual".
  const cost = given < 4 ? 10 : given;
  if (cost > 31)
    return refuse(`error occured generating password crypto/bcrypt: cost ${cost} is outside allowed range (4,31)`);
  if (cost > BCRYPT_COST_MAX) return refuse(`a cost above ${BCRYPT_COST_MAX} takes too long`, 1);
  const bytes = new TextEncoder().encode(textOf(password));
  if (bytes.length > 72) return refuse('error occured generating password bcrypt: password length exceeds 72 bytes');
  return host ? ok(stringValue(bcrypt(bytes, host.random(16), cost))) : refuse(NO_CHANCE);
}

const TEMPLATE_DEPTH_MAX = 20;

/** A file with interpolations and directives, rendered with the variables of an object; it has the same functions. */
function templateFile(host: HclHost | null, functions: () => FunctionTable, depth: number): HclFunction {
  return define([text('path'), any('vars')], STRING, ([path, vars]) =>
    withFiles(host, (files) => {
      const name = textOf(path);
      const entries = entriesOf(vars);
      if (!entries || !vars)
        return err(`the variables must be a map or an object, not ${vars ? typeOf(vars).kind : 'nothing'}`);
      if (depth >= TEMPLATE_DEPTH_MAX) return err('templates include each other too deep');
      const source = readText(files, name);
      if (!source.ok) return source;
      const { expression, diagnostics } = parseExpression(asHeredoc(source.value), name);
      const nested = templateFile(host, functions, depth + 1);
      const context: EvalContext = {
        variables: entries,
        functions: new Map([...functions(), ['templatefile', nested]]),
      };
      const evaluated = diagnostics.length > 0 ? null : evaluate(expression, context);
      const [problem] = [...diagnostics, ...(evaluated?.diagnostics ?? [])];
      if (problem) {
        const { line, column } = problem.subject.start;
        return err(`${name}:${line - 1},${column}: ${problem.summary}; ${problem.detail.replace(/\.$/, '')}`);
      }
      const converted = convert(evaluated?.value ?? stringValue(''), STRING);
      if (!converted.ok) return err(converted.error.message);
      return converted.value.kind === 'string'
        ? ok(stringValue(converted.value.value.slice(0, -END.length)))
        : converted;
    }),
  );
}

/** Stands behind the last character of a template: no space that a trim mark could take away. */
const END = '\ufdd0\n';

/** A template file as an expression; its lines are one further down there. */
function asHeredoc(source: string): string {
  return `<<MESHNOMAD_TEMPLATE_FILE\n${source}${END}MESHNOMAD_TEMPLATE_FILE\n`;
}

/** The functions over files and chance; null: there are neither, and a call says so. */
export function hostFunctions(host: HclHost | null, others: () => FunctionTable = () => new Map()): FunctionTable {
  return new Map<string, HclFunction>([
    ['file', onPath(host, (files, path) => textResult(readText(files, path)))],
    [
      'filebase64',
      onPath(host, (files, path) => {
        const read = files.read(path);
        return read.ok ? ok(stringValue(base64Encode(read.value))) : read;
      }),
    ],
    [
      'fileexists',
      define([text('path')], BOOL, ([path]) =>
        withFiles(host, (files) => {
          const found = files.exists(textOf(path));
          return found.ok ? ok(boolValue(found.value)) : found;
        }),
      ),
    ],
    [
      'fileset',
      define([text('path'), text('pattern')], setOf(STRING), ([folder, pattern]) =>
        withFiles(host, (files) => {
          const found = files.glob(textOf(folder), textOf(pattern));
          return found.ok ? ok(setValue(STRING, found.value.map(stringValue))) : found;
        }),
      ),
    ],
    ['abspath', onPath(host, (files, path) => ok(stringValue(files.absolute(path))))],
    ['basename', onPath(host, (_, path) => ok(stringValue(basename(path))))],
    ['dirname', onPath(host, (_, path) => ok(stringValue(dirname(path))))],
    ['pathexpand', onPath(host, (files, path) => textResult(files.expand(path)))],
    ['templatefile', templateFile(host, () => new Map([...others(), ...hostFunctions(host, others)]), 0)],
    [
      'bcrypt',
      {
        ...define([text('str')], STRING, (args) => bcryptCall(host, args), number('cost')),
        cost: ([, cost]) => 25 * 2 ** Math.min(BCRYPT_COST_MAX, (cost && integerOf(cost)) ?? 10),
      },
    ],
    ['uuidv4', define([], STRING, () => (host ? ok(stringValue(printUuid(host.random(16), 4))) : refuse(NO_CHANCE)))],
  ]);
}
