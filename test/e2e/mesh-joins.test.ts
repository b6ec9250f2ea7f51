// Many machines that come at once, one that comes again, one that goes, one that has to be approved.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { openTestnet } from '../support/testnet.js';

interface Member {
  Name: string;
  Role: string;
  Status: string;
  Words: string;
  Health: string;
}

/** As many processes as two shared cores bear; a hundred join at once in test/server/mesh-joins.test.ts. */
const AT_ONCE = 12;

t.test('machines come and go', { timeout: 240_000 }, async (t) => {
  const testnet = await openTestnet();
  t.teardown(() => testnet.close());
  const machines: Machine[] = [];
  const make = async (name: string, env: Record<string, string> = {}): Promise<Machine> => {
    const machine = await Machine.make({ testnet, name, env });
    machines.push(machine);
    return machine;
  };
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-invites-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  /** One more way to say the invite for each, as far as there are ways. */
  const makeJoiner = async (name: string, i: number): Promise<{ machine: Machine; words: string[] }> => {
    const invite = await nas.invite();
    const credentials = join(folder, name);
    const file = join(credentials, 'join-key');
    mkdirSync(credentials);
    if (i < 3) writeFileSync(file, `${invite}\n`, { mode: 0o600 });
    switch (i) {
      case 0:
        return { machine: await make(name), words: [`@${file}`] };
      case 1:
        return { machine: await make(name), words: [`-key-file=${file}`] };
      case 2:
        return { machine: await make(name, { CREDENTIALS_DIRECTORY: credentials }), words: [] };
      case 3:
        return { machine: await make(name, { MESHNOMAD_JOIN_KEY: invite }), words: [] };
      default:
        return { machine: await make(name), words: [invite] };
    }
  };
  t.teardown(() => Promise.all(machines.map((machine) => machine.dispose())));
  const members = (): Promise<Member[]> => nas.get<Member[]>('/v1/mesh/members');
  const member = async (name: string): Promise<Member | undefined> =>
    (await members()).find(({ Name }) => Name === name);

  const nas = await make('nas');
  await nas.start('init');

  await t.test('many at once', { timeout: 120_000 }, async (t) => {
    const names = Array.from({ length: AT_ONCE }, (_, i) => `m${i}`);
    const joins = await Promise.all(names.map(makeJoiner));
    const codes = await Promise.all(joins.map(({ machine, words }) => machine.run('join', '-no-start', ...words)));
    const failed = joins.filter((_, i) => codes[i] !== 0);
    t.same(
      failed.map(({ machine }) => machine.log.slice(-2_000)),
      [],
    );
    const known = new Set((await members()).map(({ Name }) => Name));
    for (const name of names) t.ok(known.has(name), name);
    const slowest = Math.max(...joins.map(({ machine }) => Number(machine.steps.at(-1)?.['Ms'])));
    t.comment(`${AT_ONCE} joins, the slowest in ${slowest} ms`);
  });

  await t.test('one that was installed anew takes its place again', async (t) => {
    const anew = await make('m0');
    const plain = await anew.run('join', '-no-start', await nas.invite());
    t.equal(plain, 1, 'a name that somebody chose is not given twice');
    t.match(anew.log, /m0/);
    t.equal(await anew.run('join', '-no-start', '-replace=m0', await nas.invite('-name=m0')), 0, anew.log);
    t.equal((await members()).filter(({ Name, Status }) => Name === 'm0' && Status === 'admitted').length, 1);
  });

  await t.test('one that somebody has to approve shows four words', { timeout: 60_000 }, async (t) => {
    const guest = await make('guest');
    const running = guest.run('join', '-no-start', await nas.invite('-approve'));
    const { Words } = await guest.step('pending');
    t.equal((await member('guest'))?.Words, Words);
    const said = await nas.cli(['approve', '-yes', 'guest']);
    t.match(said, { code: 0, out: new RegExp(String(Words)) });
    t.equal(await running, 0);
    t.match(await member('guest'), { Status: 'admitted' });
  });

  await t.test('an invite in a file of the configuration', { timeout: 60_000 }, async (t) => {
    const image = await make('image');
    await image.startAgent(await nas.invite());
    await eventually('it to be a member', async () => (await member('image'))?.Health === 'alive' || undefined);
    await image.end('SIGTERM');
    await image.startAgent('mn1-used-already');
    t.pass('who is a member needs it no more');
  });

  await t.test('one that leaves', { timeout: 60_000 }, async (t) => {
    const berta = await make('berta');
    await berta.start('join', await nas.invite());
    const left = await berta.cli(['leave', '-yes']);
    t.equal(left.code, 0, left.err);
    t.match(left.out, /has left its mesh/);
    await eventually('its agent to end', () => berta.ended || undefined);
    t.match(await member('berta'), { Status: 'left' });
    t.equal(await berta.run('join', '-no-start', await nas.invite()), 0, `it may come again:\n${berta.log}`);
    t.match(await nas.cli(['leave', '-yes']), { code: 1, err: /only server/ });
  });
});
