import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { NodeKey } from '../../lib/structs/mesh.js';
import { systemClock } from '../../lib/transport/clock.js';
import { openDhtNetwork } from '../../lib/transport/dht/index.js';
import { createAddressBook } from '../../lib/transport/mesh/address-book.js';
import { createPeers } from '../../lib/transport/mesh/peers.js';
import type { Peers } from '../../lib/transport/peers.js';
import type { Address } from '../../lib/transport/tcp.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { testCertificate, verifyTestChain } from '../support/memory-mesh.js';
import { eventually } from '../support/mesh-agent.js';
import { OpenRoster } from '../support/open-roster.js';
import { newIdentity } from '../support/testnet.js';

// What links cost, over real UDP on loopback, between two processes: `node dist/test/transport/links-bench.js`.

const SECONDS = 5;
const IDLE_LINKS = 100;
const MESSAGE = new Uint8Array(64 * 1024);

interface Place {
  key: NodeKey;
  addresses: Address[];
}

async function member(): Promise<Peers> {
  const identity = await newIdentity();
  const network = await openDhtNetwork({
    identity,
    bootstrap: [],
    port: 0,
    folder: null,
    host: '127.0.0.1',
    mdns: false,
    advertise: [],
    log: silentLog,
  });
  const peers = createPeers({
    network,
    roster: new OpenRoster(),
    certificate: () => testCertificate({ Key: identity.publicKey, Name: 'any' }),
    verify: verifyTestChain,
    handlers: { 'Status.Ping': async () => ({}) },
    streamHandlers: {
      'Allocations.Exec': (_, stream) => {
        const write = (): void => {
          while (!stream.destroyed && stream.write({ Type: 'stdout', Data: MESSAGE })) {
            // As fast as it goes.
          }
        };
        stream.on('drain', write);
        write();
      },
    },
    relay: false,
    addressBook: createAddressBook({ path: null, clock: systemClock, log: silentLog }),
    log: silentLog,
    clock: systemClock,
    random: seededRandom(Number.parseInt(identity.publicKey.slice(0, 8), 16)),
    version: 'bench',
  });
  await peers.start();
  return peers;
}

const place = (peers: Peers): Place => ({ key: peers.key, addresses: [...peers.addresses()] });

/** The other process: a server that answers and streams, then many idle members. */
async function child(): Promise<void> {
  process.on('disconnect', () => process.exit());
  const server = await member();
  process.send?.(place(server));
  process.on('message', async ({ key, addresses }: Place) => {
    for (let i = 0; i < IDLE_LINKS; i++) {
      const idle = await member();
      idle.learn(key, addresses);
      idle.keep([key]);
    }
  });
}

function quantile(sorted: readonly number[], q: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN).toFixed(2);
}

async function pings(peers: Peers, to: NodeKey): Promise<number[]> {
  const caller = peers.caller(to);
  const times: number[] = [];
  const end = performance.now() + SECONDS * 1000;
  while (performance.now() < end) {
    const startedMs = performance.now();
    await caller.call('Status.Ping', {});
    times.push(performance.now() - startedMs);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return times.sort((a, b) => a - b);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function parent(other: ChildProcess): Promise<void> {
  const peers = await member();
  const [server] = (await once(other, 'message')) as [Place];
  peers.learn(server.key, server.addresses);
  const startedMs = performance.now();
  await peers.caller(server.key).call('Status.Ping', {});
  say(`first call, link included: ${(performance.now() - startedMs).toFixed(0)} ms`);

  const idle = await pings(peers, server.key);
  say(`RPC on control, idle: p50 ${quantile(idle, 0.5)} ms, p99 ${quantile(idle, 0.99)} ms (${idle.length} calls)`);

  await idleLinks(peers, other);
  const stream = peers.caller(server.key).stream('Allocations.Exec', { AllocID: '', Task: '', Cmd: [], Tty: false });
  stream.on('error', () => {});
  let bytes = 0;
  stream.on('data', ({ Data }: { Data: Uint8Array }) => {
    bytes += Data.length;
  });
  await eventually('the stream', () => bytes > 0 || undefined);
  bytes = 0;
  const fromMs = performance.now();
  const busy = await pings(peers, server.key);
  const megabytes = bytes / 1e6 / ((performance.now() - fromMs) / 1000);
  say(
    `RPC on control, bulk saturated: p50 ${quantile(busy, 0.5)} ms, p99 ${quantile(busy, 0.99)} ms (${busy.length} calls)`,
  );
  say(`bulk beside it: ${megabytes.toFixed(0)} MB/s`);
  stream.destroy();
}

async function idleLinks(peers: Peers, other: ChildProcess): Promise<void> {
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  other.send(place(peers));
  await eventually('idle links', () => peers.linked().length === IDLE_LINKS + 1 || undefined);
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  globalThis.gc?.();
  const cpu = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  const { user, system } = process.cpuUsage(cpu);
  say(
    `${IDLE_LINKS} idle links: ${((process.memoryUsage().rss - before) / 1024 / IDLE_LINKS).toFixed(0)} KiB of RSS each`,
  );
  say(`their heartbeats: ${((user + system) / 1e4 / SECONDS).toFixed(1)} % of one core`);
}

if (process.argv[2] === 'child') await child();
else {
  const other = fork(fileURLToPath(import.meta.url), ['child']);
  await parent(other);
  other.disconnect();
  process.exit();
}
