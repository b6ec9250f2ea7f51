import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { clone } from '../../lib/client/artifact/git.js';

t.test('a password for git goes to its server, and shows in no argument', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'git-login-'));
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    asked.push(request.headers.authorization);
    response.statusCode = 404;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const trace = join(dir, 'trace');
  const { port } = server.address() as AddressInfo;
  const source = {
    fetcher: 'git' as const,
    url: `http://ann:s%21cret@127.0.0.1:${port}/x.git`,
    subdir: '',
    options: {},
  };
  const rest = { timeoutMs: 20_000, signal: new AbortController().signal, local: false };
  const told = clone(source, { into: join(dir, 'tree'), scratch: dir, env: { GIT_TRACE: trace }, ...rest });
  await t.rejects(told, /git exited with/);
  t.equal(asked[0], `Basic ${Buffer.from('ann:s!cret').toString('base64')}`);
  // Of each program that it starts, with its arguments.
  t.match(readFileSync(trace, 'utf8'), /remote-http/);
  t.notMatch(readFileSync(trace, 'utf8'), /s(%21|!)cret|ann:/);
  t.notOk(existsSync(join(dir, 'tree')));
});
