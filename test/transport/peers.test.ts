import { once } from 'node:events';
import t, { type Test as TapTest } from 'tap';
import type { MeshRole } from '../../lib/structs/mesh.js';
import type { RpcHandlers, RpcStreamHandlers } from '../../lib/transport/rpc.js';
import { createMemoryMesh, type MemoryMesh, type MeshNode, testCertificate } from '../support/memory-mesh.js';

const handlers: RpcHandlers = {
  'Status.Ping': async (_, { peer }) => ({ from: peer }),
  'Status.Leader': async () => ({ Leader: 'me' }),
  'Job.List': async () => ({ Jobs: [], Index: 1, LastContactMs: 0, KnownLeader: true, Filler: 'x'.repeat(200_000) }),
};

const streamHandlers: RpcStreamHandlers = {
  'FileSystem.Logs': (_, stream, { peer }) => {
    stream.write({ Data: Buffer.from(peer?.name ?? '') });
    stream.end();
  },
};

async function meshOf(
  t: TapTest,
  roles: readonly MeshRole[],
  options: Parameters<typeof createMemoryMesh>[1] = {},
): Promise<MemoryMesh & { node(n: number): MeshNode }> {
  const mesh = await createMemoryMesh(roles, { peers: () => ({ handlers, streamHandlers }), ...options });
  t.teardown(() => mesh.close());
  return {
    ...mesh,
    node(n) {
      const found = mesh.nodes[n - 1];
      if (!found) throw new Error(`no node ${n}`);
      return found;
    },
  };
}

const linkedTo = (node: MeshNode, other: MeshNode): boolean => node.peers.linked().some(({ key }) => key === other.key);
const both = (a: MeshNode, b: MeshNode): boolean => linkedTo(a, b) && linkedTo(b, a);

t.test('a call opens the link it needs, and the one who answers knows who asks', async (t) => {
  const { clock, node } = await meshOf(t, ['server', 'client']);
  const call = node(2).peers.caller(node(1).key).call('Status.Ping', {});
  await clock.until(() => both(node(1), node(2)), 1_000);
  await clock.advance(20);
  t.same(await call, { from: { key: node(2).key, role: 'client', name: 'n2' } });
  t.match(node(2).peers.linked()[0], { key: node(1).key, claims: { Name: 'n1', Role: 'server' } });
});

t.test('a member asks itself without a link', async (t) => {
  const { node } = await meshOf(t, ['server']);
  t.same(await node(1).peers.caller(node(1).key).call('Status.Leader', {}), { Leader: 'me' });
});

t.test('a large answer comes over the bulk link, once', async (t) => {
  const { clock, node } = await meshOf(t, ['server', 'server']);
  const call = node(2).peers.caller(node(1).key).call('Job.List', {});
  await clock.advance(500);
  t.match(await call, { Jobs: [], Filler: 'x'.repeat(200_000) });
  const [peer] = node(2).peers.linked();
  t.ok((peer?.report.ReceivedBytes ?? 0) > 200_000);
});

t.test('a stream goes over bulk, and says who asks', async (t) => {
  const { clock, node } = await meshOf(t, ['server', 'server']);
  const stream = node(2).peers.caller(node(1).key).stream('FileSystem.Logs', {
    AllocID: 'a',
    Task: 't',
    LogType: 'stdout',
    Offset: 0,
    Origin: 'start',
    Follow: false,
  });
  stream.end();
  const ended = once(stream, 'end');
  const messages: { Data: Uint8Array }[] = [];
  stream.on('data', (message) => messages.push(message));
  await clock.advance(500);
  await ended;
  t.equal(Buffer.from(messages[0]?.Data ?? []).toString(), 'n2');
});

t.test('where no second link can be had, streams and larger answers take the first one', async (t) => {
  const { clock, node, net } = await meshOf(t, ['server', 'server']);
  node(2).peers.keep([node(1).key]);
  await clock.until(() => both(node(1), node(2)), 1_000);
  // From now on nothing more gets through between the two.
  net.needRelay(node(1).key, node(2).key);
  const caller = node(2).peers.caller(node(1).key);
  const stream = caller.stream('FileSystem.Logs', {
    AllocID: 'a',
    Task: 't',
    LogType: 'stdout',
    Offset: 0,
    Origin: 'start',
    Follow: false,
  });
  const messages: unknown[] = [];
  stream.on('data', (message) => messages.push(message));
  stream.end();
  const call = caller.call('Job.List', {});
  await clock.advance(1_500);
  t.equal(messages.length, 1);
  t.match(await call, { Jobs: [] });
});

