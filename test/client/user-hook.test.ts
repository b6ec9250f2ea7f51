import t from 'tap';
import type { HookError } from '../../lib/client/hooks/hook.js';
import { userHook } from '../../lib/client/hooks/user.js';
import { seededRandom } from '../../lib/util/random.js';
import { fakeTask } from './fakes.js';

/** A node with what its hooks keep, by allocation. */
function node(users: { min: number; max: number }, deniedUsers = { names: [''], drivers: [''] }) {
  const allocs = new Map<string, { hooks: Record<string, unknown> }>();
  const client = { db: { allocs }, random: seededRandom(7) };
  const context = (id: string, { user = '', ownUsers = true } = {}) => {
    const record = allocs.get(id) ?? { hooks: {} };
    allocs.set(id, record);
    return {
      task: fakeTask({ Driver: 'exec', User: user }),
      driver: { capabilities: { ownUsers } },
      config: { dynamicUsers: users, deniedUsers },
      client,
      draft: { user },
      state: {
        get: () => record.hooks['t/user'] ?? null,
        put: (value: unknown) => {
          record.hooks['t/user'] = value;
        },
      },
    } as never;
  };
  /** Starts the task of an allocation; gives whom it runs as. */
  const start = async (id: string, options = {}): Promise<string> => {
    const given = context(id, options) as { draft: { user: string } };
    await userHook.prestart(given as never);
    return given.draft.user;
  };
  return { start, stop: (id: string) => userHook.stop(context(id)) };
}

t.test('each task has a user of its own, which it keeps until it is over for good', async (t) => {
  const { start, stop } = node({ min: 80_000, max: 80_019 });
  const names: string[] = [];
  for (let i = 0; i < 20; i++) names.push(await start(`a${i}`));
  t.equal(new Set(names).size, 20);
  t.ok(
    names.every((name) => /^nomad-800[01]\d$/.test(name)),
    names.join(),
  );
  t.equal(await start('a3'), names[3], 'at its next start, or with the next agent');
  await t.rejects(start('one more'), { message: /all users from 80000 to 80019 are in use/, recoverable: true });
  await stop('a5');
  t.equal(await start('one more'), names[5]);
});

t.test('whoever is named runs it, and drivers that ask for none get none', async (t) => {
  const { start } = node({ min: 80_000, max: 80_000 });
  t.equal(await start('a', { user: 'root' }), 'root');
  t.equal(await start('b', { ownUsers: false }), '');
  t.equal(await start('c'), 'nomad-80000');
});

t.test('a task does not run as whom the node refuses to its driver', async (t) => {
  const users = { min: 80_000, max: 80_000 };
  const { start } = node(users, { names: ['root', 'www'], drivers: ['java', 'exec'] });
  await t.rejects(start('a', { user: 'root' }), { message: /^as user "root" no task of driver "exec" runs here/ });
  t.equal(await start('b', { user: 'nobody' }), 'nobody');
  t.equal(await start('c'), 'nomad-80000');
  t.equal(await node(users, { names: ['root'], drivers: ['java'] }).start('a', { user: 'root' }), 'root');
});

t.test('an agent that gives no users says so', async (t) => {
  const { start } = node({ min: -1, max: 89_999 });
  const error: HookError = await start('a').then(
    () => t.fail('it started'),
    (why) => why,
  );
  t.match(
    error.message,
    /wants a user for it, and users \{ \} in the client block of the agent allows none; name one in the job/,
  );
  t.equal(error.recoverable, false);
});
