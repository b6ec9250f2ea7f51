import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { readTwice } from '../../lib/cli/read-twice.js';

t.test('a content on which both parsers agree is remembered, one that neither can be asked about is not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'read-twice-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const env = { XDG_CACHE_HOME: folder };
  const lines = (): number => readFileSync(join(folder, 'meshnomad', 'read-twice'), 'utf8').split('\n').length;
  t.equal(await readTwice('a = 1\n', 'x', env), null);
  t.equal(lines(), 1);
  t.equal(await readTwice('a = 1\n', 'y', env), null);
  t.equal(lines(), 1, 'the name does not count');
  t.equal(await readTwice('a = 2\n', 'x', env), null);
  t.equal(lines(), 2);
  t.equal(await readTwice('a = 3\n', 'x', { XDG_CACHE_HOME: '/dev/null' }), null, 'a folder that is none is borne');
});
