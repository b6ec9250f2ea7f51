import { fileURLToPath } from 'node:url';
import t, { type Test as TapTest } from 'tap';
import type { LinkReport, NetReport } from '../../lib/structs/mesh.js';
import { LabChild, type LabEvent } from '../support/lab-child.js';
import { eventually } from '../support/mesh-agent.js';
import { missingForLabs, Netlab } from '../support/netlab.js';
import { openNetworkLab } from '../support/network-lab.js';
import { patience } from '../support/patience.js';

// Links between real processes behind NATs: what link managers promise beyond what a network does.

const skip = missingForLabs() ?? false;
const PEER = fileURLToPath(new URL('./links-peer.js', import.meta.url));

interface News extends LabEvent {
  event: 'ready' | 'up' | 'down';
  key: string;
}

class Member extends LabChild<News> {
  get key(): string {
    return this.events[0]?.key ?? '';
  }

  tell<T>(what: string, ...keys: string[]): Promise<T> {
    return this.ask({ do: what, keys });
  }

  /** How old its link is, and by which way it goes. */
  async link(): Promise<LinkReport | undefined> {
    return (await this.tell<NetReport>('report')).Links[0];
  }
}

type Lab = Awaited<ReturnType<typeof openNetworkLab>>;

async function member(
  net: Lab,
  host: string,
  options: { host?: string; relay?: boolean; mdns?: boolean } = {},
): Promise<Member> {
  const start = { bootstrap: net.bootstrap, relay: false, mdns: false, ...options };
  const one = new Member(net.lab.spawn(host, process.execPath, ['--enable-source-maps', PEER, JSON.stringify(start)]));
  await one.event('ready');
  return one;
}

/** Waits for a link that is younger than what happened to it; answers how long after that it stood. */
async function healed(what: string, a: Member, b: Member, beganMs: number): Promise<number> {
  await eventually(
    `${what}: a new link`,
    async () => {
      const age = performance.now() - beganMs;
      const [one, other] = await Promise.all([a.link(), b.link()]);
      return (one && other && one.SinceMs < age && other.SinceMs < age) || undefined;
    },
    30_000,
  );
  await a.tell('call', b.key);
  return performance.now() - beganMs;
}

function check(t: TapTest, what: string, ms: number, limitMs: number): void {
  t.ok(ms <= patience(limitMs), `${what}: ${Math.round(ms)} ms, at most ${limitMs}`);
}

t.test('links heal by themselves, and are given up in time', { skip, timeout: 180_000 }, async (t) => {
  const net = await openNetworkLab({ dht: true, homes: { A: { nat: 'cone' }, B: { nat: 'cone' } } });
  t.teardown(() => net.close());
  const [a, b] = await Promise.all([member(net, 'homeA1'), member(net, 'homeB1')]);
  const beganMs = performance.now();
  await Promise.all([a.tell('keep', b.key), b.tell('keep', a.key)]);
  await Promise.all([a.event('up'), b.event('up')]);
  check(t, 'two homes are linked', performance.now() - beganMs, 10_000);

  const changes: [string, () => Promise<void>][] = [
    ['a router gets another public address', () => net.lab.setPublicAddress('A', 77)],
    ['DHCP gives a host another address', () => net.lab.setAddress('homeB1', 98)],
  ];
  for (const [what, change] of changes) {
    const changedMs = performance.now();
    await change();
    check(t, what, await healed(what, a, b, changedMs), 10_000);
  }

  const stoppedMs = performance.now();
  b.child.kill('SIGSTOP');
  const down = await a.event('down', stoppedMs);
  check(t, 'a stopped process is noticed', down.atMs - stoppedMs, 5_000);
  await eventually('5 s to pass', () => performance.now() - down.atMs > 5_000 || undefined);
  const continuedMs = performance.now();
  b.child.kill('SIGCONT');
  check(t, 'one that goes on is linked again', await healed('going on', a, b, continuedMs), 10_000);

  const killedMs = performance.now();
  b.child.kill('SIGKILL');
  check(t, 'a killed process is noticed', (await a.event('down', killedMs)).atMs - killedMs, 5_000);
});

