import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import t from 'tap';
import { byteStream } from '../../lib/transport/byte-stream.js';
import { messagePair } from '../../lib/transport/local.js';

function pair(): [Duplex, Duplex] {
  const [near, far] = messagePair();
  return [byteStream(near), byteStream(far)];
}

/** Up to the end of one direction, leaving the other as it is. */
function all(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    stream.once('end', () => resolve(Buffer.concat(chunks)));
    stream.once('error', reject);
  });
}

t.test('bytes come out as they went in, whatever their pieces', async (t) => {
  const [near, far] = pair();
  const sent = randomBytes(300_001);
  for (let at = 0; at < sent.length; at += 70_003) near.write(sent.subarray(at, at + 70_003));
  near.end();
  t.ok((await all(far)).equals(sent));
});

t.test('one direction may end before the other', async (t) => {
  const [near, far] = pair();
  near.end('question');
  t.equal((await all(far)).toString(), 'question');
  far.end('answer');
  t.equal((await all(near)).toString(), 'answer');
});

t.test('a reader that is slow holds the writer back', async (t) => {
  const [near, far] = pair();
  let written = 0;
  near.on('error', () => {});
  const piece = randomBytes(64 * 1024);
  for (let i = 0; i < 100; i++) near.write(piece, () => written++);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  t.ok(written < 50, `${written} of 100 pieces were taken from the writer`);
  near.end();
  t.equal((await all(far)).length, 100 * piece.length);
});

t.test('a cut is no end', async (t) => {
  const [near, far] = pair();
  near.write('half');
  const cut = new Promise((resolve) => far.once('close', resolve));
  far.once('data', () => near.destroy());
  far.on('error', () => {});
  far.on('end', () => t.fail('it looked like an end'));
  await cut;
  t.pass();
});

t.test('an error reaches the other side', async (t) => {
  const [near, far] = pair();
  near.on('error', () => {});
  const failed = new Promise<Error>((resolve) => far.once('error', resolve));
  near.destroy(new Error('no more'));
  t.equal((await failed).message, 'no more');
});