t.test('both sides dial at once: one link is left, the same at both', async (t) => {
  for (const delayMs of [0, 1, 40]) {
    for (let seed = 1; seed <= 10; seed++) {
      const { clock, node, net } = await meshOf(t, ['server', 'server'], { delayMs, seed });
      const ups: string[] = [];
      for (const n of [1, 2]) node(n).peers.onLink((_, up) => ups.push(`${n}${up ? '+' : '-'}`));
      node(1).peers.keep([node(2).key]);
      node(2).peers.keep([node(1).key]);
      await clock.until(() => both(node(1), node(2)), 1_000);
      await clock.advance(3_000);
      t.ok(both(node(1), node(2)), `delay ${delayMs}, seed ${seed}`);
      t.equal(net.connections(), 1, `delay ${delayMs}, seed ${seed}: one connection`);
      t.same(ups.sort(), ['1+', '2+'], `delay ${delayMs}, seed ${seed}: one link each, no flapping`);
    }
  }
});

t.test('a half-open connection is dropped after the hello timeout, and dialled again', async (t) => {
  const { clock, node, net } = await meshOf(t, ['server', 'server']);
  net.halfOpenNext(node(2).key);
  node(1).peers.keep([node(2).key]);
  const tookMs = await clock.until(() => both(node(1), node(2)), 5_000);
  t.ok(tookMs > 1_000 && tookMs < 1_500, `${tookMs} ms`);
});

t.test(
  'a kept link whose machine loses power is noticed within some 3 s, and is back when the machine is',
  async (t) => {
    const mesh = await meshOf(t, ['server', 'server']);
    const { clock, node, net } = mesh;
    node(1).peers.keep([node(2).key]);
    await clock.until(() => both(node(1), node(2)), 1_000);
    await clock.advance(20_000);
    net.powerOff(node(2).key);
    const noticedMs = await clock.until(() => !linkedTo(node(1), node(2)), 10_000);
    t.ok(noticedMs >= 2_000 && noticedMs <= 4_000, `noticed after ${noticedMs} ms`);
    await clock.advance(20_000);
    const again = mesh.add(2, 'server', { handlers });
    await again.peers.start();
    const backMs = await clock.until(() => linkedTo(node(1), again), 12_000);
    t.ok(backMs <= 11_000, `back after ${backMs} ms`);
  },
);

t.test('a restarted machine that dials replaces its own dead link at once', async (t) => {
  const mesh = await meshOf(t, ['server', 'client']);
  const { clock, node } = mesh;
  node(2).peers.keep([node(1).key]);
  await clock.until(() => both(node(1), node(2)), 1_000);
  await clock.advance(500);
  const again = mesh.add(2, 'client');
  const heard: boolean[] = [];
  node(1).peers.onLink((_, up) => heard.push(up));
  await again.peers.start();
  again.peers.keep([node(1).key]);
  const tookMs = await clock.until(() => linkedTo(again, node(1)), 1_000);
  await clock.advance(50);
  t.ok(tookMs < 100, `${tookMs} ms`);
  t.same(heard, [false, true], 'the other side hears that it was away');
});

t.test('a revoked member is cut off at once, and does not come in again', async (t) => {
  const { clock, node, roster } = await meshOf(t, ['server', 'client', 'client']);
  node(2).peers.keep([node(1).key]);
  node(3).peers.keep([node(1).key]);
  await clock.until(() => both(node(1), node(2)) && both(node(1), node(3)), 1_000);
  const stream = node(2).peers.caller(node(1).key).call('Status.Ping', {});
  roster.setStatus(node(2).key, 'revoked');
  const failed = t.rejects(stream, { code: /E_TIMEOUT|E_PERMISSION_DENIED/ });
  const tookMs = await clock.until(() => !linkedTo(node(1), node(2)) && !linkedTo(node(2), node(1)), 2_000);
  await failed;
  t.ok(tookMs <= 50, `${tookMs} ms`);
  await clock.advance(30_000);
  t.notOk(linkedTo(node(1), node(2)));
  t.ok(both(node(1), node(3)), 'others keep their links');
  await t.rejects(node(1).peers.caller(node(2).key).call('Status.Ping', {}), { code: 'E_PERMISSION_DENIED' });
});

