// What people install: the tarball, in an empty directory, without any script of a package being run.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { eventually, ROOT } from '../support/mesh-agent.js';

const run = promisify(execFile);
const TARBALL_BYTES_MAX = 5_000_000;

interface Manifest {
  version: string;
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
}

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;

t.test('dependencies are exact: a tarball has no lock file', async (t) => {
  const ranges = { ...manifest.dependencies, ...manifest.optionalDependencies };
  for (const [name, version] of Object.entries(ranges)) t.match(version, /^\d+\.\d+\.\d+$/, name);
});

t.test('npx runs the tarball in an empty directory', { timeout: 170_000 }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'meshnomad-package-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  // The tree is built already, and others test what is in it.
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', dir], { cwd: ROOT });
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  const tarball = join(dir, filename);
  t.ok(statSync(tarball).size < TARBALL_BYTES_MAX, `${statSync(tarball).size} bytes`);
  const paths = new Set(files.map(({ path }) => path));
  for (const needed of ['dist/bin/meshnomad.js', 'nix/module.nix', 'nix/package.nix', 'nix/flake.nix', 'README.md'])
    t.ok(paths.has(needed), needed);
  t.notMatch([...paths].join('\n'), /\.test\.|\.tsbuildinfo|\.map$/m);

  const empty = join(dir, 'empty');
  mkdirSync(empty);
  // npx keeps what it unpacks for ever: what was fetched before is used, what is unpacked goes with the test.
  const cache = join(dir, 'cache');
  mkdirSync(cache);
  const { stdout: usual } = await run('npm', ['config', 'get', 'cache']);
  symlinkSync(join(usual.trim(), '_cacache'), join(cache, '_cacache'));
  const env = { ...process.env, npm_config_cache: cache, npm_config_update_notifier: 'false' };
  const npx = (...args: string[]): Promise<{ stdout: string }> =>
    run('npx', ['--yes', '--ignore-scripts', '--prefer-offline', `--package=${tarball}`, 'meshnomad', ...args], {
      cwd: empty,
      env,
    });
  const version = await npx('-version');
  t.match(version.stdout, manifest.version);

  // The native parts are prebuilt: a mesh is founded, and the agent in it runs, without anything having been compiled.
  const args = ['--yes', '--ignore-scripts', '--prefer-offline', `--package=${tarball}`, 'meshnomad', 'init', '-json'];
  const options = ['-bootstrap=none', '-http-port=0', `-data-dir=${join(dir, 'data')}`];
  const agent = spawn('npx', [...args, ...options], {
    cwd: empty,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  t.teardown(() => agent.pid && process.kill(-agent.pid, 'SIGKILL'));
  let said = '';
  agent.stdout.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  await eventually('the first screen', () => said.includes('"Step":"started"') || agent.exitCode !== null || undefined);
  t.match(said, /"Step":"founded"/);
  t.match(said, /"Step":"started"/);
});
