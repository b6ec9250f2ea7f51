import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { decodeInfo, decodeState } from '../../lib/gossip/member-codec.js';
import { decodePacket } from '../../lib/gossip/message-codec.js';
import { decodeMessage } from '../../lib/raft/codec.js';
import { parseMembership } from '../../lib/raft/membership.js';
import { decodeCommand } from '../../lib/state/command-codec.js';
import { decodeFeedBlock } from '../../lib/storage/feed-format.js';
import { claimsOf, verifyChain } from '../../lib/transport/certificate.js';
import { decodeFact } from '../../lib/transport/dht/mdns-packet.js';
import { FrameReader } from '../../lib/transport/frame.js';
import { parseInvite } from '../../lib/transport/invite.js';
import { type JoinMessage, readRequest } from '../../lib/transport/join-messages.js';
import { parseChain, parseHello } from '../../lib/transport/mesh/hello.js';
import { unsealRoot } from '../../lib/transport/root-key.js';
import { openSealed } from '../../lib/transport/sealed-box.js';
import { verify } from '../../lib/transport/signature.js';
import { parseAddress } from '../../lib/transport/tcp.js';
import { verifyTombstone } from '../../lib/transport/tombstone.js';
import { decodeZBase32, encodeZBase32 } from '../../lib/transport/z-base-32.js';
import { type Random, seededRandom } from '../../lib/util/random.js';
import { newKey } from './mesh-world.js';

// Every function that reads what others have sent or what lay on a disk is found by its name, and each is given rubbish: here,
// or in the test that is named. One that is added is missed by this test until it is in the table.

const LIB = fileURLToPath(new URL('../../../lib', import.meta.url));
const TESTS = fileURLToPath(new URL('../../../test', import.meta.url));
const ROOMS = ['transport', 'gossip', 'raft', 'state', 'storage'];
const READS =
  /^export (?:async )?(?:function\*?|class) ((?:decode|parse|read|verify|unseal|openSealed|claimsOf)\w*|\w+(?:Reader|Decoder|Channel))\b/gm;
const ROUNDS = 150;
const KEY = newKey();

type Rubbish = { bytes(): Uint8Array; text(): string; json(): unknown };

/** What is thrown at it; or the test that does so with more knowledge of it. */
const TABLE: Record<string, ((rubbish: Rubbish) => unknown) | { in: string }> = {
  FrameReader: ({ bytes }) => [...new FrameReader(4_096).push(Buffer.from(bytes()))],
  JoinChannel: { in: 'transport/join.test.ts' },
  SnapshotDecoder: { in: 'state/properties.test.ts' },
  claimsOf: ({ text }) => claimsOf(text()),
  decodeCommand: ({ bytes, json }) => decodeCommand(either(bytes(), json())),
  decodeFact: ({ json, bytes }) => [decodeFact(json()), decodeFact([bytes()])],
  decodeFeedBlock: ({ bytes }) => decodeFeedBlock(bytes()),
  decodeHeader: { in: 'storage/raft-log.test.ts' },
  decodeInfo: ({ bytes }) => decodeInfo(bytes()),
  // Asserts: what is in a checksummed log was parsed before it came there.
  decodeMembership: { in: 'raft/codec.test.ts' },
  decodeMessage: ({ bytes }) => decodeMessage(bytes(), { from: 'a', to: 'b' }),
  decodePacket: ({ bytes }) => decodePacket(bytes()),
  decodeRecord: { in: 'storage/raft-log.test.ts' },
  decodeSnapshot: { in: 'state/properties.test.ts' },
  decodeState: ({ bytes }) => decodeState(bytes()[0] ?? 0),
  decodeZBase32: ({ text }) => decodeZBase32(text()),
  openSealed: ({ bytes }) => openSealed(KEY, bytes()),
  parseAddress: ({ text }) => parseAddress(text(), 1),
  parseChain: ({ json }) => parseChain(json()),
  parseHello: ({ json }) => parseHello(record(json())),
  parseInvite: ({ text, bytes }) => [parseInvite(text()), parseInvite(`mn1-${encodeZBase32(bytes())}`)],
  parseMembership: ({ bytes, json }) => parseMembership(either(bytes(), json())),
  readRequest: ({ json }) => readRequest(record(json()) as unknown as JoinMessage),
  readSmallFile: { in: 'storage/stable.test.ts' },
  unsealRoot: ({ text, bytes }) => unsealRoot(text(), encodeZBase32(bytes())),
  verify: ({ text, bytes }) => verify({ by: text(), signature: bytes() }, 'meshnomad/join/1', text()),
  verifyChain: ({ json }) => verifyChain(json(), { mesh: KEY.publicKey, nowMs: 0 }),
  verifyTombstone: ({ json }) => verifyTombstone(json(), { mesh: KEY.publicKey }),
};

