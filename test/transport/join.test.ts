import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { type ErrorCode, MeshError } from '../../lib/structs/errors.js';
import type { MeshMember } from '../../lib/structs/mesh.js';
import type { RedeemRequest } from '../../lib/structs/rpc-mesh.js';
import { systemClock } from '../../lib/transport/clock.js';
import { foundMesh } from '../../lib/transport/found.js';
import { type Invite, inviteKey } from '../../lib/transport/invite.js';
import { type JoinOptions, joinMesh } from '../../lib/transport/join.js';
import { createJoinDoor } from '../../lib/transport/join-door.js';
import { REQUEST_MAX_BYTES } from '../../lib/transport/join-messages.js';
import { createMemoryNetwork } from '../../lib/transport/memory-network.js';
import { openMeshHome } from '../../lib/transport/mesh-home.js';
import type { Connection } from '../../lib/transport/network.js';
import { sealRoot, unsealRoot } from '../../lib/transport/root-key.js';
import { createRoster, saveMembership } from '../../lib/transport/roster.js';
import type { RpcCaller } from '../../lib/transport/rpc.js';
import { keyFromSeed, sign } from '../../lib/transport/signature.js';
import { fourWords } from '../../lib/transport/words.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { meshInfo, NOW, newKey, smallMesh } from './mesh-world.js';

const member = (changes: Partial<MeshMember>): MeshMember => ({
  Key: '',
  NodeID: '',
  Name: 'pi',
  Role: 'client',
  Tags: {},
  Status: 'admitted',
  Serial: 1,
  Chain: [],
  NotAfter: 0,
  Words: '',
  InviteID: 'i1',
  AdmittedAt: 0,
  AdmittedBy: '',
  Facts: {},
  CreateIndex: 5,
  ModifyIndex: 5,
  ...changes,
});

/** A founder that listens, with a leader that `redeem` plays. */
async function world(t: Test, redeem?: (request: RedeemRequest) => Promise<MeshMember>) {
  const small = smallMesh();
  const memory = createMemoryNetwork({ clock: systemClock, random: seededRandom(1), unreachableMs: 50 });
  const seed = new Uint8Array(randomBytes(16));
  const invite: Invite = {
    mesh: small.mesh,
    discoverySecret: new Uint8Array(randomBytes(32)),
    seed,
    server: small.founder.publicKey,
    role: 'client',
    needsApproval: false,
    expiresAtMs: NOW,
    hints: [],
    bootstrap: 'public',
  };
  const asked: RedeemRequest[] = [];
  const later: { member: MeshMember | null; wake: () => void } = { member: null, wake: () => {} };
  const rpc = {
    async call(method: string, args: RedeemRequest) {
      if (method === 'Mesh.Redeem') {
        asked.push(args);
        const admit = (): MeshMember =>
          member({
            Key: args.Key,
            Name: args.Name,
            Chain: small.admit({ publicKey: args.Key, seed }, { Name: args.Name }),
          });
        return { Member: await (redeem ? redeem(args) : admit()), Mesh: meshInfo(small.mesh, { SealedRoot: 'mr1-x' }) };
      }
      await new Promise<void>((resolve) => {
        later.wake = resolve;
      });
      return { Member: later.member, Index: 9 };
    },
  } as unknown as RpcCaller;
  const door = createJoinDoor({
    identity: small.founder,
    chain: () => small.founderChain,
    rpc,
    members: () => [
      { Key: small.founder.publicKey, Name: 'founder', Role: 'server', Status: 'admitted' },
      { Key: newKey().publicKey, Name: 'other', Role: 'client', Status: 'admitted' },
    ],
    places: () => [{ Key: small.founder.publicKey, Addresses: ['10.0.0.1:49737'] }],
    log: silentLog,
  });
  const server = memory.join(small.founder);
  await server.listen({ admit: (key) => key === inviteKey(seed).publicKey, onConnection: door });
  const identity = newKey();
  const network = memory.join(identity);
  const options = (changes: Partial<JoinOptions> = {}): JoinOptions => ({
    invite,
    network,
    identity,
    name: 'pi',
    rename: true,
    facts: { os: 'linux' },
    now: () => NOW,
    timeoutMs: 2_000,
    ...changes,
  });
  // A network in memory has no sockets that would keep the process alive.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(async () => {
    clearInterval(alive);
    await network.close();
    await server.close();
  });
  return { ...small, memory, seed, invite, asked, later, identity, options, network, door, server };
}

