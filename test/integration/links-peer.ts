// A process with one link manager over the DHT, for links.test.ts: commands come as lines of JSON on standard input, answers
// and news go out as lines of JSON. Usage: node links-peer.js '{"bootstrap":[…]}'
import { systemClock } from '../../lib/transport/clock.js';
import { createAddressBook } from '../../lib/transport/mesh/address-book.js';
import { createPeers } from '../../lib/transport/mesh/peers.js';
import type { Peers } from '../../lib/transport/peers.js';
import type { Address } from '../../lib/transport/tcp.js';
import { seededRandom } from '../../lib/util/random.js';
import { type LabStart, openLabNetwork, readStart, say, serveLab } from '../support/lab-process.js';
import { testCertificate, verifyTestChain } from '../support/memory-mesh.js';
import { OpenRoster } from '../support/open-roster.js';

interface Command {
  do: 'keep' | 'call' | 'large' | 'report' | 'revoke' | 'learn' | 'addresses';
  keys: string[];
  addresses?: Address[];
}

const start = readStart<LabStart & { relay: boolean }>();
const { network, identity, log } = await openLabNetwork(start);
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
  ...(start.mdns ? { topics: () => [new Uint8Array(32).fill(7)] } : {}),
  relay: start.relay,
  addressBook: createAddressBook({ path: null, clock: systemClock, log }),
  log: log.child('links'),
  clock: systemClock,
  random: seededRandom(Number.parseInt(identity.publicKey.slice(0, 8), 16)),
  version: 'test',
});
peers.onLink(({ key, report }, up) => say({ event: up ? 'up' : 'down', key, path: report.Path }));
await peers.start();
say({ event: 'ready', key: peers.key });
await serveLab((command: Command) => act(peers, command));

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
