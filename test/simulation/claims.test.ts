import t from 'tap';
import { seedsFromEnvironment } from './claims/seeds.js';
import { ClaimWorld, type Options, type Outcome } from './claims/world.js';

const MODES = [
  'single-node-writer',
  'multi-node-single-writer',
  'single-node-reader-only',
  'multi-node-multi-writer',
] as const;

/** Every seed in one of the modes, with and without a controller in turn. */
function play(
  seeds: Iterable<number>,
  broken?: Options['broken'],
): { failed: Outcome[]; counts: Record<string, number> } {
  const failed: Outcome[] = [];
  const counts: Record<string, number> = {};
  for (const seed of seeds) {
    const accessMode =
      seed % 2 === 0 ? 'single-node-writer' : (MODES[(seed >> 1) % MODES.length] ?? 'single-node-writer');
    const outcome = new ClaimWorld({
      seed,
      accessMode,
      // Of a bit that has no say in the mode: each mode with and without.
      controller: (seed >> 3) % 2 === 0,
      ...(broken && { broken }),
    }).run();
    if (outcome.violation !== '') failed.push(outcome);
    if (broken && failed.length > 0) break;
    for (const [what, count] of Object.entries(outcome.counts)) counts[what] = (counts[what] ?? 0) + count;
  }
  return { failed, counts };
}

t.test('whatever fails, and in whatever order, there are never two writers, and nothing stays stuck', async (t) => {
  const { failed, counts } = play(seedsFromEnvironment());
  t.same(
    failed.map(({ violation }) => violation),
    [],
  );
  const happened = [
    'partition',
    'agent crash',
    'agent restart',
    'node loss',
    'node lost for good',
    'node back',
    'leader loss',
    'plugin crash',
    'message late',
    'stop',
    'claim refused',
    'taken by force',
    'late grant refused',
    'late detach refused',
    'stopped by lease',
    'node-detached by node',
    'node-detached by lease',
    'controller-detached',
  ];
  for (const what of happened) t.ok((counts[what] ?? 0) > 10, `${what}: ${counts[what] ?? 0} times`);
});

for (const broken of ['lease', 'fence', 'early', 'covers', 'force'] as const) {
  t.test(`a world without the rule "${broken}" is found out`, async (t) => {
    const { failed } = play(
      Array.from({ length: 3_000 }, (_, i) => i),
      broken,
    );
    t.ok(failed.length > 0, failed[0]?.violation ?? 'nobody noticed');
  });
}