t.test('a revocation that only one side knows of holds on it', async (t) => {
  const mesh = await meshOf(t, ['server']);
  const { clock, node } = mesh;
  const { TestRoster } = await import('../support/memory-mesh.js');
  mesh.roster.set('2'.padStart(64, '0'), { name: 'n2', role: 'client', status: 'admitted' });
  const deaf = mesh.add(2, 'client', { ownRoster: new TestRoster(mesh.roster) });
  await deaf.peers.start();
  deaf.peers.keep([node(1).key]);
  await clock.until(() => both(node(1), deaf), 1_000);
  mesh.roster.setStatus(deaf.key, 'revoked');
  await clock.until(() => !linkedTo(node(1), deaf) && !linkedTo(deaf, node(1)), 100);
  await clock.advance(60_000);
  t.notOk(linkedTo(node(1), deaf));
  t.notOk(linkedTo(deaf, node(1)));
});

t.test('after a partition the links are there again without a word from anybody', async (t) => {
  const { clock, node, net } = await meshOf(t, ['server', 'server', 'server']);
  const keys = [1, 2, 3].map((n) => node(n).key);
  for (const n of [1, 2, 3]) node(n).peers.keep(keys);
  const whole = (): boolean => both(node(1), node(2)) && both(node(1), node(3)) && both(node(2), node(3));
  await clock.until(whole, 1_000);
  await clock.advance(10_000);
  net.partition([[keys[0] ?? ''], [keys[1] ?? '', keys[2] ?? '']]);
  await clock.until(() => node(1).peers.linked().length === 0 && node(2).peers.linked().length === 1, 6_000);
  await clock.advance(30_000);
  t.ok(both(node(2), node(3)), 'the other half is not disturbed');
  net.heal();
  const healedMs = await clock.until(whole, 15_000);
  t.ok(healedMs <= 14_000, `${healedMs} ms`);
});

t.test('one-way silence ends a link at both sides', async (t) => {
  const { clock, node, net } = await meshOf(t, ['server', 'server']);
  node(1).peers.keep([node(2).key]);
  node(2).peers.keep([node(1).key]);
  await clock.until(() => both(node(1), node(2)), 1_000);
  await clock.advance(10_000);
  net.cutOneWay(node(1).key, node(2).key);
  await clock.until(() => !linkedTo(node(1), node(2)) && !linkedTo(node(2), node(1)), 6_000);
  t.pass('within 6 s');
});

t.test('an address change heals within seconds: the one who moved looks around, the other follows', async (t) => {
  const { clock, node, net } = await meshOf(t, ['server', 'server']);
  node(1).peers.keep([node(2).key]);
  node(2).peers.keep([node(1).key]);
  await clock.until(() => both(node(1), node(2)), 1_000);
  await clock.advance(10_000);
  net.move(node(2).key);
  const movedMs = clock.monotonicMs();
  const fresh = (n: number): boolean =>
    (node(n).peers.linked()[0]?.report.SinceMs ?? Number.POSITIVE_INFINITY) < clock.monotonicMs() - movedMs;
  const tookMs = await clock.until(() => fresh(1) && fresh(2), 10_000);
  t.ok(tookMs <= 3_000, `${tookMs} ms`);
});

t.test('a machine that slept looks around and does not blame the others', async (t) => {
  const { clock, node } = await meshOf(t, ['server', 'server']);
  node(1).peers.keep([node(2).key]);
  await clock.until(() => both(node(1), node(2)), 1_000);
  await clock.advance(5_000);
  clock.jump(3_600_000);
  await clock.advance(5_000);
  t.ok(both(node(1), node(2)), 'links that live are kept');
  t.ok(node(1).logged.some((line) => line.includes('time went on without this process')));
});

t.test('a link opened on demand is closed when idle, by the side that dialled it', async (t) => {
  const { clock, node, net } = await meshOf(t, ['server', 'server']);
  const call = node(2).peers.caller(node(1).key).call('Status.Ping', {});
  await clock.advance(200);
  await call;
  await clock.advance(50_000);
  t.ok(both(node(1), node(2)));
  await clock.advance(15_000);
  t.equal(net.connections(), 0);
});

