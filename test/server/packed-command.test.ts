import { createHash, randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import t from 'tap';
import { DICTIONARY_1 } from '../../lib/server/command-dictionary.js';
import { PACKED_VERSION, packCommand, unpackCommand } from '../../lib/server/packed-command.js';
import { decodeCommand, encodeCommand, versionOfEncoded } from '../../lib/state/command-codec.js';
import { COMMANDS_VERSION, type Command } from '../../lib/state/commands.js';
import { mockEval, mockJob } from '../scheduler/mock.js';

const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

function register(name: string): Command {
  const job = mockJob({ ID: name, Name: name });
  return { type: 'job-register', job, eval: mockEval(job), submission: null };
}

t.test('what was packed reads as it was, and says in clear what version it needs', async (t) => {
  for (const name of ['a', 'ü🙂', 'x'.repeat(5000), randomBytes(5000).toString('base64')]) {
    const encoded = encodeCommand(register(name));
    const packed = packCommand(encoded);
    t.ok(packed.length < encoded.length, `${encoded.length} bytes take ${packed.length}`);
    t.same(decodeCommand(unpackCommand(packed)), decodeCommand(encoded));
    t.equal(versionOfEncoded(packed), PACKED_VERSION);
  }
  t.ok(packCommand(encodeCommand(register('a'))).length < 600, 'a usual job takes little');
  t.ok(PACKED_VERSION <= COMMANDS_VERSION);
});

t.test('what is small or very large stays as it is, and so reads what older versions wrote', async (t) => {
  const noop = encodeCommand({ type: 'noop' });
  t.equal(packCommand(noop), noop);
  t.equal(unpackCommand(noop), noop);
  const large = encodeCommand(register('x'.repeat(300_000)));
  t.equal(packCommand(large), large);
  t.equal(unpackCommand(large), large);
});

t.test('a command that needs more than packing does keeps saying so', async (t) => {
  const packed = packCommand(bytesOf({ v: 99, c: { type: 'x', filler: 'y'.repeat(300) } }));
  t.equal(versionOfEncoded(packed), 99);
  t.throws(() => decodeCommand(unpackCommand(packed)), { code: 'E_NOT_SUPPORTED' });
});

t.test('what is damaged is refused, and takes no more room than it says', async (t) => {
  const packed = packCommand(encodeCommand(register('a')));
  for (let cut = 9; cut < packed.length; cut++) {
    t.throws(() => unpackCommand(packed.subarray(0, cut)), { code: 'E_STORAGE' }, `cut at ${cut}`);
  }
  for (const size of [0, 1, 5000, 2 ** 20, 2 ** 32 - 1]) {
    const lying = Buffer.from(packed);
    lying.writeUInt32BE(size, 9);
    t.throws(() => unpackCommand(lying), { code: 'E_STORAGE' }, `says that it has ${size} bytes`);
  }
  const bomb = Buffer.concat([packed.subarray(0, 13), deflateRawSync(Buffer.alloc(2 ** 24))]);
  t.throws(() => unpackCommand(bomb), { code: 'E_STORAGE' });
  for (let round = 0; round < 500; round++) {
    const rubbish = Buffer.concat([packed.subarray(0, round % 14), randomBytes(round % 60)]);
    try {
      unpackCommand(rubbish);
    } catch (error) {
      t.match(error, { code: 'E_STORAGE' });
    }
  }
});

t.test('the dictionary is what the logs of all servers were written with', async (t) => {
  t.equal(
    createHash('sha256').update(DICTIONARY_1).digest('hex'),
    'a43898c3647666b673f5c3e0e415fde2f4e33adf0e9dfb78cbabcb7d1a57b4bb',
    'it may not change: a new one gets a new number',
  );
});
