// What strangers, thieves and broken programs do to a real agent, over real sockets: nothing that lasts, nothing without a line in its
// log that names their key. The attackers are in this process and in those of the flood.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { LinkReport, NetReport } from '../../lib/structs/mesh.js';
import { encodeFrame, FrameReader, KIND } from '../../lib/transport/frame.js';
import { discoveryDays, discoveryTopic, inviteKey, parseInvite } from '../../lib/transport/invite.js';
import { joinMesh } from '../../lib/transport/join.js';
import { encodeHello } from '../../lib/transport/mesh/hello.js';
import type { ConnectAs, Connection, Network } from '../../lib/transport/network.js';
import type { Address } from '../../lib/transport/tcp.js';
import { greetAs, helloOf, openTap, type StolenDisk, shower, stealFrom } from '../support/attacker.js';
import { eventually } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { patience } from '../support/patience.js';
import { newIdentity, openTestnet, type Testnet } from '../support/testnet.js';

const FLOOD = fileURLToPath(new URL('../integration/flood-peer.js', import.meta.url));
const MIB = 1024 * 1024;
/** What an agent may grow by while it is attacked: two messages of the largest kind that a member may send. */
const GROWTH_MAX_BYTES = 160 * MIB;
const HUNDRED_MB = 100_000_000;
const FLOOD_MS = 10_000;
const REPLAYS_PER_S = 1_500;
/** An agent whose clock goes two hours forward at SIGUSR2. */
const CLOCK = `data:text/javascript,${encodeURIComponent(
  'const now=Date.now;let more=0;Date.now=()=>now()+more;process.on("SIGUSR2",()=>{more+=7200000})',
)}`;

interface Stage {
  readonly testnet: Testnet;
  readonly nas: Machine;
  readonly key: string;
  /** Where its UDP port is. */
  readonly at: Address;
  /** A network that dials as somebody. */
  network(as?: ConnectAs): Promise<Network>;
  machine(name: string): Promise<Machine>;
  /** Dials the agent at its address. */
  dial(network: Network, as?: ConnectAs): Promise<Connection>;
  /** The log names the key. */
  logged(key: string): Promise<true>;
}

async function openStage(t: Test): Promise<Stage> {
  const testnet = await openTestnet();
  t.teardown(() => testnet.close());
  const machine = async (name: string): Promise<Machine> => {
    const made = await Machine.make({ testnet, name });
    t.teardown(() => made.dispose());
    return made;
  };
  const nas = await Machine.make({ testnet, name: 'nas', env: { NODE_OPTIONS: `--import ${CLOCK}` } });
  t.teardown(() => nas.dispose());
  await nas.start('init');
  const { Key, LocalAddresses } = await nas.get<{ Key: string; LocalAddresses: string[] }>('/v1/agent/net');
  const at = { host: '127.0.0.1', port: Number(LocalAddresses[0]?.split(':').at(-1)) };
  return {
    testnet,
    nas,
    key: Key,
    at,
    machine,
    network: async (as) => testnet.open(as ? { identity: as } : {}),
    dial: (network, as) => network.dial(Key, { addresses: [at], timeoutMs: 30_000, ...(as ? { as } : {}) }),
    logged: (key) => eventually(`a line that names ${key}`, () => nas.log.includes(key) || undefined),
  };
}

/** What somebody new is told who comes with an invite. */
async function joinWith({ network, at }: Stage, text: string): Promise<unknown> {
  const invite = parseInvite(text);
  if (!invite.ok) throw invite.error;
  const identity = await newIdentity();
  const options = { name: 'mallory', rename: true, facts: {}, now: () => Date.now(), timeoutMs: 60_000 };
  return joinMesh({
    ...options,
    invite: { ...invite.value, hints: [at] },
    network: await network(identity),
    identity: { ...identity, seed: Buffer.from(identity.seed) },
  });
}

function keyOf(text: string): ConnectAs {
  const invite = parseInvite(text);
  if (!invite.ok) throw invite.error;
  return inviteKey(invite.value.seed);
}

const rssBytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

/** Its end, whether in order or not. */
function closed({ stream }: Connection): Promise<void> {
  stream.resume();
  return new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.once('close', () => resolve());
  });
}

/** Writes a lot; ends early when the other side has had enough. */
async function pour(connection: Connection, bytes: number): Promise<number> {
  const { stream } = connection;
  const chunk = randomBytes(MIB);
  const end = closed(connection);
  let sent = 0;
  while (sent < bytes && !stream.destroyed) {
    if (!stream.write(chunk)) await Promise.race([drained(stream), end]);
    sent += chunk.length;
  }
  return sent;
}

const drained = (stream: Connection['stream']): Promise<void> =>
  new Promise((resolve) => stream.once('drain', () => resolve()));

