// Who comes in, and who is put out: a race, approval, a client while no server leads, a server. Real processes over a private DHT
// on loopback.
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

  const nuc = await machine('nuc');
  await t.test('a reusable invite for servers waits for approval, with the same words on both sides', async (t) => {
    const key = await nas.invite('-role=server', '-uses=2');
    const started = nuc.start('join', key);
    const { Words } = await nuc.step('pending');
    t.match(await nas.cli(['approve', 'nuc']), {
      code: 1,
      err: new RegExp(`compare the words \\(${String(Words)}\\)`),
    });
    t.match(await nas.cli(['approve', '-yes', 'nuc']), { code: 0, out: /nuc is a member \(server\)/ });
    t.match(await started, { Mesh: { Self: { name: 'nuc', role: 'server' } } });
    await eventually('the second server to see the client', async () => {
      const list = await nuc.get<Member[]>('/v1/mesh/members');
      return list.some(({ Name, Health }) => Name === winner.name && Health === 'alive') ? true : undefined;
    });
  });

  const noLinks = (of: Machine, to: string): Promise<true> =>
    eventually(`${of.name} to have no link with ${to}`, async () => {
      const { Links } = await of.get<{ Links: { Name?: string; To: string }[] }>('/v1/agent/net');
      const key = (await nuc.get<Member[]>('/v1/mesh/members?stale')).find(({ Name }) => Name === to)?.Key;
      return Links.some((link) => link.To === key) ? undefined : true;
    });

  await t.test('the other server signs a client out while the leader does not answer', async (t) => {
    await eventually('the other server to have heard of it', async () => {
      const known = await nuc.get<Member[]>('/v1/mesh/members?stale');
      return known.some(({ Name }) => Name === winner.name) || undefined;
    });
    process.kill(nas.pid, 'SIGSTOP');
    const said = await nuc.cli(['revoke', '-yes', '-reason=stolen', winner.name]);
    t.match(said, { code: 0, out: /is out/, err: /No server leads/ });
    await noLinks(nuc, winner.name);
    process.kill(nas.pid, 'SIGCONT');
    await eventually('the leader to write it down', async () => {
      const gone = (await members()).find(({ Name }) => Name === winner.name);
      return gone?.Status === 'revoked' ? true : undefined;
    });
  });

  await t.test('a server is put out', async (t) => {
    t.match(await nas.cli(['revoke', '-yes', 'nuc']), { code: 0, out: /the whole state/ });
    await eventually('its links to be closed', async () => {
      const { Links } = await nuc.get<{ Links: object[] }>('/v1/agent/net');
      return Links.length === 0 ? true : undefined;
    });
  });

  await t.test('everybody is still known after the server has started again, in and out', async (t) => {
    const known = async () => (await members()).map(({ Key, Status }) => [Key, Status]).sort();
    const before = await known();
    await nas.end('SIGKILL');
    await nas.start('up');
    t.strictSame(await eventually('the server to lead', known), before);
  });
});
