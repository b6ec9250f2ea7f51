import fc from 'fast-check';
import t from 'tap';
import { checkInfo, MEMBER_BYTES_MAX } from '../../lib/gossip/index.js';
import {
  decodePacket,
  encodeMessage,
  joinPacket,
  PACKET_BYTES_HARD_MAX,
  packetsOf,
  TOMBSTONE_BYTES_MAX,
} from '../../lib/gossip/message-codec.js';
import { infoOf } from '../simulation/gossip/world.js';
import { message } from './arbitrary.js';

t.test('what is written is what is read', async () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), (messages) => {
      const packet = joinPacket(messages.map(encodeMessage));
      const read = decodePacket(packet);
      // Objects without a prototype, as the generator makes some, are told apart by nothing else here.
      return read.ok && JSON.stringify(read.value, bytesAsList) === JSON.stringify(messages, bytesAsList);
    }),
  );
});

function bytesAsList(_: string, value: unknown): unknown {
  return value instanceof Uint8Array ? [...value] : value;
}

t.test('bytes that are no packet are refused with a reason, whatever they are', async (t) => {
  let refused = 0;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const versioned = Uint8Array.of(1, ...bytes);
      for (const packet of [bytes, versioned]) if (!decodePacket(packet).ok) refused++;
    }),
  );
  t.ok(refused > 50);
  t.match(decodePacket(new Uint8Array(0)), { ok: false });
  t.match(decodePacket(Uint8Array.of(2)), { ok: false, error: /version 2/ });
  t.match(decodePacket(new Uint8Array(PACKET_BYTES_HARD_MAX + 1)), { ok: false, error: /at most/ });
});

t.test('a damaged packet is read or refused, and never costs more than its length', async () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 4 }),
      fc.nat(),
      fc.integer({ min: 0, max: 255 }),
      (messages, at, byte) => {
        const packet = joinPacket(messages.map(encodeMessage));
        packet[at % packet.length] = byte;
        const cut = packet.subarray(0, (at * 7) % (packet.length + 1));
        decodePacket(packet);
        decodePacket(cut);
      },
    ),
  );
});

t.test('messages of a later version, and later fields of known ones, are passed over', async (t) => {
  const ping = encodeMessage({ type: 'ping', seq: 7 });
  const longer = Uint8Array.of(ping[0] as number, 0, 6, ...ping.subarray(3), 99, 99);
  const unknown = Uint8Array.of(200, 0, 3, 1, 2, 3);
  t.strictSame(decodePacket(joinPacket([unknown, longer])), { ok: true, value: [{ type: 'ping', seq: 7 }] });
});

t.test('what one member says of itself has its limits', async (t) => {
  t.match(checkInfo(infoOf(1)), { ok: true });
  t.match(checkInfo({ ...infoOf(1), meta: { note: 'x'.repeat(MEMBER_BYTES_MAX) } }), {
    ok: false,
    error: /at most 1024/,
  });
  const addresses = Array.from({ length: 9 }, () => ({ host: 'h', port: 1 }));
  t.match(checkInfo({ ...infoOf(1), addresses }), { ok: false, error: /at most 8/ });
  const meta = Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`k${at}`, '']));
  t.match(checkInfo({ ...infoOf(1), meta }), { ok: false, error: /at most 16/ });
  const largest = { ...infoOf(1), meta: { note: 'x'.repeat(960) } };
  t.match(checkInfo(largest), { ok: true });
  const alive = encodeMessage({ type: 'alive', key: 'a'.repeat(64), incarnation: 1, info: largest });
  t.ok(alive.length < 1_150, 'the largest one still fits a packet');
});

t.test('no tombstone is larger than the limit', async (t) => {
  const packet = (length: number): Uint8Array =>
    joinPacket([encodeMessage({ type: 'tombstone', key: 'b'.repeat(64), bytes: new Uint8Array(length) })]);
  t.match(decodePacket(packet(TOMBSTONE_BYTES_MAX)), { ok: true });
  t.match(decodePacket(packet(TOMBSTONE_BYTES_MAX + 1)), { ok: false });
});

t.test('packets are filled one after another', async (t) => {
  const messages = [500, 500, 500, 1_300, 10].map((length) => new Uint8Array(length));
  t.strictSame(
    packetsOf(messages, 1_200).map(({ length }) => length),
    [1_001, 501, 1_301, 11],
    'one that is too large for any has its own',
  );
});
