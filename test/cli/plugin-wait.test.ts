import t from 'tap';
import type { ApiClient } from '../../lib/cli/api.js';
import type { Output } from '../../lib/cli/command.js';
import { whilePluginWorks } from '../../lib/cli/plugin-wait.js';
import { eventually } from '../support/mesh-agent.js';

const PACE = { silenceMs: 5, tickMs: 5, lineEveryMs: 20, whyEveryMs: 10 };

function screen(tty: boolean): { output: Output; plain: string[]; live: string[]; results: string[] } {
  const [plain, live, results]: string[][] = [[], [], []];
  const sink = (to: string[]) => ({
    write: (data: Uint8Array | string) => to.push(String(data)) > 0,
    once: () => undefined,
  });
  const output: Output = {
    raw: { out: sink(live as string[]), error: sink(plain as string[]) },
    tty,
    columns: 200,
    color: false,
    out: (text) => (results as string[]).push(text),
    error: (text) => (plain as string[]).push(text),
  };
  return { output, plain: plain as string[], live: live as string[], results: results as string[] };
}

/** An agent that answers with these, and fails for the rest. */
const agent = (answers: Record<string, unknown>): ApiClient =>
  ({
    async get(path: string) {
      if (!(path in answers)) throw new Error('nobody answers');
      return { value: answers[path] };
    },
  }) as unknown as ApiClient;

function later<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let [resolve, reject] = [(_: T): void => {}, (_: Error): void => {}];
  const promise = new Promise<T>((done, fail) => {
    [resolve, reject] = [done, fail];
  });
  return { promise, resolve, reject };
}

const plugin = (Healthy: boolean) => ({ Controllers: { '12345678-x': { Healthy, HealthDescription: 'it sleeps' } } });

t.test('while a plugin works it is said who is waited for, since when, and what is in the way', async (t) => {
  const { output, plain, live, results } = screen(false);
  const { promise, resolve } = later<number>();
  const volume = { PluginID: 'slow', Claims: [] };
  const api = agent({ '/v1/volume/csi/db': volume, '/v1/plugin/csi/slow': plugin(false) });
  const ended = whilePluginWorks({ api, output }, { what: 'delete volume "db"', volumeId: 'db' }, promise, PACE);
  await eventually('two lines', () => plain.length >= 2 || undefined);
  resolve(7);
  t.equal(await ended, 7);
  t.match(
    plain.join('\n'),
    /waiting for plugin "slow" to delete volume "db" \(\d+ s\): its controller on node 12345678 is not healthy \(it sleeps\)/,
  );
  const told = plain.length;
  await new Promise((done) => setTimeout(done, 50));
  t.equal(plain.length, told, 'and nothing afterwards');
  t.same([live, results], [[], []], 'where results go, nothing else does');
});

t.test('what a release still waits for comes before what a plugin is asked', async (t) => {
  const { output, plain } = screen(false);
  const { promise, resolve } = later<void>();
  const Claims = [{ State: 'unpublishing', WaitsFor: 'node n1 to unmount it' }];
  const api = agent({ '/v1/volume/csi/db': { PluginID: 'slow', Claims } });
  const ended = whilePluginWorks({ api, output }, { what: 'grow volume "db"', volumeId: 'db' }, promise, PACE);
  await eventually('a line', () => plain.length > 0 || undefined);
  resolve();
  await ended;
  t.match(plain[0], /its release comes first, and waits for node n1 to unmount it/);
});

t.test('on a terminal it is one line that lives and goes, also when the answer is an error', async (t) => {
  const { output, plain, live } = screen(true);
  const { promise, reject } = later<void>();
  const work = { what: 'make volume "db"', pluginId: 'slow' };
  const ended = whilePluginWorks({ api: agent({}), output }, work, promise, PACE);
  await eventually('the line to live', () => live.length >= 3 || undefined);
  reject(new Error('full'));
  await t.rejects(ended, { message: 'full' });
  t.match(live[0], /^\r\S* +waiting for plugin "slow" to make volume "db" \(0 s\)$/);
  t.equal(live.at(-1), '\r\x1b[K');
  t.same(plain, []);
});

t.test('a plugin that answers at once leaves no words', async (t) => {
  const { output, plain, live } = screen(true);
  await whilePluginWorks({ api: agent({}), output }, { what: 'x', pluginId: 'p' }, Promise.resolve());
  t.same([plain, live], [[], []]);
});
