import { execFileSync } from 'node:child_process';
import { linkSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  block,
  blocks,
  bool,
  decodeFields,
  durationMs,
  list,
  map,
  number,
  oneOf,
  refused,
  required,
  text,
} from '../../lib/plugin/sdk/config-schema.js';
import { openExecSession } from '../../lib/plugin/sdk/exec-session.js';
import { fittingBytes, LogRotator } from '../../lib/plugin/sdk/log-rotator.js';
import { signalName, signalNumber } from '../../lib/plugin/sdk/signals.js';
import { seededRandom } from '../../lib/util/random.js';

const FIELDS = {
  name: required(text(), 'why'),
  count: number(3, { min: 1, max: 9 }),
  on: bool(true),
  mode: oneOf(['a', 'b'], 'a'),
  wait: durationMs(5),
  items: list(text()),
  labels: map(text()),
  one: block({ key: text('x') }),
  many: blocks({ key: required(text(), 'it is the key') }),
  later: refused(),
};

t.test('what is not written has its default', async (t) => {
  t.same(decodeFields(FIELDS, { name: 'n', on: null }), {
    config: {
      name: 'n',
      count: 3,
      on: true,
      mode: 'a',
      wait: 5,
      items: [],
      labels: {},
      one: null,
      many: [],
      later: undefined,
    },
  });
});

t.test('blocks come as objects or as lists of objects', async (t) => {
  const expected = { config: { one: { key: 'k' }, many: [{ key: '1' }, { key: '2' }], labels: { a: '1', b: 'true' } } };
  const many = [{ key: 1 }, { key: '2' }];
  t.match(decodeFields(FIELDS, { name: 'n', one: { key: 'k' }, many, labels: { a: 1, b: true } }), expected);
  t.match(
    decodeFields(FIELDS, { name: 'n', one: [{ key: 'k' }], many, labels: [{ a: '1' }, { b: 'true' }] }),
    expected,
  );
  t.match(decodeFields(FIELDS, { name: 'n', many: { key: 'x' } }), { config: { many: [{ key: 'x' }] } });
});

t.test('every problem is told with its path', async (t) => {
  const cases: [Record<string, unknown>, string, RegExp][] = [
    [{}, 'name', /^is missing: why/],
    [{ name: '' }, 'name', /^is empty/],
    [{ name: 'n', nmae: 1 }, 'nmae', /^is not a known key; did you mean "name"\?/],
    [{ name: 'n', zzzzzz: 1 }, 'zzzzzz', /^is not a known key$/],
    [{ name: 'n', count: 10 }, 'count', /between 1 and 9, not 10/],
    [{ name: 'n', count: 'ten' }, 'count', /a number, not "ten"/],
    [{ name: 'n', on: 'yes' }, 'on', /true or false/],
    [{ name: 'n', mode: 'c' }, 'mode', /one of "a", "b", not "c"/],
    [{ name: 'n', wait: '5' }, 'wait', /unit is missing/],
    [{ name: 'n', items: [{}] }, 'items[0]', /^must be a string/],
    [{ name: 'n', labels: 5 }, 'labels', /must be a map/],
    [{ name: 'n', one: [{}, {}] }, 'one', /once, not 2 times/],
    [{ name: 'n', one: 5 }, 'one', /must be a block/],
    [{ name: 'n', many: [{ key: 'a' }, {}] }, 'many[1].key', /^is missing: it is the key/],
    [{ name: 'n', many: [{ key: 'a', kez: 1 }] }, 'many[0].kez', /did you mean "key"/],
    [{ name: 'n', later: 'x' }, 'later', /^is not supported yet/],
  ];
  for (const [config, path, message] of cases) {
    t.match(decodeFields(FIELDS, config), { problems: [{ path, message }] }, JSON.stringify(config));
  }
  t.ok('config' in decodeFields(FIELDS, { name: 'n', later: false }), 'a harmless value of a refused key passes');
});

t.test('signals have names and numbers', async (t) => {
  for (const name of ['SIGHUP', 'hup', '1']) t.equal(signalNumber(name), 1, name);
  t.equal(signalName(9), 'SIGKILL');
  t.throws(() => signalNumber('SIGTREM'), { name: 'DriverError', message: /did you mean "SIGTERM"/ });
});