t.test('a machine joins with an invite, and knows its mesh', async (t) => {
  const { options, asked, identity, mesh, founder } = await world(t);
  const joined = await joinMesh(options());
  t.match(asked, [{ Key: identity.publicKey, Name: 'pi', Rename: true, Facts: { os: 'linux' } }]);
  t.equal(joined.member.Name, 'pi');
  t.strictSame(
    joined.membership.Members.map(({ Name }) => Name),
    ['founder', 'pi'],
    'the servers, and itself',
  );
  t.equal(joined.membership.Mesh.SealedRoot, '', 'the sealed root is for servers');
  t.match(joined.via, { key: founder.publicKey, path: { Kind: 'memory' } });
  const home = openMeshHome(null);
  saveMembership(home, joined.membership);
  const roster = createRoster({ home, key: identity.publicKey, now: () => NOW, log: silentLog });
  t.equal(roster.mesh, mesh);
  t.equal(roster.find(founder.publicKey)?.role, 'server');
  roster.close();
});

t.test('a refusal reaches the joiner in its own words, and is final', async (t) => {
  const codes: ErrorCode[] = ['E_CONFLICT', 'E_PERMISSION_DENIED', 'E_NOT_FOUND', 'E_BAD_REQUEST'];
  for (const code of codes) {
    const { options, asked } = await world(t, async () => {
      throw new MeshError(code, 'this invite was used by pi5 at 10:04');
    });
    await t.rejects(joinMesh(options()), { code, message: 'this invite was used by pi5 at 10:04' });
    t.equal(asked.length, 1);
  }
});

t.test('while no server leads the joiner asks again', async (t) => {
  let asks = 0;
  const { options, admit } = await world(t, async ({ Key }) => {
    if (++asks === 1) throw new MeshError('E_NO_LEADER', 'No cluster leader');
    return member({ Key, Chain: admit({ publicKey: Key, seed: randomBytes(32) }) });
  });
  t.ok(await joinMesh(options({ timeoutMs: 5_000 })));
  t.equal(asks, 2);
});

t.test('both sides show the same words while somebody has to approve', async (t) => {
  const { options, later, admit, mesh, identity, seed } = await world(t, async ({ Key, InviteKey }) =>
    member({ Key, Status: 'pending', Words: fourWords({ mesh, key: Key, invite: InviteKey }) }),
  );
  let joined: Promise<unknown> = Promise.resolve();
  const pending = new Promise<{ words: string }>((resolve) => {
    joined = joinMesh(options({ onPending: resolve, timeoutMs: 100 }));
  });
  const { words } = await pending;
  t.equal(words, fourWords({ mesh, key: identity.publicKey, invite: inviteKey(seed).publicKey }));
  t.equal(words.split(' ').length, 4);
  t.not(words, fourWords({ mesh, key: newKey().publicKey, invite: inviteKey(seed).publicKey }));
  // Longer than a joiner waits for an answer: a person takes the time it takes.
  await new Promise((resolve) => setTimeout(resolve, 200));
  later.member = member({ Key: identity.publicKey, Chain: admit(identity) });
  later.wake();
  t.match(await joined, { member: { Status: 'admitted' } });
});

t.test('one who is not approved is told so', async (t) => {
  const { options, later } = await world(t, async ({ Key }) => member({ Key, Status: 'pending', Words: 'a b c d' }));
  const joined = joinMesh(options({ onPending: () => setTimeout(() => later.wake(), 20) }));
  later.member = member({ Status: 'revoked' });
  await t.rejects(joined, { code: 'E_PERMISSION_DENIED', message: 'it was not approved' });
});

