import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { type FunctionTable, type HclHost, hostFunctions, STANDARD_FUNCTIONS } from '../hcl/index.js';
import { err, ok, type Result } from '../util/result.js';

/** The functions of job files with those that need a machine: this one's files, seen from the folder where we are. */
export function cliFunctions(folder: string = process.cwd()): FunctionTable {
  return new Map([...STANDARD_FUNCTIONS, ...hostFunctions(cliHost(folder), () => STANDARD_FUNCTIONS)]);
}

/** A host that reads the files of the user who calls us. */
export function cliHost(folder: string): HclHost {
  const at = (path: string): Result<string, string> => {
    const expanded = expandHome(path);
    return expanded.ok ? ok(resolve(folder, expanded.value)) : err(`failed to expand ~: ${expanded.error}`);
  };
  return {
    random: (size) => new Uint8Array(randomBytes(size)),
    files: {
      read: (path) => withPath(at(path), readBytes),
      exists: (path) => withPath(at(path), isRegular),
      glob: (root, pattern) => globFiles(resolve(folder, root), pattern),
      // As there: from where the command runs, not from where the job file lies.
      absolute: (path) => resolve(path),
      expand: expandHome,
    },
  };
}

function withPath<T>(path: Result<string, string>, use: (path: string) => Result<T, string>): Result<T, string> {
  return path.ok ? use(path.value) : path;
}

/** A file larger than a job may be has no business in one. */
const FILE_SIZE_MAX = 64_000_000;

function readBytes(path: string): Result<Uint8Array, string> {
  try {
    if (statSync(path).size > FILE_SIZE_MAX) return err(`${path} is larger than ${FILE_SIZE_MAX} bytes`);
    return ok(new Uint8Array(readFileSync(path)));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return err(code === 'ENOENT' ? `no file exists at ${path}` : `failed to read ${path}`);
  }
}

function isRegular(path: string): Result<boolean, string> {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found) return ok(false);
    return found.isFile() ? ok(true) : err(`${path} is not a regular file`);
  } catch {
    return err(`failed to stat ${path}`);
  }
}

/** `~` and `~/…` only, as elsewhere there. */
function expandHome(path: string): Result<string, string> {
  if (!path.startsWith('~')) return ok(path);
  if (path.length > 1 && path.charAt(1) !== '/') return err('cannot expand user-specific home dir');
  return ok(join(homedir(), path.slice(1)));
}

const FILES_MAX = 10_000;

function globFiles(root: string, pattern: string): Result<string[], string> {
  const wanted = globPattern(join(root, pattern));
  if (!wanted) return err(`failed to glob pattern (${pattern}): syntax error in pattern`);
  const base = join(root, fixedPart(pattern));
  const found: string[] = [];
  const folders = [base];
  let seen = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const { name, path, isFolder } of entriesOf(folder)) {
      if (++seen > FILES_MAX) return err(`there are more than ${FILES_MAX} files below ${base}`);
      // A link to a folder is not followed: it could lead in a circle.
      if (isFolder) folders.push(path);
      else if (wanted.test(path) && statSync(path, { throwIfNoEntry: false })?.isFile())
        found.push(relative(root, join(folder, name)));
    }
  }
  return ok(found);
}

function entriesOf(folder: string): { name: string; path: string; isFolder: boolean }[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).map((entry) => ({
      name: entry.name,
      path: join(folder, entry.name),
      isFolder: entry.isDirectory(),
    }));
  } catch {
    return [];
  }
}

/** The folders of a pattern that come before its first wildcard. */
function fixedPart(pattern: string): string {
  const parts = pattern.split('/');
  const wild = parts.findIndex((part) => /[*?[{\\]/.test(part));
  return parts.slice(0, wild < 0 ? parts.length - 1 : wild).join('/') || '.';
}

/** `*` and `?` within a name, `**` over folders, `[…]`, `{a,b}`, `\` before a character; null when it is malformed. */
function globPattern(pattern: string): RegExp | null {
  let braces = 0;
  const source = pattern.replace(/\*\*\/|\*\*|\*|\?|\[[!^]?[^\]/]+\]|\\.|[\s\S]/gu, (token) => {
    if (token === '**/') return '(?:[^/]+/)*';
    if (token === '**') return '.*';
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    if (token.length > 2 && token.startsWith('[')) return token.replace(/^\[[!^]/, '[^').replace(/\\$/, '\\\\');
    if (token === '{') braces++;
    if (token === '{') return '(?:';
    if (token === '}' && braces > 0) {
      braces--;
      return ')';
    }
    if (token === ',' && braces > 0) return '|';
    return (token.length > 1 && token.startsWith('\\') ? token.slice(1) : token).replace(
      /[\\^$.*+?()[\]{}|/]/g,
      '\\$&',
    );
  });
  if (braces > 0) return null;
  try {
    return new RegExp(`^${source}$`, 'su');
  } catch {
    return null;
  }
}
