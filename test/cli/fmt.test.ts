import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { main } from '../../lib/cli/main.js';

async function run(...argv: string[]): Promise<{ code: number; out: string; error: string }> {
  const written = { out: '', error: '' };
  const sink = (to: 'out' | 'error') => ({
    write: (data: Uint8Array | string) => {
      written[to] += String(data);
      return true;
    },
    once: () => undefined,
  });
  const code = await main(['fmt', ...argv], { env: {}, stdout: sink('out'), stderr: sink('error') });
  return { code, ...written };
}

t.test('files are rewritten, listed, checked and printed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fmt-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const at = (name: string): string => join(folder, name);
  const write = (): void => {
    mkdirSync(at('sub'), { recursive: true });
    writeFileSync(at('good.nomad'), 'a = 1\n');
    writeFileSync(at('bad.hcl'), 'a=1\n');
    writeFileSync(at('other.txt'), 'a=1\n');
    writeFileSync(at('sub/deep.hcl'), 'b=1\n');
  };
  write();
  t.same(await run('-check', folder), { code: 1, out: `${at('bad.hcl')}\n`, error: '' }, '-check writes nothing');
  t.equal(readFileSync(at('bad.hcl'), 'utf8'), 'a=1\n');
  t.same(await run('-check', at('good.nomad')), { code: 0, out: '', error: '' });
  t.same(await run('-list=false', '-write=false', at('bad.hcl')), { code: 0, out: 'a = 1\n', error: '' });
  t.same(await run(folder), { code: 0, out: `${at('bad.hcl')}\n`, error: '' });
  t.equal(readFileSync(at('bad.hcl'), 'utf8'), 'a = 1\n');
  t.equal(readFileSync(at('sub/deep.hcl'), 'utf8'), 'b=1\n', 'subfolders need -recursive');
  t.same(await run('-recursive', folder), { code: 0, out: `${at('sub/deep.hcl')}\n`, error: '' });
  t.match(await run(at('other.txt')), { code: 1, error: /neither a \.nomad nor a \.hcl file/ });
  t.match(await run(at('nope')), { code: 1, error: /no file or folder at/ });
  writeFileSync(at('bad.hcl'), 'a = \n');
  t.match(await run(folder), { code: 1, error: /bad\.hcl:1,5/ });
  t.equal(readFileSync(at('bad.hcl'), 'utf8'), 'a = \n', 'what is not valid stays');
});