t.test('a revoked member is out within 2 s, on the side that was told', { skip, timeout: 60_000 }, async (t) => {
  const net = await openNetworkLab({ dht: true, homes: { A: { nat: 'cone' }, B: { nat: 'cone' } } });
  t.teardown(() => net.close());
  const [a, b] = await Promise.all([member(net, 'homeA1'), member(net, 'homeB1')]);
  await b.tell('keep', a.key);
  await Promise.all([a.event('up'), b.event('up')]);
  const revokedMs = performance.now();
  await a.tell('revoke', b.key);
  const [there, here] = await Promise.all([b.event('down', revokedMs), a.event('down', revokedMs)]);
  check(t, 'there', there.atMs - revokedMs, 2_000);
  check(t, 'here', here.atMs - revokedMs, 2_000);
  await eventually('5 s of tries', () => performance.now() - revokedMs > 5_000 || undefined);
  t.notOk(
    a.events.some(({ event, atMs }) => event === 'up' && atMs > revokedMs),
    'it does not come in again',
  );
});

t.test('a large answer does not wait for a second link that a NAT makes slow', { skip, timeout: 90_000 }, async (t) => {
  const net = await openNetworkLab({ dht: true, homes: { A: { nat: 'symmetric' }, B: { nat: 'cone' } } });
  t.teardown(() => net.close());
  const [a, b] = await Promise.all([member(net, 'homeA1'), member(net, 'homeB1')]);
  const beganMs = performance.now();
  await a.tell('keep', b.key);
  await Promise.all([a.event('up'), b.event('up')]);
  check(t, 'the first link', performance.now() - beganMs, 15_000);
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const askedMs = performance.now();
    t.ok((await from.tell<number>('large', to.key)) > 300_000);
    check(t, 'a large answer', performance.now() - askedMs, 3_000);
  }
});

t.test(
  'two symmetric NATs are linked through a member that relays, and it is said',
  { skip, timeout: 90_000 },
  async (t) => {
    const net = await openNetworkLab({ dht: true, homes: { A: { nat: 'symmetric' }, B: { nat: 'symmetric' } } });
    t.teardown(() => net.close());
    const hub = await member(net, 'pub', { host: Netlab.publicAddress(8), relay: true });
    const [a, b] = await Promise.all([member(net, 'homeA1'), member(net, 'homeB1')]);
    await eventually(
      'the hub to know that it is reachable',
      async () => (await hub.tell<NetReport>('report')).Relays || undefined,
    );
    for (const one of [a, b]) await one.tell('keep', hub.key);
    await Promise.all([a.event('up'), b.event('up')]);
    const beganMs = performance.now();
    await a.tell('call', b.key);
    check(t, 'a call, its link included', performance.now() - beganMs, 15_000);
    const { Links, Problems, Nat } = await a.tell<NetReport>('report');
    t.equal(Nat, 'random');
    t.match(
      Links.find(({ To }) => To === b.key),
      { Path: { Kind: 'relayed' } },
    );
    t.match(Problems.join(), /is reached through a relay/);
  },
);

t.test(
  'a machine whose UDP is blocked works by way of one on its network that is let out',
  { skip, timeout: 120_000 },
  async (t) => {
    const net = await openNetworkLab({
      dht: true,
      homes: { A: { nat: 'blocked', hosts: 2, excepted: [2] }, B: { nat: 'cone' } },
    });
    t.teardown(() => net.close());
    const [blocked, mate, far] = await Promise.all([
      member(net, 'homeA1', { mdns: true }),
      member(net, 'homeA2', { mdns: true }),
      member(net, 'homeB1'),
    ]);
    await mate.tell('keep', far.key);
    await mate.event('up');
    // It knows nobody here: multicast tells it of its mate.
    await blocked.tell('keep', far.key);
    const links = async (): Promise<LinkReport[]> => (await blocked.tell<NetReport>('report')).Links;
    const beganMs = performance.now();
    await eventually('both links', async () => (await links()).length === 2 || undefined, 60_000);
    check(t, 'the carried link', performance.now() - beganMs, 15_000);
    await blocked.tell('call', far.key);
    await far.tell('call', blocked.key);
    t.ok((await blocked.tell<number>('large', far.key)) > 300_000);
    t.match(
      (await links()).find(({ To }) => To === far.key),
      { Path: { Kind: 'relayed', Relay: mate.key } },
    );
    const { Problems } = await blocked.tell<NetReport>('report');
    t.match(Problems.join(), /is reached through a member that carries the bytes/);
    const killedMs = performance.now();
    mate.child.kill('SIGKILL');
    check(t, 'a carrier that is gone is noticed', (await far.event('down', killedMs)).atMs - killedMs, 8_000);
  },
);
