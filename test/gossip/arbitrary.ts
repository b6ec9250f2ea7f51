import fc from 'fast-check';
import type { MemberInfo } from '../../lib/gossip/index.js';
import type { GossipMessage } from '../../lib/gossip/messages.js';
import { keyOf } from './machine.js';

// Mostly of the few members of a Solo, so that messages have something to do with each other.
const key = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 7 }).map(keyOf) },
  fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex')),
);
const incarnation = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 2 ** 47 }));
const seq = fc.integer({ min: 0, max: 0xffff_ffff });
const text = fc.string({ unit: 'grapheme', maxLength: 8 });
const info: fc.Arbitrary<MemberInfo> = fc.record({
  name: text,
  role: fc.constantFrom('server', 'client', 'operator'),
  addresses: fc.array(fc.record({ host: text, port: fc.integer({ min: 0, max: 65_535 }) }), { maxLength: 8 }),
  nat: fc.constantFrom('open', 'consistent', 'random', 'blocked', 'unknown'),
  relays: fc.boolean(),
  raft: fc.record({ state: fc.constantFrom('none', 'standby', 'voter', 'leader'), term: incarnation }),
  meta: fc.dictionary(text, text, { maxKeys: 4 }),
});
const entry = fc.record({
  key,
  state: fc.constantFrom('alive' as const, 'suspect' as const, 'dead' as const, 'left' as const),
  incarnation,
  ageMs: incarnation,
  info,
});
const of = <T extends GossipMessage['type']>(type: T): { type: fc.Arbitrary<T> } => ({ type: fc.constant(type) });
/** Any message that can be read. */
export const message: fc.Arbitrary<GossipMessage> = fc.oneof(
  fc.record({ ...of('ping'), seq }),
  fc.record({ ...of('ack'), seq }),
  fc.record({ ...of('nack'), seq }),
  fc.record({ ...of('pingRequest'), seq, target: key, waitMs: fc.integer({ min: 0, max: 65_535 }) }),
  fc.record({ ...of('alive'), key, incarnation, info }),
  fc.record({ ...of('suspect'), key, incarnation, by: key }),
  fc.record({ ...of('dead'), key, incarnation }),
  fc.record({ ...of('left'), key, incarnation }),
  fc.record({ ...of('tombstone'), key, bytes: fc.uint8Array({ maxLength: 300 }) }),
  fc.record({
    ...of('digest'),
    hashes: fc
      .integer({ min: 0, max: 8 })
      .chain((power) => fc.array(seq, { minLength: 2 ** power, maxLength: 2 ** power })),
  }),
  fc.record({
    ...of('state'),
    entries: fc.array(entry, { maxLength: 5 }),
    ask: fc.option(fc.constant({ buckets: 8, wanted: [0, 3, 7] })),
  }),
);
