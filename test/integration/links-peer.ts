// A process with one link manager over the DHT, for links.test.ts: commands come as lines of JSON on standard input, answers
// and news go out as lines of JSON. Usage: node links-peer.js '{"bootstrap":[…]}'
import { createInterface } from 'node:readline';
import { systemClock } from '../../lib/transport/clock.js';
import { openDhtNetwork } from '../../lib/transport/dht/index.js';
import { createAddressBook } from '../../lib/transport/mesh/address-book.js';
import { createPeers } from '../../lib/transport/mesh/peers.js';
import type { Peers } from '../../lib/transport/peers.js';
import type { Address } from '../../lib/transport/tcp.js';
import { createLog, formatLogLine } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { testCertificate, verifyTestChain } from '../support/memory-mesh.js';
import { OpenRoster } from '../support/open-roster.js';
import { newIdentity } from '../support/testnet.js';

interface Command {
  id: number;
  do: 'keep' | 'call' | 'large' | 'report' | 'revoke' | 'learn' | 'addresses';
  keys: string[];
  addresses?: Address[];
}

const { bootstrap, host, relay, mdns } = JSON.parse(process.argv[2] ?? '{}') as {
  bootstrap: Address[];
  host?: string;
  relay: boolean;
  /** Looks for others on its network. */
  mdns: boolean;
};
const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);
// Whoever started it is gone.
process.stdin.once('close', () => process.exit());

const log = createLog((record) => process.stderr.write(`${formatLogLine(record, new Date().toISOString())}\n`));
const identity = await newIdentity();
const network = await openDhtNetwork({
  identity,
  bootstrap,
  port: 49_737,
  folder: null,
  mdns,
  advertise: [],
  log: log.child('network'),
  ...(host === undefined ? {} : { host }),
});
const roster = new OpenRoster();
const ANSWER = { Jobs: [], Index: 1, LastContactMs: 0, KnownLeader: true };
const peers = createPeers({
  network,
  roster,
  certificate: () => testCertificate({ Key: identity.publicKey, Name: 'any' }),
  verify: verifyTestChain,
  handlers: {
    'Status.Ping': async () => ({}),
    'Job.List': async () => ({ ...ANSWER, Filler: 'x'.repeat(300_000) }),
  },
  streamHandlers: {},
  ...(mdns ? { topics: () => [new Uint8Array(32).fill(7)] } : {}),
  relay,
  addressBook: createAddressBook({ path: null, clock: systemClock, log }),
  log: log.child('links'),
  clock: systemClock,
  random: seededRandom(Number.parseInt(identity.publicKey.slice(0, 8), 16)),
  version: 'test',
});
peers.onLink(({ key, report }, up) => say({ event: up ? 'up' : 'down', key, path: report.Path }));
await peers.start();
say({ event: 'ready', key: peers.key });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  act(peers, command).then(
    (value) => say({ id: command.id, value: value ?? null }),
    (error: Error) => say({ id: command.id, error: error.message }),
  );
}

async function act(peers: Peers, { do: what, keys, addresses = [] }: Command): Promise<unknown> {
  const [key = ''] = keys;
  switch (what) {
    case 'keep':
      return peers.keep(keys);
    case 'call':
      return peers.caller(key).call('Status.Ping', {}, { timeoutMs: 30_000 });
    case 'large':
      return JSON.stringify(await peers.caller(key).call('Job.List', {}, { timeoutMs: 30_000 })).length;
    case 'report':
      return peers.report();
    case 'revoke':
      return roster.set(key, { name: 'any', role: 'server', status: 'revoked' });
    case 'learn':
      return peers.learn(key, addresses);
    case 'addresses':
      return peers.addresses();
    default:
      throw new Error(`unknown command ${String(what)}`);
  }
}
