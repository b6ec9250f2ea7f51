import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { parse as parseWithGo } from '@cdktn/hcl2json';
import fc from 'fast-check';
import hcl2 from 'hcl2-parser';
import t from 'tap';
import { diagnosticLine, hasErrors, parseHcl } from '../../lib/hcl/index.js';
import { seededRandom } from '../../lib/util/random.js';

const CASES = '../shared/data/nomad-jobs/cases';

/** HashiCorp's messages, or null when it accepts. */
async function goErrors(source: string): Promise<string | null> {
  try {
    await parseWithGo('e.hcl', source);
    return null;
  } catch (cause) {
    const message = String((cause as Error).message ?? cause);
    // What it understands but cannot show as JSON is no error of the file.
    return message.includes('parse config') ? message : null;
  }
}

const accepts = (source: string): boolean => !hasErrors(parseHcl(source, 'e.hcl').diagnostics);

t.test(
  'both of HashiCorp’s parsers and ours accept the same job files',
  { skip: !existsSync(CASES) && `${CASES} is not there` },
  async (t) => {
    const names = readdirSync(CASES).filter((name) => name.endsWith('.hcl'));
    t.ok(names.length > 50);
    for (const name of names) {
      const source = readFileSync(`${CASES}/${name}`, 'utf8');
      const go = await goErrors(source);
      t.equal(accepts(source), go === null, `${name}: ${go ?? 'accepted'}`);
      // The older parser has no shape for some files that are valid, so only its consent counts.
      if (hcl2.parseToObject(source)[1] === null) t.ok(accepts(source), `${name}: hcl2-parser accepts it`);
    }
  },
);

const pieces = [
  ...[
    'a',
    'for ',
    ' in ',
    'if ',
    'x',
    'true',
    ' = ',
    ' = ',
    '\n',
    '\n',
    ' ',
    '"',
    '"',
    '${',
    '%{',
    '}',
    '~}',
    '{',
    '[',
    ']',
    '(',
    ')',
  ],
  ...[
    ',',
    '.',
    '*',
    '...',
    '=>',
    ' ? ',
    ' : ',
    '==',
    '&&',
    '!',
    '-',
    ' + ',
    '1',
    '2.5',
    '# c',
    '<<EOT\n',
    '\nEOT\n',
    '\\n',
    '$${',
    'é',
    'f(',
    'b {',
  ],
];
const soup = fc.array(fc.constantFrom(...pieces), { maxLength: 14 }).map((parts) => `${parts.join('')}\n`);
const tail = fc.array(fc.constantFrom(...pieces), { maxLength: 10 }).map((parts) => `a = ${parts.join('')}\n`);

t.test('our first error is HashiCorp’s first error on generated text', async (t) => {
  let valid = 0;
  await fc.assert(
    fc.asyncProperty(fc.oneof(soup, tail), async (source) => {
      const go = await goErrors(source);
      const [ours] = parseHcl(source, 'e.hcl').diagnostics;
      if (go === null) valid++;
      if ((go === null) !== (ours === undefined))
        throw new Error(
          `${JSON.stringify(source)}: ours ${ours ? diagnosticLine(ours) : 'accepts'}, theirs ${go ?? 'accepts'}`,
        );
      // There, an index without a closing bracket is told behind it, at a place that has nothing to do with it.
      if (ours && go && !ours.summary.startsWith('Missing close bracket') && !go.includes(diagnosticLine(ours)))
        throw new Error(`${JSON.stringify(source)}: ours ${diagnosticLine(ours)}, theirs ${go}`);
    }),
    { numRuns: 1500 },
  );
  t.ok(valid > 20, `${valid} of them were valid`);
});

t.test(
  'a job file with a piece taken out, doubled or put in is judged alike',
  { skip: !existsSync(CASES) && `${CASES} is not there` },
  async (t) => {
    const random = seededRandom(7);
    const int = (below: number): number => Math.floor(random.next() * below);
    for (const name of readdirSync(CASES).filter((file) => file.endsWith('.hcl'))) {
      const source = readFileSync(`${CASES}/${name}`, 'utf8');
      const at = int(source.length);
      const length = 1 + int(12);
      const put = ['', source.slice(at, at + length).repeat(2), pieces[int(pieces.length)] as string][int(3)] as string;
      const mutated = source.slice(0, at) + put + source.slice(at + length);
      const go = await goErrors(mutated);
      const ours = parseHcl(mutated, 'e.hcl').diagnostics.find(({ severity }) => severity === 'error');
      const where = `${name} at ${at}: ${JSON.stringify(put)}`;
      t.equal(ours === undefined, go === null, `${where}: ours ${ours && diagnosticLine(ours)}, theirs ${go}`);
      if (ours && go && !ours.summary.startsWith('Missing close bracket'))
        t.ok(go.includes(diagnosticLine(ours)), `${where}: ours ${diagnosticLine(ours)}, theirs ${go}`);
    }
  },
);