t.test(
  'a member without a direct link is reached by datagram through a server, and answers the same way',
  async (t) => {
    const { clock, node, net } = await meshOf(t, ['server', 'client', 'client', 'server']);
    for (const n of [2, 3]) node(n).peers.keep([node(1).key, node(4).key]);
    await clock.until(() => [2, 3].every((n) => both(node(n), node(1)) && both(node(n), node(4))), 1_000);
    const heard: string[] = [];
    for (const n of [2, 3]) {
      node(n).peers.onDatagram('gossip', (from, data) => {
        heard.push(`${n} hears ${Buffer.from(data).toString()} of ${from.slice(-1)}`);
        if (n === 3) node(3).peers.send(from, 'gossip', Buffer.from('pong'));
      });
    }
    const before = net.connections();
    node(2).peers.send(node(3).key, 'gossip', Buffer.from('ping'));
    await clock.advance(100);
    t.same(heard, ['3 hears ping of 2', '2 hears pong of 3']);
    t.equal(net.connections(), before, 'no link was opened for it');
  },
);

t.test('where there is no hub for some seconds gossip opens links of its own, and raft at once', async (t) => {
  const { clock, node } = await meshOf(t, ['client', 'client', 'server', 'server']);
  const heard: string[] = [];
  for (const channel of ['gossip', 'raft'] as const) {
    for (const n of [2, 4]) node(n).peers.onDatagram(channel, () => heard.push(`${channel} ${n}`));
  }
  node(3).peers.send(node(4).key, 'raft', Buffer.from('vote'));
  node(1).peers.send(node(2).key, 'gossip', Buffer.from('hello'));
  await clock.advance(3_000);
  t.same(heard, ['raft 4'], 'a hub may be on its way');
  t.same(node(1).peers.linked(), []);
  await clock.advance(1_500);
  node(1).peers.send(node(2).key, 'gossip', Buffer.from('hello'));
  await clock.advance(500);
  t.same(heard, ['raft 4', 'gossip 2']);
});

t.test('a datagram too large for control goes over bulk, and arrives whole', async (t) => {
  const { clock, node } = await meshOf(t, ['server', 'server']);
  node(2).peers.keep([node(1).key]);
  await clock.until(() => both(node(1), node(2)), 1_000);
  const heard: number[] = [];
  node(1).peers.onDatagram('raft', (_, data) => heard.push(data.length));
  for (const bytes of [100, 100_000, 3_000_000, 100_000]) {
    node(2).peers.send(node(1).key, 'raft', new Uint8Array(bytes));
    await clock.advance(500);
  }
  t.same(heard, [100, 100_000, 3_000_000, 100_000]);
});

t.test('a hub passes nothing on to or for those who are no members', async (t) => {
  const { clock, node, roster } = await meshOf(t, ['server', 'client', 'client']);
  for (const n of [2, 3]) node(n).peers.keep([node(1).key]);
  await clock.until(() => both(node(1), node(2)) && both(node(1), node(3)), 1_000);
  let heard = 0;
  node(3).peers.onDatagram('gossip', () => heard++);
  roster.setStatus(node(3).key, 'left');
  node(2).peers.send(node(3).key, 'gossip', Buffer.from('x'));
  await clock.advance(1_000);
  t.equal(heard, 0);
});

t.test('who sends raft datagrams without being a server loses the link', async (t) => {
  const { clock, node } = await meshOf(t, ['server', 'client']);
  node(2).peers.keep([node(1).key]);
  await clock.until(() => both(node(1), node(2)), 1_000);
  let heard = 0;
  node(1).peers.onDatagram('raft', () => heard++);
  node(2).peers.send(node(1).key, 'raft', Buffer.from('vote'));
  await clock.until(() => !linkedTo(node(1), node(2)), 100);
  t.equal(heard, 0);
  t.ok(node(1).logged.some((line) => line.includes('sends raft datagrams')));
});

t.test('a member asks within its rights only', async (t) => {
  const { clock, node } = await meshOf(t, ['server', 'client', 'operator']);
  const ask = async (n: number, method: 'Job.List' | 'Status.Ping'): Promise<string> => {
    const call = node(n).peers.caller(node(1).key).call(method, {});
    const outcome = call.then(
      () => 'answered',
      (error: { code: string }) => error.code,
    );
    await clock.advance(500);
    return outcome;
  };
  t.equal(await ask(2, 'Job.List'), 'E_PERMISSION_DENIED');
  t.equal(await ask(2, 'Status.Ping'), 'answered');
  t.equal(await ask(3, 'Job.List'), 'answered');
});