/** Answers the pings of a link, as a live member does. */
function pong({ connection, rest }: { connection: Connection; rest: Buffer }): void {
  const reader = new FrameReader();
  const hear = (chunk: Buffer): void => {
    for (const { kind, id } of reader.push(chunk))
      if (kind === KIND.ping) connection.stream.write(encodeFrame({ kind: KIND.pong, id, body: { Wish: 0 } }));
  };
  if (rest.length > 0) hear(rest);
  connection.stream.on('data', hear);
}

t.test('an agent among enemies', { timeout: 300_000 }, async (t) => {
  const stage = await openStage(t);
  const { nas, network, dial, logged } = stage;
  const eve = await stage.machine('eve');
  const invite = await nas.invite();
  t.equal(await eve.run('join', '-no-start', invite), 0, eve.log);
  const stolen = stealFrom(join(eve.dir, 'data'));
  const calm = rssBytes(nas.pid);

  await t.test('a stranger who knows the topic finds the agent, and gets no stream', async (t) => {
    const identity = await newIdentity();
    const stranger = await network(identity);
    const read = parseInvite(invite);
    if (!read.ok) throw read.error;
    const found: string[] = [];
    const topics = discoveryDays(Date.now()).map((day) => discoveryTopic(read.value.discoverySecret, day));
    const discovery = stranger.discover(topics, { announce: true, onFound: ({ key }) => found.push(key) });
    await eventually('the agent to be found by the topic', async () => {
      if (!found.includes(stage.key)) await discovery.refresh();
      return found.includes(stage.key) || undefined;
    });
    await t.rejects(stranger.dial(stage.key, { addresses: [stage.at], timeoutMs: 1_500 }), { code: 'E_TIMEOUT' });
    await t.rejects(stranger.dial(stage.key, { timeoutMs: 1_500 }), { code: 'E_TIMEOUT' });
    await logged(identity.publicKey);
    await discovery.close();
  });

  await t.test('a member of another mesh is a stranger', async (t) => {
    const other = await stage.machine('other');
    t.equal(await other.run('init', '-no-start'), 0, other.log);
    const foreign = stealFrom(join(other.dir, 'data'));
    await t.rejects((await network(foreign.identity)).dial(stage.key, { addresses: [stage.at], timeoutMs: 1_500 }), {
      code: 'E_TIMEOUT',
    });
    await logged(foreign.identity.publicKey);
    // Nor does it help to come with a member's key and a certificate from there.
    const connection = await dial(await network(stolen.identity));
    await t.rejects(greetAs(stolen, connection, { chain: foreign.roster.own().chain }), /refused there|ended/);
    await logged(stolen.identity.publicKey);
  });

  await invitesThatAreNotGood(t, stage, invite);
  await brokenBytes(t, stage, stolen);

  await t.test('its memory is as it was, and whoever may come in does', async (t) => {
    t.ok(rssBytes(nas.pid) - calm < GROWTH_MAX_BYTES, `${Math.round((rssBytes(nas.pid) - calm) / MIB)} MiB more`);
    const links = await nas.get<{ Links: object[] }>('/v1/agent/net');
    t.same(links.Links, [], 'nobody is linked');
    const good = await greetAs(stolen, await dial(await network(stolen.identity)));
    t.equal(good.claims.Role, 'server');
    good.connection.stream.destroy();
  });

  await flood(t, stage, stolen, calm);
  await revoked(t, stage, stolen);
  t.equal(nas.ended, false);
});

async function invitesThatAreNotGood(t: Test, stage: Stage, used: string): Promise<void> {
  const { nas, dial, network, logged } = stage;

  await t.test('invites that were used or taken back are good for an answer, and for nothing else', async (t) => {
    await t.rejects(joinWith(stage, used), { code: 'E_PERMISSION_DENIED', message: /was used by eve/ });
    const taken = await nas.cli(['invite', '-json']);
    const { Invite, ID } = JSON.parse(taken.out) as { Invite: string; ID: string };
    t.match(await nas.cli(['invite', 'revoke', ID]), { code: 0 });
    await t.rejects(joinWith(stage, Invite), { code: 'E_PERMISSION_DENIED', message: /taken back|revoked/ });
    await logged(keyOf(used).publicKey);
    await logged(keyOf(Invite).publicKey);
  });

  await t.test('a good invite opens join/1: no hello, no call, no garbage, no 100 MB', async (t) => {
    const invite = await nas.invite();
    const as = keyOf(invite);
    const joiner = await network();
    const hello = encodeFrame({ kind: KIND.hello, id: 0, body: { Min: 1, Max: 1 } });
    const call = encodeFrame({ kind: KIND.call, id: 2, body: { method: 'Status.Ping', args: {} } });
    const huge = Buffer.alloc(4);
    huge.writeUInt32LE(HUNDRED_MB);
    for (const first of [Buffer.concat([hello, call]), randomBytes(3_000), huge]) {
      const connection = await dial(joiner, as);
      connection.stream.write(first);
      if (first === huge) t.ok((await pour(connection, HUNDRED_MB)) < HUNDRED_MB, 'it is cut off on the way');
      let said = '';
      connection.stream.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
      await closed(connection);
      t.notMatch(said, /Leader|reply/, 'nothing was answered to it');
    }
    await logged(as.publicKey);
    t.match(await nas.cli(['invite', 'list']), { code: 0, out: /0\/1|open/ }, 'it is as good as before');
  });
}

