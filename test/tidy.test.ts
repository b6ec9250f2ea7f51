import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { ERRORS } from '../lib/structs/errors.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LINES_MAX = 500;

const text = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

const PRODUCT = [...sources('lib'), ...sources('bin'), ...sources('plugins')];
const FILES = [...PRODUCT, ...sources('test')];

t.test('every error code is documented, with its status and meaning, and none that does not exist', async (t) => {
  const rows = text('docs/errors.md')
    .split('\n')
    .filter((line) => line.startsWith('| `E_'))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  const documented = rows.map(([, code = '', status, meaning]) => [
    code.replaceAll('`', ''),
    { status: Number(status), meaning },
  ]);
  t.strictSame(Object.fromEntries(documented), ERRORS);
  t.ok(
    rows.every(([, , , , advice]) => advice),
    'each says what to do',
  );
});

t.test(`no source file has more than ${LINES_MAX} lines`, async (t) => {
  t.ok(PRODUCT.length > 0);
  // Tables of a wire format are long by nature.
  const long = PRODUCT.filter((file) => !file.endsWith('-codec.ts') && text(file).split('\n').length > LINES_MAX + 1);
  t.strictSame(long, []);
});

t.test('nothing is left to be done later', async (t) => {
  const marks = new RegExp(['TO', 'DO|FIX', 'ME|XX', 'X'].join(''));
  t.strictSame(
    FILES.filter((file) => marks.test(text(file))),
    [],
  );
});

t.test('only the faces of the program print', async (t) => {
  const silent = PRODUCT.filter((file) => !file.startsWith('bin/') && !file.startsWith('lib/cli/'));
  t.strictSame(
    silent.filter((file) => /\bconsole\.\w+\(/.test(text(file))),
    [],
  );
});

t.test('a file is named for the one thing in it', async (t) => {
  const names = FILES.map((file) => basename(file));
  t.strictSame(
    names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.d)?\.ts$/.test(name)),
    [],
    'in kebab-case',
  );
  t.strictSame(
    names.filter((name) => /(^|-)(utils?|helpers?|managers?|misc|common)(-|\.)/.test(name)),
    [],
    'and not for everything',
  );
});

t.test('every room of lib/ has its line in lib/README.md', async (t) => {
  const readme = text('lib/README.md');
  const rooms = readdirSync(join(ROOT, 'lib'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  t.strictSame(
    rooms.map(({ name }) => name).filter((name) => !readme.includes(`\`${name}/\``)),
    [],
  );
});
