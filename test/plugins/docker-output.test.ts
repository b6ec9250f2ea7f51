// What becomes of a container's output that the engine has no more when it is read, and what cannot be read at all.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type Docker from 'dockerode';
import t, { type Test } from 'tap';
import type { TaskConfig } from '../../lib/plugin/sdk/driver.js';
import { LogCollector } from '../../plugins/driver-docker/logs.js';

/** One line of a container's standard output, as the engine frames it. */
const frame = (time: string, line: string): Buffer => framed(1, `${time} ${line}\n`);

/** `stream`: 1 is the container's standard output, 3 the engine itself. */
function framed(stream: number, text: string): Buffer {
  const data = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(data.length, 4);
  return Buffer.concat([header, data]);
}

const at = (second: number): string => `2026-01-01T00:00:0${second}.000000001Z`;

/** Copies what an engine answers, as the agent does that is started when its container has ended; gives what was told. */
async function collect(dir: string, answer: Buffer | Error): Promise<string[]> {
  const container = {
    logs: async ({ follow }: { follow: boolean }) => {
      if (answer instanceof Error) throw answer;
      return follow ? [answer] : answer;
    },
    inspect: async () => ({ State: { Running: false } }),
  } as unknown as Docker.Container;
  const told: string[] = [];
  const task = { id: 'a/t/1', name: 't', logDir: dir, logMaxFiles: 1, logMaxFileSizeBytes: 1 << 20 } as TaskConfig;
  const collector = new LogCollector({
    container,
    task,
    tty: false,
    cursorPath: join(dir, 'cursor'),
    log: () => {},
    tell: (message) => told.push(message),
  });
  await collector.done;
  return told;
}

function place(t: Test): string {
  const dir = mkdtempSync('/tmp/meshnomad-output-');
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

t.test('what the engine has rotated away before it was read is told, once', async (t) => {
  const dir = place(t);
  t.same(await collect(dir, Buffer.concat([frame(at(1), 'one'), frame(at(2), 'two')])), []);
  const told = await collect(dir, Buffer.concat([frame(at(5), 'five'), frame(at(6), 'six')]));
  t.match(told, [new RegExp(`stdout between ${at(2)} and ${at(5)} is lost: .*rotated`)]);
  t.equal(told.length, 1);
  t.equal(readFileSync(join(dir, 't.stdout.0'), 'utf8'), 'one\ntwo\nfive\nsix\n');
});

t.test('nothing is told while the last line that was read is still there', async (t) => {
  const dir = place(t);
  await collect(dir, Buffer.concat([frame(at(1), 'one'), frame(at(2), 'two')]));
  t.same(await collect(dir, Buffer.concat([frame(at(2), 'two'), frame(at(3), 'three')])), []);
  t.same(await collect(dir, Buffer.alloc(0)), [], 'nor when there is nothing new');
  t.equal(readFileSync(join(dir, 't.stdout.0'), 'utf8'), 'one\ntwo\nthree\n');
});

t.test('an engine that keeps no output is told of', async (t) => {
  const refusal = Object.assign(new Error('configured logging driver does not support reading'), { statusCode: 501 });
  t.match(await collect(place(t), refusal), [/does not let output be read: alloc logs shows none/]);
});

t.test('what the engine says of itself is told once, and is no line of the task', async (t) => {
  const dir = place(t);
  const sorry = framed(3, 'Error grabbing logs: unexpected EOF\n');
  const told = await collect(dir, Buffer.concat([frame(at(1), 'one'), sorry]));
  t.same(told, ['The engine cannot read all of its output back: Error grabbing logs: unexpected EOF']);
  t.same(await collect(dir, Buffer.concat([frame(at(1), 'one'), frame(at(2), 'two')])), [], 'it goes on from there');
  t.equal(readFileSync(join(dir, 't.stdout.0'), 'utf8'), 'one\ntwo\n');
});