async function brokenBytes(t: Test, stage: Stage, stolen: StolenDisk): Promise<void> {
  const { nas, at, dial, network, logged } = stage;
  const linked = async (): Promise<number> => (await nas.get<{ Links: object[] }>('/v1/agent/net')).Links.length;

  await t.test('what a member says instead of a hello, or after it', async (t) => {
    const thief = await network(stolen.identity);
    const chain = stolen.roster.own().chain;
    const frame = Buffer.alloc(4);
    frame.writeUInt32LE(HUNDRED_MB);
    for (const first of [
      randomBytes(5_000),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      encodeFrame({ kind: KIND.call, id: 2, body: { method: 'Status.Leader', args: {} } }),
      encodeFrame({ kind: KIND.hello, id: 0, body: { ...encodeHello(helloOf(chain)), Chain: [...chain, ...chain] } }),
    ]) {
      const connection = await dial(thief);
      connection.stream.write(first);
      await closed(connection);
    }
    const before = await dial(thief);
    before.stream.write(frame);
    t.ok((await pour(before, HUNDRED_MB)) < HUNDRED_MB, '100 MB before the hello are cut off on the way');
    const { connection } = await greetAs(stolen, await dial(thief));
    await eventually('the link', async () => (await linked()) === 1 || undefined);
    connection.stream.write(frame);
    t.ok((await pour(connection, HUNDRED_MB)) < HUNDRED_MB, '100 MB after it, too');
    await eventually('the end of the link', async () => (await linked()) === 0 || undefined);
    await logged(stolen.identity.publicKey);
  });

  await t.test('a handshake that somebody has heard, replayed, cut and bent', async (t) => {
    const tap = await openTap(at);
    t.teardown(() => tap.close());
    const thief = await network(stolen.identity);
    const { connection } = await greetAs(
      stolen,
      await thief.dial(stage.key, { addresses: [tap.address], timeoutMs: 30_000 }),
    );
    connection.stream.destroy();
    await eventually('the end of the link', async () => (await linked()) === 0 || undefined);
    const heard = [...tap.heard];
    t.ok(heard.length > 0, `${heard.length} datagrams were heard`);
    const bent = heard.flatMap((bytes) =>
      Array.from({ length: 50 }, (_, i) => {
        const copy = Buffer.from(bytes);
        const at = (i * 7) % copy.length;
        copy[at] = (copy[at] ?? 0) ^ (1 << (i % 8));
        return i % 2 === 0 ? copy : copy.subarray(0, (i * 13) % copy.length);
      }),
    );
    await shower(at, [...heard, ...heard, ...bent, ...heard]);
    await shower(
      at,
      Array.from({ length: 5_000 }, (_, i) => randomBytes(i % 1_400)),
    );
    t.equal(await linked(), 0, 'none of it is a link');
    await nas.get('/v1/agent/self');
  });
}

/** Handshakes as they are on the wire: of strangers, and of a member that gets a stream with it. */
async function recordHandshakes({ network, at, key }: Stage, stolen: StolenDisk): Promise<Buffer[]> {
  const tap = await openTap(at);
  const dial = { addresses: [tap.address], timeoutMs: 1_500 };
  try {
    const strangers = Array.from({ length: 20 }, async () => (await network()).dial(key, dial).catch(() => undefined));
    const member = await (await network(stolen.identity)).dial(key, { ...dial, timeoutMs: 30_000 });
    await Promise.all(strangers);
    member.stream.destroy();
    return [...tap.heard];
  } finally {
    tap.close();
  }
}

/** Whole, cut and bent, one after the other, without end. */
function* replays(heard: readonly Buffer[]): Generator<Buffer, never> {
  for (let i = 0; ; i++) {
    const bytes = heard[i % heard.length] as Buffer;
    if (i % 3 === 0) yield bytes;
    else if (i % 3 === 1) yield bytes.subarray(0, (i * 13) % bytes.length);
    else yield Buffer.from(bytes.map((byte, at) => (at === i % bytes.length ? byte ^ (1 << (i % 8)) : byte)));
  }
}

