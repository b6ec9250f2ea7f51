import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { MUTANTS } from '../simulation/mutants/table.js';

const FOLDER = fileURLToPath(new URL('../../../test/raft/', import.meta.url));
const text = (file: string): string => readFileSync(`${FOLDER}${file}`, 'utf8');

/** What stands between backticks in a cell. */
const named = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);

/** The rows of the table under a heading, as cells. */
function rows(heading: string): string[][] {
  const [, section = ''] = text('README.md').split(`## ${heading}\n`);
  const [own = ''] = section.split('\n## ');
  const lines = own.split('\n').filter((line) => line.startsWith('| '));
  return lines.slice(1).map((line) => line.split('|').map((cell) => cell.trim()));
}

t.test('every rule of the index has a test, and every test and planted bug it names is there', async (t) => {
  const titles = new Set<string>();
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.test.ts'))) {
    for (const [, title = ''] of text(file).matchAll(/^t\.test\(\s*'([^']+)'/gm)) titles.add(title);
  }
  const bugs = new Set(MUTANTS.map(({ name }) => name));
  const rules = rows('Rules');
  t.ok(rules.length > 25);
  const listed = new Set<string>();
  for (const [, rule = '', tests, planted] of rules) {
    t.ok(named(tests).length > 0, rule);
    t.strictSame(
      named(tests).filter((title) => !titles.has(title)),
      [],
      `tests of: ${rule}`,
    );
    t.strictSame(
      named(planted).filter((bug) => !bugs.has(bug)),
      [],
      `bugs of: ${rule}`,
    );
    for (const title of named(tests)) listed.add(title);
  }
  const ofRules = [...titles].filter((title) => /^(figure 2|§)/.test(title));
  t.strictSame(
    ofRules.filter((title) => !listed.has(title)),
    [],
    'a test of a rule is found by it',
  );
});

t.test('every transcript stands beside its situation', async (t) => {
  const listed = rows('Situations').flatMap(([, , transcripts]) => named(transcripts));
  const there = readdirSync(`${FOLDER}data`).map((name) => name.replace(/\.txt$/, ''));
  t.strictSame(listed.sort(), there.sort());
});
