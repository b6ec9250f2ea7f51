import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { copyFrames } from '../../lib/cli/stream.js';

const frame = (data: string | Buffer, more: object = {}): string =>
  JSON.stringify({ ...more, Data: Buffer.from(data).toString('base64') });

async function copy(chunks: Buffer[], options: { lastLines?: number; follow?: boolean } = {}): Promise<string> {
  const body = new PassThrough();
  const parts: Buffer[] = [];
  const to = { write: (data: Uint8Array | string) => parts.push(Buffer.from(data)) > 0, once: () => undefined };
  const done = copyFrames(body as unknown as IncomingMessage, {
    to,
    follow: options.follow ?? false,
    lastLines: options.lastLines,
  });
  for (const chunk of chunks) body.write(chunk);
  body.end();
  await done;
  return Buffer.concat(parts).toString('latin1');
}

t.test('frames may be cut at any byte', async (t) => {
  const bytes = Buffer.from(
    `${frame('grüße\n', { File: 'a}{"b.log' })}{}${frame(Buffer.from([0xc3]))}${frame(Buffer.from([0xa4, 10]))}{"FileEvent":"ä"}`,
  );
  const whole = Buffer.from('grüße\nä\n').toString('latin1');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 8 }), async (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      return (await copy(at.slice(1).map((end, i) => bytes.subarray(at[i], end)))) === whole;
    }),
    { numRuns: 60 },
  );
  t.equal(await copy([...bytes].map((byte) => Buffer.from([byte]))), whole);
});

t.test('the last lines are whole lines, the last of them need not be ended', async (t) => {
  const text = 'one\ntwo\n\nfour';
  const body = [Buffer.from(frame(text.slice(0, 5)) + frame(text.slice(5)))];
  for (const [count, expected] of [
    [1, 'four'],
    [2, '\nfour'],
    [3, 'two\n\nfour'],
    [9, text],
  ] as const) {
    t.equal(await copy(body, { lastLines: count }), expected, `${count} lines`);
  }
  t.equal(await copy([Buffer.from(frame('a\nb\n'))], { lastLines: 1 }), 'b\n');
  t.equal(await copy([], { lastLines: 3 }), '');
});

t.test('following, what was there is shown at the first pause and all else as it comes', async (t) => {
  const body = [frame('1\n2\n3\n'), '{}', frame('4\n5\n')].map((text) => Buffer.from(text));
  t.equal(await copy(body, { lastLines: 1, follow: true }), '3\n4\n5\n');
});
