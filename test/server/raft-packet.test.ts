import t from 'tap';
import type { Packet } from '../../lib/server/raft-packet.js';
import { decodePacket, encodePacket, UNKNOWN_LIFE } from '../../lib/server/raft-packet.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';

const BETWEEN = { from: 'a', to: 'b' };
const PACKET: Packet = {
  commands: 11,
  life: { instance: '1234567890abcdef', starts: 300 },
  toLife: { instance: '00000000000000ff', starts: 1 },
  stranger: true,
  admitted: false,
  stamp: 123_456_789,
  echo: 0,
  tickMs: 50,
  epoch: 2,
  messages: [
    { ...BETWEEN, type: 'heartbeat', term: 3, commit: 900, round: 4 },
    { ...BETWEEN, type: 'vote', term: 4, pre: true, transfer: false, lastIndex: 9, lastTerm: 2 },
  ],
};

t.test('a packet comes out as it went in', async (t) => {
  t.strictSame(decodePacket(encodePacket(PACKET), BETWEEN), { ok: true, value: PACKET });
  const hello = { ...PACKET, toLife: UNKNOWN_LIFE, stranger: false, admitted: true, messages: [] };
  t.strictSame(decodePacket(encodePacket(hello), BETWEEN), { ok: true, value: hello });
});

t.test(
  'another version is named, and what is cut, changed or made up is refused or read as another packet',
  async (t) => {
    t.match(decodePacket(new Uint8Array([7, 7]), BETWEEN), { ok: false, error: /version 7 .* this server 1/ });
    t.notOk(decodePacket(new Uint8Array(0), BETWEEN).ok);
    const random = seededRandom(1);
    const whole = encodePacket(PACKET).slice();
    const ends: number[] = [];
    for (let length = 0; length < whole.length; length++) {
      if (decodePacket(whole.subarray(0, length), BETWEEN).ok) ends.push(length);
    }
    t.ok(ends.length <= 2, 'it may be cut between messages only');
    let refused = 0;
    for (let i = 0; i < 5000; i++) {
      const bytes = whole.slice();
      for (let n = 0; n <= randomInt(random, 4); n++) bytes[randomInt(random, bytes.length)] = randomInt(random, 256);
      if (!decodePacket(bytes, BETWEEN).ok) refused++;
      const noise = Uint8Array.from({ length: randomInt(random, 60) }, () => randomInt(random, 256));
      noise[0] = 1;
      if (!decodePacket(noise, BETWEEN).ok) refused++;
    }
    t.ok(refused > 2000, `${refused} refused`);
  },
);
