import { randomBytes } from 'node:crypto';
import t from 'tap';
import {
  discoveryDays,
  discoveryTopic,
  encodeInvite,
  type Invite,
  inviteKey,
  parseInvite,
} from '../../lib/transport/invite.js';
import { decodeZBase32, encodeZBase32 } from '../../lib/transport/z-base-32.js';
import { seededRandom } from '../../lib/util/random.js';
import { DAY_MS, NOW, newKey } from './mesh-world.js';

const invite = (changes: Partial<Invite> = {}): Invite => ({
  mesh: newKey().publicKey,
  discoverySecret: new Uint8Array(randomBytes(32)),
  seed: new Uint8Array(randomBytes(16)),
  server: newKey().publicKey,
  role: 'client',
  needsApproval: false,
  expiresAtMs: NOW,
  hints: [],
  bootstrap: 'public',
  ...changes,
});

t.test('an invite is read as it was written', async (t) => {
  const cases: Partial<Invite>[] = [
    {},
    { role: 'server', needsApproval: true },
    { role: 'operator' },
    { hints: [{ host: '192.168.1.20', port: 4649 }] },
    {
      hints: [
        { host: '192.168.1.20', port: 4649 },
        { host: '2001:db8:0:0:0:0:0:1', port: 65535 },
        { host: 'nas.example.org', port: 1 },
        { host: '10.0.0.1', port: 80 },
      ],
    },
    { bootstrap: [] },
    { hints: [{ host: '192.168.1.20', port: 4649 }], bootstrap: [{ host: 'dht.example.org', port: 49737 }] },
  ];
  for (const changes of cases) {
    const made = invite(changes);
    const text = encodeInvite(made);
    t.ok(text.length <= 320, `${text.length} characters`);
    const read = parseInvite(text);
    t.strictSame(read.ok ? read.value : read.error.message, made);
  }
});

t.test('short forms of IPv6 addresses are the address', async (t) => {
  const cases: [string, string][] = [
    ['::1', '0:0:0:0:0:0:0:1'],
    ['fe80::1%eth0', 'fe80:0:0:0:0:0:0:1'],
    ['2001:db8::', '2001:db8:0:0:0:0:0:0'],
    ['::ffff:192.0.2.1', '0:0:0:0:0:ffff:c000:201'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ];
  for (const [host, long] of cases) {
    const read = parseInvite(encodeInvite(invite({ hints: [{ host, port: 9 }] })));
    t.strictSame(read.ok ? read.value.hints : read.error.message, [{ host: long, port: 9 }]);
  }
});

t.test('capitals, blanks and line breaks do not matter', async (t) => {
  const made = invite();
  const text = encodeInvite(made);
  for (const form of [text.toUpperCase(), `  ${text.slice(0, 70)}\n  ${text.slice(70)}\r\n`]) {
    const read = parseInvite(form);
    t.strictSame(read.ok ? read.value : read.error.message, made);
  }
});

t.test('what is no invite is told apart', async (t) => {
  const text = encodeInvite(invite());
  const cases: [string, RegExp][] = [
    ['', /nothing/],
    ['K10abc::server:def', /begins with mn1-/],
    ['mn1-', /cut off: 4 characters came, and it has 200 at least/],
    [text.slice(0, 100), /cut off/],
    [encodeInvite(invite({ hints: [{ host: '10.0.0.1', port: 1 }] })).slice(0, -1), /checksum does not fit/],
    [`${text}y`, /damaged/],
    [text.replace(/^.{49}./, (start) => `${start.slice(0, -1)}0`), /character 50, "0", is one that no invite has/],
    ['mn1-'.padEnd(10_000, 'y'), /too long/],
  ];
  for (const [given, message] of cases) {
    const read = parseInvite(given);
    t.match(read.ok ? 'good' : read.error.message, message, given.slice(0, 20));
    t.notMatch(read.ok ? '' : read.error.message, text.slice(20, 40), 'and the invite is not in the message');
  }
});

t.test('no wrong character passes the checksum', async (t) => {
  const text = encodeInvite(invite({ hints: [{ host: '10.0.0.1', port: 80 }] }));
  const random = seededRandom(5);
  for (let i = 0; i < 500; i++) {
    const at = 4 + Math.floor(random.next() * (text.length - 4));
    const letter = 'ybndrfg8ejkmcpqxot1uwisza345h769'[Math.floor(random.next() * 32)] as string;
    if (letter === text[at]) continue;
    t.notOk(parseInvite(text.slice(0, at) + letter + text.slice(at + 1)).ok);
  }
});

t.test('z-base-32 is one text for one list of bytes', async (t) => {
  const random = seededRandom(3);
  for (let size = 0; size < 40; size++) {
    const bytes = Uint8Array.from({ length: size }, () => Math.floor(random.next() * 256));
    t.strictSame(decodeZBase32(encodeZBase32(bytes)), bytes);
  }
  // The test vectors of the specification, whole bytes only.
  t.equal(encodeZBase32(Uint8Array.of(0xf0, 0xbf, 0xc7)), '6n9hq');
  t.equal(encodeZBase32(Uint8Array.of(0xd4, 0x7a, 0x04)), '4t7ye');
  t.equal(decodeZBase32('l'), undefined, 'no such letter');
  t.equal(decodeZBase32('yb'), undefined, 'bits left over');
});

t.test('the key of an invite derives from its seed, and nothing else does', async (t) => {
  const seed = Uint8Array.from({ length: 16 }, (_, i) => i);
  t.equal(inviteKey(seed).publicKey, inviteKey(seed).publicKey);
  t.not(inviteKey(seed).publicKey, inviteKey(seed.with(0, 9)).publicKey);
});

t.test('the topic changes with the day and the secret; its neighbours are looked at too', async (t) => {
  const secret = new Uint8Array(32);
  const [today = 0, ...others] = discoveryDays(NOW);
  t.strictSame(others, [today - 1, today + 1]);
  t.strictSame(discoveryTopic(secret, today), discoveryTopic(secret, discoveryDays(NOW + 1000)[0] as number));
  t.notSame(discoveryTopic(secret, today), discoveryTopic(secret, discoveryDays(NOW + DAY_MS)[0] as number));
  t.notSame(discoveryTopic(secret, today), discoveryTopic(secret.with(3, 1), today));
});
