// Runs the tests: node dist/test/run.js [--jobs N] [--timeout SECONDS] [NAME…]
// NAME is part of a path ("raft", "e2e/demo"). Pure tests share a process (importing tap costs 0.3 s), the folders of
// ALONE get one process a file. The last line is `N passed, N failed`; no test passed, a crash or a hang is a failure.
// What failed is run once more, with nothing beside it: real processes, kernels and NATs fail now and then for want of a busy
// machine's time. What fails twice has failed; what passes then is named as UNSTEADY, with how it failed: look at each, for what
// is no want of time may be a race in the product.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Parser, type Result } from 'tap-parser';

const ALONE = ['integration', 'e2e', 'simulation'];
const FILES_PER_GROUP = 12;
/** More than these that fail are no chance. */
const AGAIN_MAX = 5;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Outcome {
  name: string;
  files: string[];
  passed: number;
  failed: number;
  skipped: string[];
  report: string[];
}

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: 'string', default: String(Math.max(2, cpus().length)) },
    timeout: { type: 'string', default: '300' },
  },
});

// The sources are listed, not dist: a deleted test cannot live on as a stale compiled file.
function listTests(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return listTests(path);
    return entry.name.endsWith('.test.ts') ? [path] : [];
  });
}

function groups(files: string[]): string[][] {
  const together: string[] = [];
  const result: string[][] = [];
  for (const file of files.sort()) {
    if (ALONE.includes(file.split('/')[1] ?? '')) result.push([file]);
    else together.push(file);
  }
  for (let i = 0; i < together.length; i += FILES_PER_GROUP) result.unshift(together.slice(i, i + FILES_PER_GROUP));
  return result;
}

function runGroup(files: string[], timeoutMs: number): Promise<Outcome> {
  const compiled = files.map((file) => new URL(`../../dist/${file.replace(/\.ts$/, '.js')}`, import.meta.url).href);
  const name = files.length === 1 ? (files[0] as string) : `${files[0]} … ${files.at(-1)}`;
  const outcome: Outcome = { name, files, passed: 0, failed: 0, skipped: [], report: [] };
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--enable-source-maps', join(ROOT, 'dist/test/group.js'), ...compiled], {
      cwd: ROOT,
      env: { ...process.env, TAP: '1', TAP_TIMEOUT: String(timeoutMs / 1000) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let noise = '';
    let hung = false;
    const keep = (chunk: Buffer): void => {
      noise = (noise + chunk.toString()).slice(-20_000);
    };
    child.stderr.on('data', keep);
    const timer = setTimeout(() => {
      hung = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    const parser = new Parser((final) => {
      clearTimeout(timer);
      const done = (code: number | null): void => {
        if (hung) outcome.report.push(`no end after ${timeoutMs / 1000} s: killed`);
        else if (code !== 0 && outcome.failed === 0) outcome.report.push(`ended with code ${code}`);
        else if (!final.ok && outcome.failed === 0) outcome.report.push('incomplete output');
        if (outcome.report.length > 0 && outcome.failed === 0) outcome.failed = 1;
        if (outcome.failed > 0 && noise !== '') outcome.report.push(noise);
        resolve(outcome);
      };
      if (child.exitCode !== null || child.signalCode !== null) done(child.exitCode);
      else child.once('exit', done);
    });
    listen(parser, [], outcome);
    child.stdout.pipe(parser);
  });
}

/** A test() of the top level counts as one; what failed is told with its path of names. */
function listen(parser: Parser, path: string[], outcome: Outcome): void {
  parser.on('child', (child: Parser) => listen(child, [...path, child.name], outcome));
  parser.on('assert', (result: Result) => {
    if (path.length === 0) {
      if (result.skip) outcome.skipped.push(`${result.name}: ${String(result.skip)}`);
      else if (result.ok || result.todo) outcome.passed++;
      else outcome.failed++;
    }
    if (
      !result.ok &&
      !result.todo &&
      !result.skip &&
      result.diag &&
      !('failureType' in result.diag && path.length === 0)
    ) {
      outcome.report.push(`${[...path, result.name].join(' › ')}\n${JSON.stringify(result.diag, null, 2)}`);
    } else if (!result.ok && !result.todo && !result.skip && path.length === 0) {
      outcome.report.push(result.name);
    }
  });
  parser.on('bailout', (reason: string) => outcome.report.push(`bail out: ${reason}`));
}

const files = listTests('test').filter(
  (file) => positionals.length === 0 || positionals.some((part) => file.includes(part)),
);
const missing = files.filter((file) => !existsSync(join(ROOT, 'dist', file.replace(/\.ts$/, '.js'))));
if (missing.length > 0) throw new Error(`not compiled: ${missing.join(', ')}; run "npm run build"`);

const queue = groups(files);
const outcomes: Outcome[] = [];
const started = performance.now();
await Promise.all(
  Array.from({ length: Number(flags.jobs) }, async () => {
    for (let group = queue.shift(); group; group = queue.shift()) {
      const began = performance.now();
      const outcome = await runGroup(group, Number(flags.timeout) * 1000);
      outcomes.push(outcome);
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      console.log(`${outcome.failed > 0 ? 'FAIL' : 'ok  '} ${outcome.name} (${outcome.passed} passed, ${seconds} s)`);
    }
  }),
);

/** Runs what failed in a process of its own once more; gives how it failed first where it passes now. */
async function again(): Promise<Outcome[]> {
  const unsteady: Outcome[] = [];
  if (outcomes.filter(({ failed }) => failed > 0).length > AGAIN_MAX) return unsteady;
  for (const [i, first] of outcomes.entries()) {
    if (first.failed === 0) continue;
    const second = await runGroup(first.files, Number(flags.timeout) * 1000);
    outcomes[i] = second;
    if (second.failed === 0) unsteady.push(first);
    console.log(`${second.failed > 0 ? 'FAIL' : 'ok  '} ${second.name} once more (${second.passed} passed)`);
  }
  return unsteady;
}

const unsteady = await again();
const total = (key: 'passed' | 'failed'): number => outcomes.reduce((sum, outcome) => sum + outcome[key], 0);
for (const { skipped } of outcomes) for (const line of skipped) console.log(`skip ${line}`);
for (const { name, report } of unsteady)
  console.log(`\nUNSTEADY ${name}: passed the second time\n${report.join('\n')}`);
for (const outcome of outcomes.filter(({ failed }) => failed > 0)) {
  console.log(`\nFAIL ${outcome.name}\n${outcome.report.join('\n')}`);
}
const skipped = outcomes.reduce((sum, outcome) => sum + outcome.skipped.length, 0);
if (skipped > 0 && process.env['MESHNOMAD_TEST_NO_SKIP'] === '1') {
  console.log('\nA test was skipped where none may be (see the lines that begin with "skip").');
  process.exitCode = 1;
}
if (total('failed') > 0 || total('passed') === 0) process.exitCode = 1;
console.log(`\n${((performance.now() - started) / 1000).toFixed(0)} s`);
console.log(`${total('passed')} passed, ${total('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
