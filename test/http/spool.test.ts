import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import t from 'tap';
import { Spool } from '../../lib/http/spool.js';

const digestOf = async (chunks: AsyncIterable<Uint8Array>): Promise<{ sum: string; bytes: number }> => {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { sum: hash.digest('hex'), bytes };
};

for (const chunks of [0, 3, 150, 3000]) {
  t.test(`${chunks} chunks come back as they went in, and leave nothing behind`, async (t) => {
    const own = (): string[] => readdirSync(tmpdir()).filter((name) => /^meshnomad-[0-9a-f-]{36}$/.test(name));
    const before = own();
    const spool = new Spool();
    t.teardown(() => spool.close());
    const hash = createHash('sha256');
    for (let i = 0; i < chunks; i++) {
      const chunk = Buffer.alloc(1 + ((i * 7919) % 60_000), i % 251);
      hash.update(chunk);
      await spool.add(chunk);
    }
    const sum = hash.digest('hex');
    t.same(await digestOf(spool.read()), { sum, bytes: spool.bytes });
    t.same(await digestOf(spool.read()), { sum, bytes: spool.bytes }, 'as often as wanted');
    const files = own().filter((name) => !before.includes(name));
    t.same(files, [], 'the file has no name');
  });
}
