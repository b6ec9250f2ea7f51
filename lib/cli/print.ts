import type { Context, FlagSpec } from './command.js';
import { UsageError } from './command.js';

/** `-json` and `-t`, for commands that show data. */
export const DATA_FLAGS: Record<string, FlagSpec> = {
  json: { type: 'bool', help: "Print the API's JSON." },
  t: { type: 'string', value: 'template', help: "Print the data through a Go template, such as '{{.ID}}'." },
};

/** `-filter`, `-per-page` and `-page-token`, for commands that list; `example` is a filter. */
export function pageFlags(example: string): Record<string, FlagSpec> {
  return {
    filter: { type: 'string', value: 'expression', help: `Only those for which it holds, such as '${example}'.` },
    'page-token': { type: 'string', value: 'token', help: 'Go on where an earlier page ended.' },
    'per-page': { type: 'int', value: 'n', help: 'So many at once; default all.' },
  };
}

/** The same as the API asks for them. */
export function pageQuery({ flags }: Context): Record<string, string | number | undefined> {
  return {
    filter: flags.string('filter'),
    per_page: flags.int('per-page'),
    next_token: flags.string('page-token'),
  };
}

/** How to get the next page, if there is one. */
export function tellNextPage({ args, flags, output }: Context, nextToken: string, command: string): void {
  if (nextToken === '') return;
  const filter = flags.string('filter');
  const again = [
    command,
    ...(filter === undefined ? [] : [`-filter='${filter}'`]),
    `-per-page=${flags.int('per-page')}`,
    `-page-token=${nextToken}`,
    ...args,
  ];
  output.out(`\nResults have been paginated. To get the next page run:\n\nmeshnomad ${again.join(' ')}`);
}

/** Whether -json or -t was given: then it is the data that is wanted, not a text. */
export function wantsData({ flags }: Context): boolean {
  return flags.bool('json') || flags.string('t') !== undefined;
}

/** Prints `value` as -json (or `jsonFlag`) or -t ask; false when neither was given. */
export async function printData({ flags, output }: Context, value: unknown, jsonFlag = 'json'): Promise<boolean> {
  const template = flags.string('t');
  if (flags.bool(jsonFlag) && template !== undefined) throw new UsageError(`-${jsonFlag} and -t exclude each other`);
  if (flags.bool(jsonFlag)) {
    output.out(JSON.stringify(value, null, 4));
    return true;
  }
  if (template === undefined) return false;
  const { renderTemplate } = await import('../template/index.js');
  const rendered = renderTemplate(template, value);
  if (!rendered.ok) throw new UsageError(`-t: ${rendered.error}`);
  output.out(rendered.value);
  return true;
}

/** Refuses a wrong number of arguments, with the usage. */
export function takeArgs(args: string[], min: number, max: number, names: string): void {
  if (args.length >= min && args.length <= max) return;
  const count =
    min === max
      ? min === 0
        ? 'no arguments'
        : min === 1
          ? 'one argument'
          : `${min} arguments`
      : Number.isFinite(max)
        ? `${min} to ${max} arguments`
        : 'at least one argument';
  throw new UsageError(`This command takes ${count}${names === '' ? '' : `: ${names}`}`);
}