function tempDir(t: Test): string {
  const dir = mkdtempSync('/tmp/meshnomad-rotator-');
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const readAll = (dir: string): string =>
  readdirSync(dir)
    .sort((a, b) => Number(a.split('.').pop()) - Number(b.split('.').pop()))
    .map((name) => readFileSync(join(dir, name), 'utf8'))
    .join('');

t.test("a file ends at a line's end where one fits", async (t) => {
  const data = Buffer.from('aa\nbbb\ncc');
  t.equal(fittingBytes(data, 100, true), 9);
  t.equal(fittingBytes(data, 7, true), 7);
  t.equal(fittingBytes(data, 6, true), 3);
  t.equal(fittingBytes(data, 2, true), 0, 'not even the first line fits behind what is there');
  t.equal(fittingBytes(data, 2, false), 2, 'nor into an empty file: it is cut');
  t.equal(fittingBytes(data, 0, true), 0);
});

t.test('whatever is written is there, in files of the size allowed', async (t) => {
  const random = seededRandom(7);
  for (let round = 0; round < 20; round++) {
    const dir = tempDir(t);
    const maxFileSizeBytes = 10 + Math.floor(random.next() * 60);
    const rotator = await LogRotator.open({ dir, name: 'w.stdout', maxFiles: 1000, maxFileSizeBytes });
    let written = '';
    for (let i = 0; i < 20; i++) {
      const chunk = 'x'.repeat(Math.floor(random.next() * 90)) + (random.next() < 0.7 ? '\n' : '');
      written += chunk;
      await rotator.write(Buffer.from(chunk));
    }
    await rotator.close();
    t.equal(readAll(dir), written);
    for (const name of readdirSync(dir)) t.ok(readFileSync(join(dir, name)).length <= maxFileSizeBytes);
  }
});

t.test('after a crash the files are cut back to where the source goes on', async (t) => {
  const dir = tempDir(t);
  const options = { dir, name: 'w.stdout', maxFiles: 10, maxFileSizeBytes: 6 };
  const first = await LogRotator.open(options);
  await first.write(Buffer.from('one\n'));
  const at = first.position;
  t.same(at, { index: 0, sizeBytes: 4 });
  await first.write(Buffer.from('two\nthree\n'));
  await first.close();
  t.equal(readdirSync(dir).length, 3);
  const next = await LogRotator.open({ ...options, resumeAt: at });
  await next.write(Buffer.from('two\n'));
  await next.close();
  t.equal(readAll(dir), 'one\ntwo\n');
});

t.test('old files go, the newest is continued', async (t) => {
  const dir = tempDir(t);
  writeFileSync(join(dir, 'w.stdout.7'), 'old\n');
  writeFileSync(join(dir, 'w.stdout.extra'), 'not ours');
  const rotator = await LogRotator.open({ dir, name: 'w.stdout', maxFiles: 2, maxFileSizeBytes: 8 });
  await rotator.write(Buffer.from('aaa\nbbbbb\nccccc\n'));
  await rotator.close();
  t.same(readdirSync(dir).sort(), ['w.stdout.8', 'w.stdout.9', 'w.stdout.extra']);
});

t.test('what a task put in the place of a log is not written to', async (t) => {
  const dir = tempDir(t);
  const host = join(tempDir(t), 'host');
  const options = { dir, name: 'w.stdout', maxFiles: 9, maxFileSizeBytes: 4 };
  symlinkSync(host, join(dir, 'w.stdout.0'));
  const rotator = await LogRotator.open(options);
  writeFileSync(host, 'host\n');
  symlinkSync(host, join(dir, 'w.stdout.1'));
  linkSync(host, join(dir, 'w.stdout.2'));
  execFileSync('mkfifo', [join(dir, 'w.stdout.3')]);
  await rotator.write(Buffer.from('aaa\nbbb\nccc\nddd\n'));
  await rotator.close();
  t.equal(readFileSync(host, 'utf8'), 'host\n');
  const texts = [0, 1, 2, 3].map((index) => readFileSync(join(dir, `w.stdout.${index}`), 'utf8'));
  t.same(texts, ['aaa\n', 'bbb\n', 'ccc\n', 'ddd\n']);
  const linked = join(tempDir(t), 'logs');
  symlinkSync(dir, linked);
  await t.rejects(LogRotator.open({ ...options, dir: linked }), /is a link/);
});

t.test('a session keeps input until the command runs, and ends with its code', async (t) => {
  const heard: string[] = [];
  let start: (handlers: Parameters<typeof openExecSession>[0] extends Promise<infer H> ? H : never) => void = () => {};
  const session = openExecSession(
    new Promise((resolve) => {
      start = resolve;
    }),
  );
  session.stream.write({ Type: 'stdin', Data: Buffer.from('x') });
  start({ onInput: (input) => heard.push(input.Type), onAbandoned: () => heard.push('abandoned') });
  await new Promise((resolve) => setImmediate(resolve));
  t.same(heard, ['stdin']);
  session.exited(3);
  const outputs = [];
  for await (const output of session.stream) outputs.push(output);
  t.same(outputs, [{ Type: 'stdout-close' }, { Type: 'stderr-close' }, { Type: 'exited', ExitCode: 3 }]);
  t.same(heard, ['stdin'], 'a command that ended is not abandoned');
});

t.test('who does not take what comes holds the other side up', async (t) => {
  const heard: string[] = [];
  let take: () => void = () => {};
  const session = openExecSession(
    Promise.resolve({
      onInput: (input) => {
        heard.push(input.Type);
        return new Promise<void>((resolve) => {
          take = resolve;
        });
      },
      onAbandoned: () => {},
    }),
  );
  const { stream } = session;
  while (stream.write({ Type: 'stdin', Data: Buffer.from('x') }));
  await new Promise((resolve) => setImmediate(resolve));
  t.same(heard, ['stdin'], 'one at a time');
  take();
  await new Promise((resolve) => setImmediate(resolve));
  t.same(heard, ['stdin', 'stdin']);

  const fill = (): void => {
    while (session.say({ Type: 'stdout', Data: Buffer.from('y') }));
  };
  fill();
  let hasRoom = false;
  const room = session.room().then(() => {
    hasRoom = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.notOk(hasRoom);
  stream.read();
  await room;
  fill();
  const gone = session.room();
  stream.destroy();
  await gone;
  await session.room();
});

t.test('a session whose other side goes away ends the command', async (t) => {
  let isAbandoned = false;
  const session = openExecSession(
    Promise.resolve({
      onInput: () => {},
      onAbandoned: () => {
        isAbandoned = true;
      },
    }),
  );
  session.stream.destroy();
  await new Promise((resolve) => setImmediate(resolve));
  t.ok(isAbandoned);
});
