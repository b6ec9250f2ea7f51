// Who comes in, and who does not: races, approval, machines that were installed anew, servers that are put out. Real processes
// over a private DHT on loopback.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { openTestnet } from '../support/testnet.js';

interface Member {
  Name: string;
  Status: string;
  Health: string;
  Key: string;
}

t.test('a mesh lets in whom it should, once', { timeout: 240_000 }, async (t) => {
  const testnet = await openTestnet();
  t.teardown(() => testnet.close());
  const machine = async (name: string): Promise<Machine> => {
    const made = await Machine.make({ testnet, name });
    t.teardown(() => made.dispose());
    return made;
  };
  const nas = await machine('nas');
  await nas.start('init', '-name=home');
  const members = () => nas.get<Member[]>('/v1/mesh/members');

  const racers = await Promise.all(['one', 'two', 'three'].map(machine));
  const invite = await nas.invite();
  const outcomes = await Promise.allSettled(racers.map((racer) => racer.start('join', invite)));
  const winners = racers.filter((_, i) => outcomes[i]?.status === 'fulfilled');
  t.equal(winners.length, 1, 'of three that race with one invite one comes in');
  const [winner] = winners as [Machine];
  for (const loser of racers.filter((racer) => racer !== winner)) {
    t.match(loser.log, new RegExp(`this invite was used by ${winner.name} at`), 'the others are told who did');
  }

  t.test('a machine that was installed anew takes its old place', async (t) => {
    const old = (await members()).find(({ Name }) => Name === winner.name);
    await winner.end('SIGKILL');
    rmSync(join(winner.dir, 'data'), { recursive: true, force: true });
    await eventually('its absence to be noticed', async () => {
      const seen = (await members()).find(({ Name }) => Name === winner.name);
      return seen?.Health === 'alive' || seen?.Health === 'suspect' ? undefined : true;
    });
    const again = await nas.invite(`-name=${winner.name}`);
    const refused = await winner.start('join', again).catch(() => winner.log);
    t.match(refused, new RegExp(`add -replace ${winner.name}`));
    await winner.start('join', `-replace=${winner.name}`, again);
    const now = (await members()).filter(({ Name }) => Name === winner.name);
    t.equal(now.find(({ Status }) => Status === 'admitted')?.Key === old?.Key, false, 'with a key of its own');
    t.equal(now.find(({ Key }) => Key === old?.Key)?.Status, 'revoked');
  });

  t.test('a reusable invite for servers waits for approval, with the same words on both sides', async (t) => {
    const nuc = await machine('nuc');
    const key = await nas.invite('-role=server', '-uses=2');
    const started = nuc.start('join', key);
    const { Words } = await nuc.step('pending');
    t.match(await nas.cli(['approve', 'nuc']), {
      code: 1,
      err: new RegExp(`compare the words \\(${String(Words)}\\)`),
    });
    t.match(await nas.cli(['approve', '-yes', 'nuc']), { code: 0, out: /nuc is a member \(server\)/ });
    t.match(await started, { Mesh: { Self: { name: 'nuc', role: 'server' } } });

    await eventually('the second server to know its mesh', async () => {
      const list = await nuc.get<Member[]>('/v1/mesh/members');
      return list.some(({ Name, Health }) => Name === winner.name && Health === 'alive') ? true : undefined;
    });
    t.match(await nas.cli(['revoke', '-yes', 'nuc']), { code: 0, out: /the whole state/ });
    await eventually('its links to be closed', async () => {
      const { Links } = await nuc.get<{ Links: object[] }>('/v1/agent/net');
      return Links.length === 0 ? true : undefined;
    });
  });

  t.test('everybody is still known after the server has started again', async (t) => {
    const before = (await members()).map(({ Key, Status }) => [Key, Status]).sort();
    await nas.end('SIGKILL');
    await nas.start('up');
    const after = await eventually('the server to lead', async () => {
      const list = await members();
      return list.map(({ Key, Status }) => [Key, Status]).sort();
    });
    t.strictSame(after, before);
    await eventually('the client to be linked again', async () => {
      const list = await members();
      return list.some(({ Name, Health }) => Name === winner.name && Health === 'alive') ? true : undefined;
    });
  });
});
