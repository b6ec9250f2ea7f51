import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

t.test('the package brings the supervisors, which run, and their sources', async (t) => {
  const cwd = fileURLToPath(new URL('../../../', import.meta.url));
  const answer = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [pack] = JSON.parse(answer.toString()) as { files: { path: string; mode: number }[] }[];
  const modes = new Map(pack?.files.map(({ path, mode }) => [path, mode]));
  const home = 'plugins/driver-raw-exec';
  for (const arch of ['x64', 'arm64']) {
    const mode = modes.get(`${home}/prebuilt/linux-${arch}/meshnomad-supervisor`) ?? 0;
    t.equal(mode & 0o111, 0o111, `linux-${arch} can be run`);
  }
  t.ok(modes.has(`${home}/supervisor/build.sh`), 'with its sources it can be compiled elsewhere');
  t.ok(modes.has(`${home}/supervisor/main.c`));
  t.ok(modes.has(`dist/${home}/index.js`));
});