t.test('who answers for the topic without being a server of this mesh is passed over', async (t) => {
  const { options, memory, seed, invite, network } = await world(t);
  const other = smallMesh();
  const impostors: [string, Parameters<typeof createJoinDoor>[0]['chain'], typeof other.founder][] = [
    ['a server of another mesh', () => other.founderChain, other.founder],
    ['a stranger with a chain of somebody else', () => [], newKey()],
  ];
  for (const [what, chain, identity] of impostors) {
    const own = memory.join(identity);
    const door = createJoinDoor({
      identity,
      chain,
      rpc: { call: () => t.fail('nobody is put before its leader') } as unknown as RpcCaller,
      members: () => [],
      places: () => [],
      log: silentLog,
    });
    await own.listen({ admit: () => true, onConnection: door });
    const asked = joinMesh(options({ invite: { ...invite, server: identity.publicKey }, timeoutMs: 300 }));
    await t.rejects(asked, { code: 'E_TIMEOUT', message: /no server of this mesh/ }, what);
    await own.close();
  }
  t.ok(seed && network);
});

t.test('a server that cannot be reached is named with where it was looked for', async (t) => {
  const { options, invite, memory, founder } = await world(t);
  memory.powerOff(founder.publicKey);
  const hints = [{ host: '192.168.1.20', port: 4649 }];
  const asked = joinMesh(options({ invite: { ...invite, hints }, timeoutMs: 200 }));
  await t.rejects(asked, { code: 'E_TIMEOUT', message: /no server of the mesh answered.*192\.168\.1\.20:4649/ });
});

t.test('a joiner can be stopped', async (t) => {
  const { options } = await world(t, () => new Promise(() => {}));
  const stop = new AbortController();
  const joined = joinMesh(options({ signal: stop.signal }));
  setTimeout(() => stop.abort(new Error('enough')), 20);
  await t.rejects(joined, { message: 'enough' });
});

t.test('an answer that does not hold is not taken, whatever is wrong with it', async (t) => {
  const small = smallMesh();
  const identity = newKey();
  const seed = new Uint8Array(randomBytes(16));
  const chain = small.admit(identity);
  const whole = {
    Type: 'joined',
    Member: member({ Key: identity.publicKey, Chain: chain }),
    Mesh: meshInfo(small.mesh),
    Members: [],
    Places: [],
  };
  const answers: unknown[] = [
    { ...whole, Member: null },
    { ...whole, Member: { ...whole.Member, Chain: small.admit(newKey()) } },
    { ...whole, Member: { ...whole.Member, Chain: smallMesh().admit(identity) } },
    { ...whole, Mesh: null },
    { ...whole, Mesh: meshInfo(newKey().publicKey) },
    { ...whole, Mesh: { ...whole.Mesh, DiscoverySecrets: [1] } },
    { ...whole, Members: [null] },
    { ...whole, Members: [{ Key: newKey().publicKey, Name: 'x', Role: 'king', Status: 'admitted' }] },
    { ...whole, Places: [{ Key: newKey().publicKey, Addresses: [7] }] },
    { Type: 'later' },
    [],
  ];
  const memory = createMemoryNetwork({ clock: systemClock, random: seededRandom(1), unreachableMs: 50 });
  const server = memory.join(small.founder);
  let said: unknown;
  await server.listen({
    admit: () => true,
    onConnection: ({ stream, handshakeHash, remoteKey }) => {
      const proof = sign(small.founder, 'meshnomad/join-server/1', handshakeHash, remoteKey).toString('base64url');
      for (const message of [{ Type: 'server', Version: 1, Chain: small.founderChain, Signature: proof }, said]) {
        const json = Buffer.from(JSON.stringify(message));
        const head = Buffer.alloc(4);
        head.writeUInt32LE(json.length);
        stream.write(Buffer.concat([head, json]));
      }
      stream.resume();
      stream.on('end', () => stream.end());
    },
  });
  const network = memory.join(identity);
  const heard = new Set<string>();
  const join = () =>
    joinMesh({
      invite: {
        mesh: small.mesh,
        discoverySecret: new Uint8Array(32),
        seed,
        server: small.founder.publicKey,
        role: 'client',
        needsApproval: false,
        expiresAtMs: NOW,
        hints: [],
        bootstrap: 'public',
      },
      network,
      identity,
      name: 'pi',
      rename: true,
      facts: {},
      now: () => NOW,
      timeoutMs: 60,
      onWaiting: ({ why }) => {
        if (why !== '') heard.add(why);
      },
    });
  for (const answer of answers) {
    said = answer;
    await t.rejects(join(), { code: 'E_TIMEOUT' }, JSON.stringify(answer).slice(0, 60));
  }
  t.ok(
    [...heard].some((why) => why.includes('no server of this mesh')),
    'meanwhile one is told what comes of it',
  );
  said = whole;
  t.match(await join(), { member: { Name: 'pi' } }, 'the whole one is');
  await network.close();
  await server.close();
});