/** What a decoder may throw: anything else is a defect. */
const EXPECTED = /^(MeshError|MalformedBytes)$/;

t.test('every function that reads what others say is in the table', async (t) => {
  const found = ROOMS.flatMap((room) => sources(join(LIB, room))).flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(READS)].map(([, name = '']) => name),
  );
  t.same([...new Set(found)].sort(), Object.keys(TABLE).sort());
  for (const [name, held] of Object.entries(TABLE)) {
    if ('in' in held)
      t.match(readFileSync(join(TESTS, held.in), 'utf8'), /damage|rubbish|garbage|torn|flip|cut/i, name);
  }
});

t.test('whatever comes, a decoder ends with a value or with an error that says so', async (t) => {
  for (const [name, held] of Object.entries(TABLE)) {
    if ('in' in held) continue;
    const rubbish = makeRubbish(seededRandom(7));
    for (let round = 0; round < ROUNDS; round++) {
      try {
        await held(rubbish);
      } catch (error) {
        const { message } = error as Error;
        const kind = (error as Error).constructor.name;
        const isFrame = name === 'FrameReader' && /frame|JSON/.test(message);
        if (!EXPECTED.test(kind) && !isFrame) t.fail(`${name} throws ${kind}: ${message}`);
      }
    }
  }
});

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => join(folder, path));
}

function makeRubbish(random: Random): Rubbish {
  const below = (limit: number): number => Math.floor(random.next() * limit);
  const bytes = (): Uint8Array =>
    Uint8Array.from({ length: below(4) === 0 ? below(300) : below(24) }, () => below(256));
  const text = (): string =>
    [
      () => Buffer.from(bytes()).toString('latin1'),
      () => Buffer.from(bytes()).toString('base64url'),
      () => `${Buffer.from(bytes()).toString('base64url')}.${Buffer.from(bytes()).toString('base64url')}`,
      () => Buffer.from(JSON.stringify([null, {}, { Key: 1 }][below(3)])).toString('base64url'),
      () => '['.repeat(below(2_000)),
      () => KEY.publicKey,
      () => '',
    ][below(7)]?.() ?? '';
  const json = (depth = 0): unknown => {
    const leaves = [null, true, 0, -1, 1e300, '', KEY.publicKey, [], {}];
    if (depth > 3 || below(3) === 0) return below(2) === 0 ? leaves[below(leaves.length)] : text();
    if (below(2) === 0) return Array.from({ length: below(5) }, () => json(depth + 1));
    const names = [...WORDS].sort(() => random.next() - 0.5).slice(0, below(WORDS.length));
    return Object.fromEntries(names.map((name) => [name, json(depth + 1)]));
  };
  return { bytes, text, json };
}

/** Members of the messages that are read, so that some of the rubbish gets past the first look. */
const WORDS =
  'Type Key Name Rename Facts Replace Signature Min Max Link Chain Instance Program Now Addresses Relays At Reason By v c voters learners __proto__'.split(
    ' ',
  );

function either(bytes: Uint8Array, value: unknown): Uint8Array {
  return bytes.length % 2 === 0 ? bytes : Buffer.from(JSON.stringify(value) ?? '');
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
