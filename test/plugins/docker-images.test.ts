import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { decodeFields } from '../../lib/plugin/sdk/config-schema.js';
import type { TaskConfig } from '../../lib/plugin/sdk/driver.js';
import { type DockerConfig, decodeTask, PLUGIN_FIELDS } from '../../plugins/driver-docker/config.js';
import { connectEngine, placeOf } from '../../plugins/driver-docker/engine.js';
import { Images } from '../../plugins/driver-docker/images.js';
import plugin, { DOCKER } from '../../plugins/driver-docker/index.js';
import { until } from '../support/driver-task.js';

/** A stand-in for an engine that knows of images alone: what a pull answers is said by the test. */
interface FakeEngine {
  endpoint: string;
  present: Set<string>;
  pulls: { image: string; auth: string | undefined; answer: ServerResponse }[];
  dir: string;
}

async function fakeEngine(t: Test): Promise<FakeEngine> {
  const dir = mkdtempSync('/tmp/meshnomad-engine-');
  const fake: FakeEngine = { endpoint: `unix://${dir}/sock`, present: new Set(), pulls: [], dir };
  const server = createServer((asked, answer) => {
    const url = new URL(asked.url ?? '', 'http://engine');
    const inspected = /^\/images\/(.+)\/json$/.exec(url.pathname)?.[1];
    if (inspected) {
      answer.statusCode = fake.present.has(decodeURIComponent(inspected)) ? 200 : 404;
      answer.end(JSON.stringify({ message: 'No such image' }));
    } else if (url.pathname === '/images/create') {
      const image = `${url.searchParams.get('fromImage')}:${url.searchParams.get('tag')}`;
      const auth = asked.headers['x-registry-auth'];
      fake.pulls.push({ image, auth: typeof auth === 'string' ? auth : undefined, answer });
    } else {
      answer.statusCode = 500;
      answer.end('{"message":"not in this play"}');
    }
  });
  await new Promise<void>((resolve) => server.listen(`${dir}/sock`, resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return fake;
}

function pullerOf(
  fake: FakeEngine,
  options: Record<string, unknown> = {},
): (config: Record<string, unknown>, say?: (message: string) => void) => Promise<void> {
  const decoded = decodeFields(PLUGIN_FIELDS, { endpoint: fake.endpoint, ...options });
  if ('problems' in decoded) throw new Error(decoded.problems[0]?.message);
  const place = placeOf(decoded.config, DOCKER);
  const images = new Images(decoded.config, place);
  const engine = connectEngine(decoded.config, place);
  return async (config, say = () => {}) => {
    const task = decodeTask(config);
    if ('problems' in task) throw new Error(task.problems[0]?.message);
    await images.ensure(await engine, { config: task.config, localDir: fake.dir } as TaskConfig<DockerConfig>, say);
  };
}

const authOf = (fake: FakeEngine): unknown =>
  JSON.parse(Buffer.from(fake.pulls[0]?.auth ?? '', 'base64url').toString() || 'null');

t.test('a present image is not asked for, one that may have moved is', async (t) => {
  const fake = await fakeEngine(t);
  const pull = pullerOf(fake);
  fake.present.add('redis:7').add('redis:latest');
  await pull({ image: 'redis:7' });
  t.equal(fake.pulls.length, 0);
  const moved = pull({ image: 'redis:latest' });
  await until('it is asked for', () => fake.pulls.length === 1);
  fake.pulls[0]?.answer.end('{"status":"Image is up to date"}\n');
  await moved;
  const forced = pull({ image: 'redis:7', force_pull: true });
  await until('it is asked for', () => fake.pulls.length === 2);
  fake.pulls[1]?.answer.end('{"status":"Pull complete"}\n');
  await forced;
});

t.test('tasks that need one image at the same time share its pull, and all hear of it', async (t) => {
  const fake = await fakeEngine(t);
  const pull = pullerOf(fake);
  const heard: string[] = [];
  const both = Promise.all(
    [1, 2].map((task) => pull({ image: 'app:1' }, (message) => heard.push(`${task} ${message}`))),
  );
  const other = pull({ image: 'app:1', auth: { username: 'u', password: 'p' } });
  await until('the engine is asked', () => fake.pulls.length === 2);
  for (const { answer } of fake.pulls)
    answer.write('{"id":"a","status":"Downloading","progressDetail":{"current":1}}\n');
  fake.present.add('app:1');
  for (const { answer } of fake.pulls) answer.end('{"id":"a","status":"Pull complete"}\n');
  await Promise.all([both, other]);
  t.equal(fake.pulls.length, 2, 'credentials are not shared');
  t.same(heard, ['1 Downloading image app:1', '2 Downloading image app:1']);
});

t.test('each way a pull fails names the image and says whether to try again', async (t) => {
  const fake = await fakeEngine(t);
  const pull = pullerOf(fake, { pull_activity_timeout: '100ms' });
  const cases: [string, (answer: ServerResponse) => void, RegExp, boolean][] = [
    [
      'gone:1',
      (a) => a.writeHead(404).end('{"message":"manifest unknown"}'),
      /is not on this node .*manifest unknown/,
      false,
    ],
    ['denied:1', (a) => a.end('{"error":"pull access denied for denied"}\n'), /pull access denied/, false],
    ['secret:1', (a) => a.writeHead(500).end('{"message":"no basic auth credentials"}'), /an auth block of the/, false],
    ['slow:1', (a) => a.writeHead(500).end('{"message":"i/o timeout"}'), /could not be pulled: i\/o timeout/, true],
    ['stuck:1', (a) => a.write('{"status":"Downloading","id":"x"}\n'), /no progress for 0\.1 s/, true],
    ['cut:1', (a) => a.end('{"status":"Downloading","id":"x"}\n'), /cut off/, true],
  ];
  for (const [image, play, message, recoverable] of cases) {
    fake.pulls.length = 0;
    const failed = t.rejects(pull({ image }), { name: 'DriverError', message, recoverable }, image);
    await until('the engine is asked', () => fake.pulls.length === 1);
    const answer = fake.pulls[0]?.answer;
    if (answer) play(answer);
    await failed;
  }
});

t.test('a pull takes no longer than it may', async (t) => {
  const fake = await fakeEngine(t);
  const pull = pullerOf(fake);
  await t.rejects(
    pull({ image: 'big:1', image_pull_timeout: '50ms' }).finally(() => fake.pulls[0]?.answer.end()),
    {
      message: /not done in 0\.05 s/,
      recoverable: true,
    },
  );
});

t.test('credentials come from the task, else from the file the agent names', async (t) => {
  const fake = await fakeEngine(t);
  const file = join(fake.dir, 'config.json');
  const auth = Buffer.from('me:se:cret').toString('base64');
  writeFileSync(file, JSON.stringify({ auths: { 'https://reg.example/v2/': { auth } } }));
  const pull = pullerOf(fake, { auth: [{ config: file }] });
  const pulled = async (config: Record<string, unknown>): Promise<unknown> => {
    fake.pulls.length = 0;
    const done = pull(config).catch(() => {});
    await until('the engine is asked', () => fake.pulls.length === 1);
    fake.pulls[0]?.answer.end();
    await done;
    return authOf(fake);
  };
  t.match(await pulled({ image: 'reg.example/app:1' }), {
    username: 'me',
    password: 'se:cret',
    serveraddress: 'reg.example',
  });
  t.equal(await pulled({ image: 'other.example/app:1' }), null);
  const own = { username: 'own', password: 'pw', server_address: 's' };
  t.match(await pulled({ image: 'reg.example/app:1', auth: own }), { username: 'own', serveraddress: 's' });
});

t.test('a credentials file that is missing stops the task, unless it says auth_soft_fail', async (t) => {
  const fake = await fakeEngine(t);
  const pull = pullerOf(fake, { auth: [{ config: join(fake.dir, 'none.json') }] });
  await t.rejects(pull({ image: 'reg.example/app:1' }), {
    message: /credentials for reg\.example: ENOENT/,
    recoverable: false,
  });
  t.equal(fake.pulls.length, 0);
  const soft = pull({ image: 'reg.example/app:1', auth_soft_fail: true });
  await until('the engine is asked without', () => fake.pulls.length === 1);
  fake.present.add('reg.example/app:1');
  fake.pulls[0]?.answer.end();
  await soft;
});

t.test('an engine that is absent, mute or broken is told apart', async (t) => {
  const absent = plugin.create({
    config: { endpoint: 'unix:///tmp/meshnomad-none.sock' },
    stateDir: '/tmp',
    log: () => {},
  });
  t.match(await absent.fingerprint(), {
    health: 'undetected',
    healthDescription: /there is no such socket/,
    attributes: {},
  });
  const fake = await fakeEngine(t);
  const broken = plugin.create({ config: { endpoint: fake.endpoint }, stateDir: '/tmp', log: () => {} });
  t.match(await broken.fingerprint(), { health: 'unhealthy', healthDescription: /not in this play/ });
});