/** A connection of the invite's, spoken by hand. */
async function byHand(t: Test) {
  const made = await world(t);
  const connection = await made.network.dial(made.founder.publicKey, { as: inviteKey(made.seed) });
  const say = (message: unknown): void => {
    const json = Buffer.from(JSON.stringify(message));
    const head = Buffer.alloc(4);
    head.writeUInt32LE(json.length);
    connection.stream.write(Buffer.concat([head, json]));
  };
  let heard = Buffer.alloc(0);
  connection.stream.on('data', (chunk: Buffer) => {
    heard = Buffer.concat([heard, chunk]);
  });
  connection.stream.on('end', () => connection.stream.end());
  const closed = once(connection.stream, 'close');
  const answers = async (): Promise<{ Type: string; Message?: string }[]> => {
    await closed;
    const list: { Type: string }[] = [];
    for (let at = 0; at + 4 <= heard.length; ) {
      const size = heard.readUInt32LE(at);
      list.push(JSON.parse(heard.toString('utf8', at + 4, at + 4 + size)));
      at += 4 + size;
    }
    return list;
  };
  return { ...made, connection, say, answers };
}

const request = (key: ReturnType<typeof newKey>, { handshakeHash }: Connection, changes: object = {}) => ({
  Type: 'request',
  Key: key.publicKey,
  Name: 'pi',
  Rename: false,
  Facts: {},
  Replace: '',
  Signature: sign(key, 'meshnomad/join/1', handshakeHash, key.publicKey).toString('base64url'),
  ...changes,
});

t.test('what was signed on another connection, or for another key, is worth nothing', async (t) => {
  const key = newKey();
  const cases: [string, (connection: Connection) => object][] = [
    ['a replay', (connection) => request(key, { ...connection, handshakeHash: new Uint8Array(64) })],
    ['a key that the joiner does not hold', (connection) => request(key, connection, { Key: newKey().publicKey })],
    ['no signature', (connection) => request(key, connection, { Signature: '' })],
    [
      'a signature for another purpose',
      (connection) =>
        request(key, connection, {
          Signature: sign(key, 'meshnomad/join-server/1', connection.handshakeHash, key.publicKey).toString(
            'base64url',
          ),
        }),
    ],
  ];
  for (const [what, message] of cases) {
    const { say, answers, connection, asked } = await byHand(t);
    say({ Type: 'join', Version: 1 });
    say(message(connection));
    const [, last] = await answers();
    t.match(last, { Type: 'refused', Message: /does not hold the key/ }, what);
    t.strictSame(asked, [], 'the leader was not asked');
  }
});

t.test('the key of the invite cannot become a member', async (t) => {
  const { say, answers, connection, seed, asked } = await byHand(t);
  say({ Type: 'join', Version: 1 });
  say(request(inviteKey(seed), connection));
  t.match((await answers())[1], { Type: 'refused', Message: /nobody’s own/ });
  t.strictSame(asked, []);
});

