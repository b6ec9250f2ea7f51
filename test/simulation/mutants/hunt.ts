import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Mutant } from './table.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
/** What the simulation and the tests of raft and storage are made of. */
const ROOMS = [
  'lib/raft',
  'lib/server',
  'lib/state',
  'lib/storage',
  'lib/structs',
  'lib/util',
  'test/raft',
  'test/server',
  'test/storage',
  'test/conformance',
  'test/simulation/consensus',
  'test/support',
  'test/group.js',
];
/** Of a bug that the simulation cannot see: files whose tests must fail. */
const TESTS: Record<string, readonly string[]> = {
  raft: ['election', 'membership', 'read-index', 'replication', 'paper', 'thesis', 'scripts'].map(
    (name) => `raft/${name}`,
  ),
  storage: ['raft-log', 'stable', 'snapshots'].map((name) => `storage/${name}`),
  server: ['consensus', 'consensus-group', 'consensus-durable', 'consensus-pending'].map((name) => `server/${name}`),
};
/** Tests that take longer never end. */
const TESTS_MS = 90_000;
/** So long until the first seed is told, on a machine that has much to do. */
const BEGIN_MS = 60_000;
/** A seed that takes longer never ends: one takes some hundredths of a second. */
const SEED_MS = 10_000;
/** The simulation looks so long at least, and longer when it is to tell many seeds. */
const LOOK_MIN_MS = 20_000;
const LOOK_MS_PER_SEED = 60;

export type Catch =
  | { readonly by: 'simulation'; readonly seed: number; readonly message: string }
  | { readonly by: 'test'; readonly name: string }
  | { readonly by: 'nobody' };

/** Nothing planted: a copy that works must not be taken for one that was caught. */
export const CONTROL: readonly Mutant[] = ['raft/raft', 'storage/raft-log'].map((file) => ({
  name: `nothing, in ${file}`,
  file,
  from: '//# sourceMappingURL',
  to: '//# sourceMappingURL',
}));

/** Plants a bug in a copy of the compiled program and looks for who notices: the simulation first, then the tests. */
export async function hunt(mutant: Mutant, seedsMax: number): Promise<Catch> {
  const folder = plant(mutant);
  try {
    const found = await simulateIn(folder, mutant, seedsMax);
    if (found !== null) return found;
    const name = await testIn(folder, TESTS[mutant.file.split('/')[0] as string] ?? []);
    if (name !== null) return { by: 'test', name };
    return { by: 'nobody' };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A copy of what the bug can touch. Throws when the text to replace is not there exactly once: the table is out of date. */
function plant({ name, file, from, to }: Mutant): string {
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-mutant-'));
  for (const room of ROOMS) cpSync(join(ROOT, 'dist', room), join(folder, 'dist', room), { recursive: true });
  for (const shared of ['node_modules', 'test', 'package.json']) symlinkSync(join(ROOT, shared), join(folder, shared));
  const path = join(folder, 'dist/lib', `${file}.js`);
  const parts = readFileSync(path, 'utf8').split(from);
  if (parts.length !== 2) {
    rmSync(folder, { recursive: true });
    throw new Error(`mutant "${name}": its text occurs ${parts.length - 1} times in ${file}, not once`);
  }
  writeFileSync(path, parts.join(to));
  return folder;
}

/** Raft's rules are tried on the machine alone, which is quicker; the rest on all of consensus. */
const SIMULATIONS: Record<string, { readonly module: string; readonly call: string }> = {
  raft: { module: 'dist/test/raft/simulate.js', call: 'simulate' },
  server: { module: 'dist/test/simulation/consensus/story.js', call: 'tellStory' },
};

async function simulateIn(folder: string, { name, file }: Mutant, seedsMax: number): Promise<Catch | null> {
  const simulation = SIMULATIONS[file.split('/')[0] as string];
  if (simulation === undefined) return null;
  const { module, call } = simulation;
  const lookMs = Math.max(LOOK_MIN_MS, seedsMax * LOOK_MS_PER_SEED);
  // Each seed is named before it is told: of one that never ends it is known which it was. On a slow machine fewer are told.
  const script = `
    import { ${call} } from ${JSON.stringify(join(folder, module))};
    for (let seed = 1; seed <= ${seedsMax} && performance.now() < ${lookMs}; seed++) {
      console.log(JSON.stringify({ seed, message: 'it never ends' }));
      try {
        await ${call}(seed);
      } catch (error) {
        console.log(JSON.stringify({ seed, message: error.message.split('\\n')[0] }));
        process.exit(1);
      }
    }`;
  const args = ['--input-type=module', '-e', script];
  const { code, output } = await run(folder, args, { beginMs: BEGIN_MS, silenceMs: SEED_MS });
  if (code === 0) return null;
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  if (last === '') throw new Error(`the simulation of "${name}" ended with code ${code} before it began`);
  const { seed, message } = JSON.parse(last) as { seed: number; message: string };
  return { by: 'simulation', seed, message };
}

/** Name of the first test that fails; null when all pass. */
async function testIn(folder: string, files: readonly string[]): Promise<string | null> {
  const urls = files.map((file) => pathToFileURL(join(folder, 'dist/test', `${file}.test.js`)).href);
  const args = [join(folder, 'dist/test/group.js'), ...urls];
  const { code, output } = await run(folder, args, { beginMs: TESTS_MS });
  if (code === 0) return null;
  if (code === null) return 'the tests never end';
  return /^not ok \d+ - (.*?)(?: #.*)?$/m.exec(output)?.[1] ?? `the tests end with code ${code}`;
}

/** Code is null when it had to be ended: after so long, or with `silenceMs` so long after the last it said. */
function run(
  cwd: string,
  args: readonly string[],
  { beginMs, silenceMs }: { beginMs: number; silenceMs?: number },
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd,
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, TAP: '1' },
    });
    let output = '';
    const end = (): boolean => child.kill('SIGKILL');
    let timer = setTimeout(end, beginMs);
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (silenceMs === undefined) return;
      clearTimeout(timer);
      timer = setTimeout(end, silenceMs);
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}
