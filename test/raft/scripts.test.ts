import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Script } from './script.js';

/**
 * Each file of data/ is a script with its transcript: lines that begin with "> " are commands (see script.ts), what stands
 * between them is what happened. MESHNOMAD_REWRITE=1 writes the transcripts anew: read the difference before you commit it.
 */
const FOLDER = fileURLToPath(new URL('../../../test/raft/data/', import.meta.url));
const REWRITE = process.env['MESHNOMAD_REWRITE'] === '1';

function replay(text: string): string {
  const script = new Script();
  const out: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('#') || (line === '' && out.at(-1) !== '')) out.push(line);
    if (!line.startsWith('> ')) continue;
    out.push(line, ...script.run(line.slice(2)).map((said) => `  ${said}`));
  }
  return out.join('\n');
}

for (const name of readdirSync(FOLDER).sort()) {
  const path = `${FOLDER}${name}`;
  const text = readFileSync(path, 'utf8');
  const [title = ''] = text.split('\n');
  t.test(`${name}: ${title.replace(/^# /, '')}`, async (t) => {
    const now = replay(text);
    if (REWRITE) writeFileSync(path, now);
    else t.equal(now, text, `${name} goes as written`);
    t.match(now, /\n {2}\S/, 'something happens');
  });
}
