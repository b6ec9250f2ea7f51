import { readFileSync } from 'node:fs';
import { parseVariable, type VariableFile } from '../../jobspec/variable-file.js';
import type { Variable } from '../../structs/variable.js';
import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { UsageError } from '../command.js';
import { takeArgs } from '../print.js';
import { OUT_FLAGS, printVariable } from '../variable-print.js';
import { variableUrl } from '../variable-url.js';

export const command: Command = {
  usage: 'meshnomad var put [options] <path> [<key>=<value> …]  |  meshnomad var put [options] @<file>',
  about:
    'Makes or changes a variable. A value of "@file" is read from a file, "-" as the only item reads a whole variable (HCL or JSON) from standard input.',
  flags: {
    ...OUT_FLAGS,
    'check-index': { type: 'string', value: 'index', help: 'Only if its ModifyIndex is this; 0 = only a new one.' },
    force: { type: 'bool', help: 'Write it whatever it is now, also when the file has an older ModifyIndex.' },
    in: {
      type: 'string',
      value: 'format',
      help: 'Accepted for compatibility: JSON is recognised by its first character.',
    },
    verbose: { type: 'bool', help: 'Accepted for compatibility.' },
  },
  async run(context) {
    const { args, flags } = context;
    if (args.length === 0) takeArgs(args, 1, 2, '<path> [<key>=<value> …]');
    const given = read(args);
    if (given.path === '') throw new UsageError('the variable needs a path: the first argument, or "path" in the file');
    const api = await context.api();
    const index = flags.string('check-index') ?? (flags.bool('force') ? undefined : given.modifyIndex);
    if (index !== undefined && !/^\d+$/.test(index))
      throw new UsageError(`-check-index=${index} is not a whole number`);
    const query = index === undefined ? {} : { cas: index };
    const body = { Path: given.path, Items: given.items };
    const answer = await api.put<Variable>(variableUrl(given.path), body, query).catch(inWords);
    await printVariable(context, answer.value, 'none');
    return 0;
  },
};

type Given = Pick<VariableFile, 'path' | 'items' | 'modifyIndex'>;

function read(args: string[]): Given {
  const [first = '', ...rest] = args;
  if (first.startsWith('@')) {
    const file = readFile(first.slice(1));
    return { ...file, items: { ...file.items, ...items(rest) } };
  }
  if (rest.length === 1 && (rest[0] === '-' || rest[0]?.startsWith('@'))) {
    return { ...readFile((rest[0] as string).replace(/^@/, '')), path: first };
  }
  if (rest.length === 0) throw new UsageError('the variable needs at least one <key>=<value>');
  return { path: first, items: items(rest) };
}

function readFile(path: string): VariableFile {
  const parsed = parseVariable(text(path), path === '-' ? 'stdin' : path);
  if (!parsed.ok) throw new ApiError(0, `Failed to parse the variable:\n${parsed.error}`);
  return parsed.value;
}

function items(args: string[]): Record<string, string> {
  return Object.fromEntries(
    args.map((arg) => {
      const at = arg.indexOf('=');
      if (at < 1) throw new UsageError(`${JSON.stringify(arg)} is not <key>=<value>`);
      const value = arg.slice(at + 1);
      return [arg.slice(0, at), value.startsWith('@') ? text(value.slice(1)) : value];
    }),
  );
}

function text(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new ApiError(0, `cannot read ${path}: ${(error as Error).message}`);
  }
}

function inWords(error: unknown): never {
  if (!(error instanceof ApiError) || error.status !== 409) throw error;
  const now = /"ModifyIndex":\s*(\d+)/.exec(error.message)?.[1];
  throw new ApiError(
    409,
    `Check-and-set conflict: the variable is now at index ${now ?? '(unknown)'}; read it again, or use -force to overwrite it`,
  );
}
