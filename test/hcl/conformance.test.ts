import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import {
  attributesOf,
  blocksOf,
  type Diagnostic,
  evaluate,
  formatRange,
  jsonEncode,
  objectValue,
  parseHcl,
  STANDARD_FUNCTIONS,
  type Value,
} from '../../lib/hcl/index.js';

const DATA = '../shared/data/hcl-expressions.jsonl';

interface Case {
  id: number;
  job: string;
  expected?: string;
  error?: string;
}

/** The value of local.v as JSON, and what was wrong with the locals; each local sees the ones before it. */
function evaluateLocals(source: string): { json: string; diagnostics: Diagnostic[] } {
  const { body, diagnostics } = parseHcl(source, 'e.hcl');
  const found = [...diagnostics];
  const locals: Record<string, Value> = {};
  for (const block of blocksOf(body, 'locals')) {
    for (const { name, expression } of attributesOf(block.body)) {
      const variables = new Map([['local', objectValue(locals)]]);
      const result = evaluate(expression, { variables, functions: STANDARD_FUNCTIONS });
      if (diagnostics.length === 0) found.push(...result.diagnostics);
      locals[name] = result.value;
    }
  }
  return { json: locals['v'] ? jsonEncode(locals['v']) : '', diagnostics: found };
}

/** The places and summaries in Nomad's error that are about the locals: those about the job are consequences. */
function expectedPlaces({ job, error = '' }: Case): string[] {
  const jobLine = job.slice(0, job.indexOf('\njob ') + 1).split('\n').length;
  return [...error.matchAll(/(e\.hcl:(\d+),[\d,-]+): ([^;]+);/g)]
    .filter(([, , line]) => Number(line) < jobLine)
    .map(([, range, , summary]) => `${range}: ${summary}`);
}

const cases: Case[] = existsSync(DATA)
  ? readFileSync(DATA, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  : [];
const skip = cases.length === 0 ? `${DATA} is not there` : false;

t.test('expressions have the values that Nomad prints', { skip }, async (t) => {
  for (const { id, job, expected } of cases.filter((one) => one.expected !== undefined)) {
    const { json, diagnostics } = evaluateLocals(job);
    t.same(
      diagnostics.map(({ summary }) => summary),
      [],
      `${id} has no error`,
    );
    t.equal(json, expected, `${id}: ${job.slice(0, job.indexOf('\njob'))}`);
  }
});

t.test('errors of expressions are told where Nomad tells them', { skip }, async (t) => {
  const wrong = cases.filter((one) => one.error !== undefined);
  t.ok(wrong.length > 0);
  for (const one of wrong) {
    const places = evaluateLocals(one.job).diagnostics.map(
      ({ subject, summary }) => `${formatRange(subject)}: ${summary}`,
    );
    t.same(places, expectedPlaces(one), `${one.id}: ${one.error}`);
  }
});
