import fc from 'fast-check';
import t from 'tap';
import { message } from './arbitrary.js';
import { keyOf, Solo } from './machine.js';

/** What may happen to a machine in the hands of fools and rogues. */
const event = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('hear' as const), from: fc.integer({ min: 0, max: 9 }), message }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 5_000 }) }) },
  fc.record({ kind: fc.constant('sleep' as const), ms: fc.integer({ min: 0, max: 60_000 }) }),
  fc.record({ kind: fc.constant('bury' as const), index: fc.integer({ min: 0, max: 9 }) }),
  fc.record({ kind: fc.constant('exhume' as const), index: fc.integer({ min: 0, max: 9 }) }),
  fc.record({ kind: fc.constant('linked' as const), index: fc.integer({ min: 0, max: 9 }) }),
  fc.record({ kind: fc.constant('leave' as const) }),
);

t.test('whatever others say: it stands, counts upwards, keeps what it reserves, and never spins', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 7 }), fc.array(event, { maxLength: 60 }), (others, events) => {
      const solo = new Solo(others);
      let incarnation = 0;
      for (const one of events) {
        happen(solo, one);
        const self = solo.gossip.member(keyOf(0));
        if (self === undefined || self.incarnation < incarnation) return false;
        incarnation = self.incarnation;
        const reserved = solo.effects.findLast((effect) => effect.type === 'reserve');
        if (reserved?.type !== 'reserve' || reserved.incarnation < incarnation) return false;
        if (solo.gossip.present < 0 || solo.gossip.awareness > 7) return false;
        // After a tick nothing is due at once again: the shell would turn for ever.
        solo.sleep(0);
        if (solo.gossip.dueAt(solo.now) <= solo.now) return false;
      }
      return solo.effects.every((effect) => effect.type !== 'send' || effect.data.length <= 65_536);
    }),
    { numRuns: 150 },
  );
});

function happen(solo: Solo, one: typeof event extends fc.Arbitrary<infer T> ? T : never): void {
  switch (one.kind) {
    case 'hear':
      solo.hear(one.from, one.message);
      return;
    case 'pass':
      solo.pass(one.ms);
      return;
    case 'sleep':
      solo.sleep(one.ms);
      return;
    case 'leave':
      solo.do({ type: 'leave' });
      return;
    case 'bury':
      solo.do({ type: 'bury', key: keyOf(one.index), bytes: Uint8Array.of(1, 2) });
      return;
    case 'exhume':
    case 'linked':
      solo.do({ type: one.kind, key: keyOf(one.index) });
  }
}
