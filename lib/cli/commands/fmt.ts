import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { formatDiagnostic, formatHcl, hasErrors, parseHcl } from '../../hcl/index.js';
import { ApiError } from '../api.js';
import type { Command, Context } from '../command.js';
import { readSource } from '../job-source.js';

export const command: Command = {
  usage: 'meshnomad fmt [options] [path …|-]',
  about: `Writes job and configuration files in their canonical form: two spaces a level, equals signs in one column. A path may
be a file or a folder, whose files .nomad and .hcl are taken; without a path that is the current folder. With - the text
comes from standard input and the result goes to standard output.`,
  flags: {
    check: { type: 'bool', help: 'Write nothing; exit with 1 when a file is not in canonical form.' },
    list: { type: 'bool', help: 'List the files that were not in canonical form; default true.' },
    recursive: { type: 'bool', help: 'Go into subfolders.' },
    write: { type: 'bool', help: 'Overwrite the files; default true. Without -list and -write the result is printed.' },
  },
  local: true,
  async run(context) {
    const { args, flags, output } = context;
    const stdin = args[0] === '-';
    const list = !stdin && (flags.optionalBool('list') ?? true);
    const write = !stdin && !flags.bool('check') && (flags.optionalBool('write') ?? true);
    const wish: Wish = { list, write, print: !list && !write, check: flags.bool('check') };
    let code = 0;
    for (const path of stdin ? ['-'] : args.length > 0 ? args : ['.']) {
      try {
        for (const file of filesAt(path, flags.bool('recursive'))) if (!formatFile(file, wish, context)) code = 1;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        output.error(error.message);
        code = 1;
      }
    }
    return code;
  },
};

interface Wish {
  readonly list: boolean;
  readonly write: boolean;
  readonly print: boolean;
  readonly check: boolean;
}

const EXTENSIONS = ['.nomad', '.hcl'];

function filesAt(path: string, recursive: boolean): string[] {
  if (path === '-') return [path];
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new ApiError(0, `no file or folder at ${path}`);
  if (found.isDirectory()) return filesIn(path, recursive);
  if (EXTENSIONS.includes(extname(path))) return [path];
  throw new ApiError(0, `${path} is neither a .nomad nor a .hcl file: only these are formatted`);
}

function filesIn(folder: string, recursive: boolean): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return recursive ? filesIn(path, recursive) : [];
      return entry.isFile() && EXTENSIONS.includes(extname(path)) ? [path] : [];
    });
}

/** False when the file is not valid, or not in canonical form although this was to be checked. */
function formatFile(path: string, wish: Wish, { output }: Context): boolean {
  const source = readSource(path);
  const { diagnostics } = parseHcl(source, path === '-' ? '<stdin>' : path);
  if (hasErrors(diagnostics)) {
    output.error(diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, source)).join('\n'));
    return false;
  }
  const formatted = formatHcl(source);
  const changed = formatted !== source;
  if (changed && wish.list) output.out(path);
  if (changed && wish.write) writeFileSync(path, formatted);
  if (wish.print) output.raw.out.write(formatted);
  return !(changed && wish.check);
}