/** Replays at `perSecond` until `end`, however late timers are; gives how many. */
async function replay(to: Address, heard: readonly Buffer[], { ms, perSecond }: { ms: number; perSecond: number }) {
  const all = replays(heard);
  const began = performance.now();
  let sent = 0;
  while (performance.now() - began < ms || sent < (ms / 1_000) * perSecond) {
    const due = Math.ceil(((performance.now() - began) / 1_000) * perSecond) - sent;
    const batch = Array.from({ length: Math.min(Math.max(due, 1), 500) }, () => all.next().value);
    sent += await shower(to, batch);
    await sleep(10);
  }
  return { sent, perSecond: Math.round(sent / ((performance.now() - began) / 1_000)) };
}

async function flood(t: Test, stage: Stage, stolen: StolenDisk, calm: number): Promise<void> {
  const { nas, at, key } = stage;
  await t.test('a thousand connects a second, of strangers and replayed', { timeout: 240_000 }, async (t) => {
    const guest = await stage.machine('guest');
    await guest.start('join', await nas.invite());
    const links = async (): Promise<LinkReport[]> => (await nas.get<NetReport>('/v1/agent/net')).Links;
    const [before] = await eventually('the link of a guest', async () => {
      const found = await links();
      return found.length === 1 ? found : undefined;
    });
    const heard = await recordHandshakes(stage, stolen);
    await eventually('nobody but the guest to be linked', async () => (await links()).length === 1 || undefined);
    const logBefore = nas.log.length;
    const began = performance.now();
    const peers = [0, 1].map(() =>
      spawn(process.execPath, [FLOOD, key, String(at.port), String(FLOOD_MS)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    );
    t.teardown(() => peers.map((peer) => peer.kill('SIGKILL')));
    const knocks = Promise.all(peers.map(async ({ stdout }) => Number(String((await once(stdout, 'data'))[0]))));
    const replayed = replay(at, heard, { ms: FLOOD_MS, perSecond: REPLAYS_PER_S });
    const friend = await stage.machine('friend');
    t.equal(
      await friend.run('join', '-no-start', await nas.invite()),
      0,
      `who is invited comes in meanwhile:\n${friend.log}`,
    );
    const tries = (await knocks).reduce((sum, one) => sum + one, 0);
    const { sent, perSecond } = await replayed;
    if (nas.ended) t.comment(nas.log.slice(-3_000));
    const grown = rssBytes(nas.pid) - calm;
    const logged = nas.log.length - logBefore;
    t.comment(
      `${tries} knocked, ${sent} replayed (${perSecond}/s); ${Math.round(grown / MIB)} MiB more, ${logged} bytes of log`,
    );
    t.ok(tries > 100);
    t.ok(sent >= (FLOOD_MS / 1_000) * REPLAYS_PER_S);
    t.ok(grown < GROWTH_MAX_BYTES, `${grown} bytes more`);
    t.ok(logged < 150_000, `and the log does not fill the disk: ${logged} bytes`);
    t.match(nas.log.slice(-logged), /"key":"[0-9a-f]{64}".*refused a connection/, 'it names keys');
    const after = await eventually('no link but the one that was there', async () => {
      const found = await links();
      return (found.length === 1 && found[0]?.To === before?.To && found) || undefined;
    });
    const lasted = (after[0]?.SinceMs ?? 0) - (before?.SinceMs ?? 0);
    t.comment(`the link of the guest is ${lasted} ms older, ${Math.round(performance.now() - began)} ms went by`);
    t.equal((await guest.cli(['members'])).code, 0, 'it serves as before');
    await guest.end('SIGTERM');
  });
}

async function revoked(t: Test, stage: Stage, stolen: StolenDisk): Promise<void> {
  const { nas, dial, network } = stage;
  await t.test('who is revoked loses its open streams at once, and its certificate is worth nothing', async (t) => {
    const thief = await network(stolen.identity);
    const link = await greetAs(stolen, await dial(thief));
    pong(link);
    const end = closed(link.connection).then(() => performance.now());
    const done = nas.cli(['revoke', '-yes', '-reason=stolen', 'eve']).then(({ code, err }) => {
      t.equal(code, 0, err);
      return performance.now();
    });
    const ms = (await end) - (await done);
    t.ok(ms < patience(2_000), `closed ${Math.round(ms)} ms after the command had ended`);
    await eventually('a line that says so', async () => {
      await t.rejects(thief.dial(stage.key, { addresses: [stage.at], timeoutMs: 1_500 }), { code: 'E_TIMEOUT' });
      return /no member any more/.test(nas.log) || undefined;
    });
  });

  await t.test('an invite that has ended', async (t) => {
    const invite = await nas.invite('-ttl=1m');
    process.kill(nas.pid, 'SIGUSR2');
    await t.rejects(joinWith(stage, invite), { code: 'E_PERMISSION_DENIED', message: /ended at/ });
  });
}
