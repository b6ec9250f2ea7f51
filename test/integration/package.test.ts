// What people install: the tarball, in an empty directory, without any script of a package being run.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { eventually, ROOT } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { openTestnet } from '../support/testnet.js';

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

t.test(
  'npx founds a mesh and joins it from the tarball, on machines with nothing but Node',
  { timeout: 170_000 },
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'meshnomad-package-'));
    t.teardown(() => rmSync(dir, { recursive: true, force: true }));
    // The tree is built already, and others test what is in it.
    const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', dir], {
      cwd: ROOT,
    });
    const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
    const tarball = join(dir, filename);
    t.ok(statSync(tarball).size < TARBALL_BYTES_MAX, `${statSync(tarball).size} bytes`);
    const paths = new Set(files.map(({ path }) => path));
    for (const needed of ['dist/bin/meshnomad.js', 'nix/module.nix', 'nix/package.nix', 'nix/flake.nix', 'README.md'])
      t.ok(paths.has(needed), needed);
    t.notMatch([...paths].join('\n'), /\.test\.|\.tsbuildinfo|\.map$/m);

    // npx keeps what it unpacks for ever: what was fetched before is used, what is unpacked goes with the test.
    const cache = join(dir, 'cache');
    mkdirSync(cache);
    const { stdout: usual } = await run('npm', ['config', 'get', 'cache']);
    symlinkSync(join(usual.trim(), '_cacache'), join(cache, '_cacache'));
    // As on a machine where nobody has set anything up.
    const home = join(dir, 'home');
    mkdirSync(home);
    const { PATH } = process.env;
    const bare = {
      cwd: home,
      env: { PATH, HOME: home, npm_config_cache: cache, npm_config_update_notifier: 'false' },
    };
    const words = ['--yes', '--ignore-scripts', '--prefer-offline', `--package=${tarball}`, 'meshnomad'];
    const version = await run('npx', [...words, '-version'], bare);
    t.match(version.stdout, manifest.version);

    // The native parts are prebuilt: it finds the mesh and runs its agent without anything having been compiled.
    const testnet = await openTestnet();
    t.teardown(() => testnet.close());
    const nas = await Machine.make({ testnet, name: 'nas' });
    t.teardown(() => nas.dispose());
    await nas.start('init', '-name=home');
    const bootstrap = testnet.bootstrap.map(({ host, port }) => `-bootstrap=${host}:${port}`);
    const own = [`-data-dir=${join(home, 'data')}`, '-http-port=0', '-node=pi'];
    const pi = spawn('npx', [...words, 'join', '-', ...bootstrap, ...own], { ...bare, stdio: 'pipe', detached: true });
    t.teardown(() => pi.pid && process.kill(-pi.pid, 'SIGKILL'));
    let said = '';
    for (const pipe of [pi.stdout, pi.stderr]) {
      pipe.on('data', (chunk: Buffer) => {
        said += chunk;
      });
    }
    // What stands in the words of a command everybody on the machine can read.
    pi.stdin.end(await nas.invite());
    const isOver = (): boolean => said.includes('until Ctrl-C') || pi.exitCode !== null;
    await eventually('the first screen', () => isOver() || undefined);
    const screen = said.slice(0, said.indexOf('its log follows'));
    t.match(screen, /Joined the mesh "home" as pi \(client\) in [\d.]+ s/);
    t.match(screen, /^ +Mesh +home \(key [0-9a-f]{16}…\)$/m, 'what it joined');
    t.match(screen, /^ +This machine +pi, client$/m, 'which role');
    t.match(screen, /^ +Links +nas \(server\), (local network|direct), [\d.]+ ms$/m, 'how it is linked');
    t.ok(screen.split('\n').length <= 24, `${screen.split('\n').length} lines: one screen`);
  },
);