t.test('an expired certificate is good for renewal, and a renewed one is shown to those who are linked', async (t) => {
  const { clock, node } = await meshOf(t, ['server', 'client']);
  const client = node(2);
  client.certificate = testCertificate({ Key: client.key, Role: 'client', Name: 'n2', NotAfter: clock.now() + 1_000 });
  client.peers.keep([node(1).key]);
  await clock.until(() => both(node(1), client), 1_000);
  const ask = async (): Promise<string> => {
    const outcome = client.peers
      .caller(node(1).key)
      .call('Status.Leader', {})
      .then(
        () => 'answered',
        (error: { code: string }) => error.code,
      );
    await clock.advance(100);
    return outcome;
  };
  t.equal(await ask(), 'answered');
  await clock.advance(2_000);
  t.equal(await ask(), 'E_PERMISSION_DENIED');
  client.certificate = testCertificate({ Key: client.key, Role: 'client', Name: 'n2', Serial: 2 });
  await clock.advance(2_000);
  t.equal(await ask(), 'answered');
  t.equal(node(1).peers.linked()[0]?.claims.Serial, 2);
});

t.test('the report shows links, relays, clocks that differ and UDP that is blocked', async (t) => {
  const { clock, node, net } = await meshOf(t, ['server', 'server', 'server'], { delayMs: 20 });
  net.setNat(node(1).key, 'blocked');
  node(1).peers.keep([node(2).key]);
  await clock.until(() => both(node(1), node(2)), 1_000);
  await clock.advance(3_000);
  const report = node(1).peers.report();
  t.match(report, {
    Key: node(1).key,
    Nat: 'blocked',
    PublicAddress: '',
    Links: [{ From: node(1).key, To: node(2).key, Path: { Kind: 'memory' }, RttMs: 40 }],
  });
  t.ok((report.Links[0]?.SinceMs ?? 0) >= 3_000);
  t.match(report.Problems.join('\n'), /UDP towards the internet is blocked/);
  t.notMatch(report.Problems.join('\n'), /clock/);
});

t.test('clocks that differ are told, by the one and by the other', async (t) => {
  const mesh = await meshOf(t, ['server']);
  const { clock, node } = mesh;
  const ahead = mesh.add(2, 'server', { clock: { ...clock, now: () => clock.now() + 4_000 } });
  await ahead.peers.start();
  ahead.peers.keep([node(1).key]);
  await clock.until(() => both(node(1), ahead), 1_000);
  t.match(node(1).peers.report().Problems.join(), /the clock of n2 is 4\.0 s ahead of this one/);
  t.match(ahead.peers.report().Problems.join(), /the clock of n1 is 4\.0 s behind this one/);
});

t.test('two that cannot meet are linked by a member that relays, and it is told', async (t) => {
  const mesh = await meshOf(t, ['server', 'client', 'client'], { peers: () => ({ handlers, relay: true }) });
  const { clock, node, net } = mesh;
  net.setNat(node(1).key, 'open');
  net.needRelay(node(2).key, node(3).key);
  for (const n of [2, 3]) node(n).peers.keep([node(1).key]);
  await clock.until(() => both(node(1), node(2)) && both(node(1), node(3)), 1_000);
  const call = node(2).peers.caller(node(3).key).call('Status.Ping', {});
  await clock.advance(500);
  await call;
  t.match(
    node(2)
      .peers.report()
      .Links.find(({ To }) => To === node(3).key),
    { Path: { Kind: 'relayed', Relay: node(1).key } },
  );
  t.match(node(2).peers.report().Problems.join(), /n3 is reached through a relay/);
  t.equal(node(1).peers.report().Relays, true);
});

t.test('members find each other by the topic of the day alone', async (t) => {
  const topic = new Uint8Array(32).fill(7);
  const { clock, node, net } = await meshOf(t, ['server', 'server'], {
    peers: () => ({ handlers, topics: () => [topic] }),
  });
  net.setInternet(false);
  node(1).peers.keep([node(2).key]);
  const tookMs = await clock.until(() => both(node(1), node(2)), 15_000);
  t.ok(tookMs < 11_000, `${tookMs} ms`);
});

t.test('who leaves does not wait for a DHT that does not answer', async (t) => {
  const mesh = await createMemoryMesh([]);
  const node = mesh.add(1, 'server', { topics: () => [new Uint8Array(32)] });
  let looked = 0;
  node.network.discover = () => {
    looked++;
    return { refresh: async () => {}, close: () => new Promise(() => {}) };
  };
  await node.peers.start();
  t.equal(looked, 1);
  await node.peers.close();
});
