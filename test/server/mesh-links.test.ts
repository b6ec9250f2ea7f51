// Admission over real links: a server and a client, each with its roster and its link manager, over a network in memory.
import t, { type Test } from 'tap';
import { meshServers } from '../../lib/agent/mesh/servers.js';
import type { MeshClock } from '../../lib/transport/clock.js';
import { systemClock } from '../../lib/transport/clock.js';
import { followRoster } from '../../lib/transport/follow-roster.js';
import { createAddressBook } from '../../lib/transport/mesh/address-book.js';
import { createPeers } from '../../lib/transport/mesh/peers.js';
import { openMeshHome } from '../../lib/transport/mesh-home.js';
import type { Peers } from '../../lib/transport/peers.js';
import { createRoster, type MemberRoster, saveMembership } from '../../lib/transport/roster.js';
import type { RpcHandlers } from '../../lib/transport/rpc.js';
import type { SigningKey } from '../../lib/transport/signature.js';
import { spreadTombstones, tombstoneHandlers } from '../../lib/transport/spread-tombstones.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { eventually } from '../support/mesh-agent.js';
import { patience } from '../support/patience.js';
import { createMeshWorld, type MeshWorld, newKey } from './mesh-world.js';

const DAY_MS = 86_400_000;

/** The link manager of one agent, at the time of the test. */
function linksOf(t: Test, world: MeshWorld, identity: SigningKey, roster: MemberRoster, handlers: RpcHandlers): Peers {
  const clock: MeshClock = { ...systemClock, now: world.time.now };
  const peers = createPeers({
    network: world.memory.join(identity),
    roster,
    certificate: () => roster.own(),
    verify: (key, chain) => roster.verify(key, chain),
    vouch: (claims) => roster.vouch(claims),
    topics: () => roster.info().DiscoverySecrets.map((secret) => Buffer.from(secret, 'hex')),
    handlers: { ...handlers, ...tombstoneHandlers(roster) },
    streamHandlers: {},
    relay: false,
    addressBook: createAddressBook({ path: null, clock, log: silentLog }),
    log: silentLog,
    clock,
    random: seededRandom(3),
    version: 'test',
  });
  spreadTombstones(roster, peers);
  // Links have timers that keep no process alive.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(async () => {
    clearInterval(alive);
    await peers.close();
  });
  return peers;
}

/** A client that joined, and is not linked yet; before anybody is linked `later` happens. */
async function joined<T>(t: Test, later?: (world: MeshWorld) => Promise<T>) {
  const world = await createMeshWorld(t);
  const identity = newKey();
  const { membership } = await world.join(await world.invite(), { identity });
  const home = openMeshHome(null);
  saveMembership(home, membership);
  const happened = await later?.(world);
  const roster = createRoster({ home, key: identity.publicKey, now: world.time.now, log: silentLog });
  const { founder } = world;
  const server = linksOf(t, world, founder.identity, founder.roster, founder.server.handlers);
  await server.start();
  const client = linksOf(t, world, identity, roster, {});
  const servers = meshServers({
    peers: client,
    servers: () => [founder.identity.publicKey],
    nameOf: () => 'nas',
    isClient: () => false,
    monotonicMs: () => performance.now(),
  });
  const link = async (): Promise<void> => {
    client.keep([founder.identity.publicKey]);
    await client.start();
    const clock: MeshClock = { ...systemClock, now: world.time.now };
    t.teardown(followRoster({ roster, servers, clock, random: seededRandom(5), log: silentLog }));
  };
  t.teardown(() => roster.close());
  return { ...world, identity, roster, client, server, servers, link, happened: happened as T };
}

t.test(
  'a machine that was away until its certificate had ended is let in to renew it, and is a member as before',
  async (t) => {
    const { time, roster, servers, link, store, identity } = await joined(t);
    time.sleep(200 * DAY_MS);
    t.ok(roster.own().claims.NotAfter < time.now(), 'it has ended');
    await link();
    await eventually('the certificate to be renewed', () =>
      roster.own().claims.NotAfter > time.now() ? true : undefined,
    );
    t.equal(roster.own().claims.Serial, store.snapshot().meshMember(identity.publicKey)?.Serial);
    const info = await eventually('everything else to be answered', async () => servers.call('Mesh.Info', {}));
    t.equal(info.Members, 2);
  },
);

t.test('who is put out loses its links within two seconds, and gets no others', async (t) => {
  const { founder, client, server, link, identity, roster } = await joined(t);
  await link();
  await eventually('the link', () => (client.linked().length > 0 && server.linked().length > 0 ? true : undefined));
  const began = performance.now();
  await founder.call('Mesh.Revoke', { Member: 'pi' });
  await eventually('its end', () => (client.linked().length === 0 && server.linked().length === 0 ? true : undefined));
  const ms = performance.now() - began;
  t.ok(ms < patience(2_000), `${Math.round(ms)} ms`);
  t.notOk(server.linked().some(({ key }) => key === identity.publicKey));
  const again = client.caller(founder.identity.publicKey).call('Mesh.Info', {}, { timeoutMs: 500 });
  await t.rejects(again, { code: 'E_TIMEOUT' });
  t.ok(roster.own(), 'it still knows who it was');
});

t.test('a machine that was away while all servers were replaced finds the new ones by what they prove', async (t) => {
  const key = newKey();
  const world = await joined(t, async ({ serve, join, invite }) => {
    const text = await invite({ Role: 'server' });
    return serve(await join(text, { identity: key, name: 'nuc' }), key);
  });
  const { founder, server, roster, client, link, memory, time, happened: second } = world;
  founder.consensus.lead(false);
  await server.close();
  memory.powerOff(founder.identity.publicKey);
  second.consensus.lead(true);
  await time.advance(20);
  const stranger = newKey();
  const passer = memory.join(stranger);
  await passer.listen({ admit: () => true, onConnection: ({ stream }) => stream.resume() });
  const topics = roster.info().DiscoverySecrets.map((secret) => Buffer.from(secret, 'hex'));
  passer.discover(topics, { announce: true, onFound: () => {} });
  t.equal(roster.find(key.publicKey), undefined, 'nobody has told it');
  const links = linksOf(t, world, key, second.roster, second.server.handlers);
  await links.start();
  await link();
  await eventually('the new server to be linked', () =>
    client.linked().some((peer) => peer.key === key.publicKey) ? true : undefined,
  );
  t.match(roster.find(key.publicKey), { name: 'nuc', role: 'server', status: 'admitted' });
  t.equal(roster.find(stranger.publicKey), undefined, 'who only knows the topic is nobody');
  await passer.close();
});
