import { printVariableFile } from '../jobspec/variable-file.js';
import type { Variable } from '../structs/variable.js';
import type { Context, FlagSpec } from './command.js';
import { UsageError } from './command.js';
import { formatPairs, formatTime } from './format.js';

/** How a variable is to be shown. */
export const OUT_FLAGS: Record<string, FlagSpec> = {
  out: { type: 'string', value: 'format', help: 'table, json, hcl, go-template (with -template) or none.' },
  template: { type: 'string', value: 'template', help: 'The Go template of -out=go-template.' },
};

/** Prints a variable as -out asks; `usual` when it is not given. */
export async function printVariable({ flags, output }: Context, variable: Variable, usual: string): Promise<void> {
  const template = flags.string('template');
  const format = flags.string('out') ?? (template === undefined ? usual : 'go-template');
  switch (format) {
    case 'none':
      return;
    case 'json':
      output.out(JSON.stringify(variable, null, 2));
      return;
    case 'hcl':
      output.out(printVariableFile(variable).trimEnd());
      return;
    case 'table':
      output.out(table(variable));
      return;
    case 'go-template': {
      if (template === undefined) throw new UsageError('-out=go-template needs -template');
      const { renderTemplate } = await import('../template/index.js');
      const rendered = renderTemplate(template, variable);
      if (!rendered.ok) throw new UsageError(`-template: ${rendered.error}`);
      output.out(rendered.value);
      return;
    }
    default:
      throw new UsageError(`-out=${format} is none of table, json, hcl, go-template, none`);
  }
}

function table(variable: Variable): string {
  const items = Object.entries(variable.Items).sort(([a], [b]) => (a < b ? -1 : 1));
  const facts = formatPairs([
    ['Namespace', variable.Namespace],
    ['Path', variable.Path],
    ['Create Time', formatTime(variable.CreateTime)],
    ...(variable.CreateTime === variable.ModifyTime
      ? []
      : [['Modify Time', formatTime(variable.ModifyTime)] as [string, string]]),
    ['Check Index', String(variable.ModifyIndex)],
  ]);
  return `${facts}\n\nItems\n${formatPairs(items)}`;
}
