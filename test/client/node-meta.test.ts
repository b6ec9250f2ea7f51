import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { NodeMeta } from '../../lib/client/node-meta.js';
import { createLog } from '../../lib/util/log.js';

function place(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'node-meta-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function opened(stateDir: string | null, fixed: Record<string, string> = {}) {
  const told = { changes: 0, errors: 0 };
  const meta = new NodeMeta({
    stateDir,
    fixed: () => fixed,
    onChange: () => {
      told.changes++;
    },
    log: createLog(({ level }) => {
      if (level === 'error') told.errors++;
    }),
  });
  await meta.open();
  return { meta, told };
}

t.test('what is given while it runs stands over the configuration, and is there after a restart', async (t) => {
  const dir = place(t);
  const { meta, told } = await opened(dir, { rack: 'r1', zone: 'a' });
  t.same(await meta.apply({ rack: 'r2', 'gpu.role': 'train', zone: null, nothing: null }), {
    Meta: { rack: 'r2', 'gpu.role': 'train' },
    Dynamic: { rack: 'r2', 'gpu.role': 'train', zone: null },
    Static: { rack: 'r1', zone: 'a' },
  });
  t.equal(told.changes, 1);
  await meta.apply({ rack: 'r2' });
  t.equal(told.changes, 1, 'no change, nothing told');
  const again = await opened(dir, { rack: 'r1', zone: 'b', more: 'x' });
  t.same(again.meta.merged, { rack: 'r2', 'gpu.role': 'train', more: 'x' });
  await again.meta.apply({ 'gpu.role': null });
  t.same(again.meta.read().Dynamic, { rack: 'r2', zone: null }, 'what is nowhere else is forgotten');
});

t.test('changes at the same time are all there', async (t) => {
  const dir = place(t);
  const { meta } = await opened(dir);
  await Promise.all(Array.from({ length: 20 }, (_, i) => meta.apply({ [`k${i}`]: String(i) })));
  t.equal(Object.keys((await opened(dir)).meta.merged).length, 20);
});

t.test('keys, values and amounts that cannot be are refused, and change nothing', async (t) => {
  const dir = place(t);
  const { meta, told } = await opened(dir);
  for (const [change, message] of [
    [{ 'a b': 'x' }, /metadata key "a b"/],
    [{ '': 'x' }, /metadata key ""/],
    [{ '.a': 'x' }, /metadata key ".a"/],
    [{ ['k'.repeat(129)]: 'x' }, /128 at most/],
    [{ a: 1 }, /metadata a must be a string/],
    [[1], /must be an object/],
    [null, /must be an object/],
    [{ a: 'x'.repeat(70_000) }, /65536 characters/],
  ] as const) {
    await t.rejects(meta.apply(change), { code: 'E_BAD_REQUEST', message });
  }
  t.same(meta.merged, {});
  t.equal(told.changes, 0);
  t.ok(
    await meta.apply(JSON.parse('{"__proto__":"x"}')).then(
      () => true,
      () => true,
    ),
  );
  t.equal(({} as { x?: string }).x, undefined);
});

t.test('a file that is broken is told, and the agent starts', async (t) => {
  const dir = place(t);
  writeFileSync(join(dir, 'node-meta.json'), '{broken');
  const { meta, told } = await opened(dir, { a: 'b' });
  t.equal(told.errors, 1);
  t.same(meta.merged, { a: 'b' });
  await meta.apply({ c: 'd' });
  t.equal(readFileSync(join(dir, 'node-meta.json'), 'utf8'), '{"c":"d"}');
});

t.test('an agent that keeps nothing keeps it while it runs', async (t) => {
  const { meta } = await opened(null);
  await meta.apply({ a: 'b' });
  t.same(meta.merged, { a: 'b' });
});