t.test('garbage is answered with an end, whatever it is', async (t) => {
  const key = newKey();
  const cases: [string, (say: (message: unknown) => void, connection: Connection) => void][] = [
    ['another first word', (say) => say({ Type: 'request' })],
    ['no object', (say) => say(7)],
    ['no JSON', (_, { stream }) => stream.write(Buffer.from([3, 0, 0, 0, 1, 2, 3]))],
    ['a length beyond all', (_, { stream }) => stream.write(Buffer.from([255, 255, 255, 255]))],
    [
      'a hundred megabytes',
      (_, { stream }) => {
        for (let i = 0; i < 100; i++) stream.write(Buffer.alloc(1024 * 1024, 1));
      },
    ],
    [
      'facts without end',
      (say, connection) => {
        say({ Type: 'join', Version: 1 });
        say(
          request(key, connection, { Facts: Object.fromEntries(Array.from({ length: 99 }, (_, i) => [`k${i}`, 'v'])) }),
        );
      },
    ],
    [
      'facts that are none',
      (say, connection) => {
        say({ Type: 'join', Version: 1 });
        say(request(key, connection, { Facts: { a: {} } }));
      },
    ],
    [
      'a name without end',
      (say, connection) => {
        say({ Type: 'join', Version: 1 });
        say(request(key, connection, { Name: 'x'.repeat(REQUEST_MAX_BYTES / 2) }));
      },
    ],
  ];
  for (const [what, speak] of cases) {
    const { say, answers, connection, asked } = await byHand(t);
    speak(say, connection);
    const heard = await answers();
    t.ok(
      heard.every(({ Type }) => Type === 'server' || Type === 'refused'),
      what,
    );
    t.strictSame(asked, [], what);
  }
});

t.test('random bytes never crash the door', async (t) => {
  const random = seededRandom(21);
  const { network, founder, seed, asked } = await world(t);
  const ends: Promise<unknown>[] = [];
  for (let i = 0; i < 60; i++) {
    const { stream } = await network.dial(founder.publicKey, { as: inviteKey(seed) });
    const bytes = Uint8Array.from({ length: 4 + Math.floor(random.next() * 64) }, () =>
      Math.floor(random.next() * 256),
    );
    if (i % 2 === 0) bytes.set([bytes.length - 4, 0, 0, 0]);
    stream.resume();
    ends.push(once(stream, 'close'));
    stream.end(bytes);
  }
  await Promise.all(ends);
  t.strictSame(asked, []);
});

t.test('who founds a mesh is its first server, and can prove it', async (t) => {
  const home = openMeshHome(null);
  const identity = keyFromSeed(randomBytes(32));
  const founded = foundMesh({ home, identity, name: 'nas', meshName: 'home', nowMs: NOW });
  const roster = createRoster({ home, key: identity.publicKey, now: () => NOW, log: silentLog });
  t.match(roster.own().claims, { Name: 'nas', Role: 'server', Issuer: true, By: founded.info.Root });
  t.ok(roster.verify(identity.publicKey, roster.own().chain).ok);
  t.match(home.read('founding'), { type: 'mesh-found', info: { Root: founded.info.Root } });
  t.throws(() => foundMesh({ home, identity, name: 'nas', meshName: 'home', nowMs: NOW }), { code: 'E_CONFLICT' });
  roster.close();
});

t.test('the root opens with its recovery code, however it is typed, and with no other', async (t) => {
  const root = newKey();
  const { sealed, code } = sealRoot(root);
  t.match(code, /^([a-z0-9]{5}-){5}[a-z0-9]$/);
  for (const typed of [code, code.toUpperCase(), code.replaceAll('-', ' '), `${code}\n`]) {
    const opened = unsealRoot(sealed, typed);
    t.equal(opened.ok && opened.value.publicKey, root.publicKey);
  }
  const cases: [string, string, string][] = [
    [sealed, sealRoot(root).code, 'E_PERMISSION_DENIED'],
    [sealed, 'hello', 'E_BAD_REQUEST'],
    [`${sealed.slice(0, -3)}yyy`, code, 'E_PERMISSION_DENIED'],
    [sealed.slice(0, -9), code, 'E_STORAGE'],
    ['', code, 'E_STORAGE'],
  ];
  for (const [text, typed, expected] of cases) {
    const opened = unsealRoot(text, typed);
    t.equal(opened.ok ? 'opened' : opened.error.code, expected);
  }
});
