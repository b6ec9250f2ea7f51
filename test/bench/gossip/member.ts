// One member of a mesh in a process of its own: network, links and gossip as an agent has them, and nothing else.
// node member.js FOLDER HOST PORT: the folder holds its identity and its roster. What it learns goes to standard output, a line
// each; a line on standard input is a word that it tells all others.
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemClock } from '../../../lib/transport/clock.js';
import { openDhtNetwork } from '../../../lib/transport/dht/index.js';
import { createMeshGossip } from '../../../lib/transport/gossip.js';
import { ensureIdentity } from '../../../lib/transport/identity.js';
import { createAddressBook } from '../../../lib/transport/mesh/address-book.js';
import { createPeers } from '../../../lib/transport/mesh/peers.js';
import { openMeshHome } from '../../../lib/transport/mesh-home.js';
import { createRoster } from '../../../lib/transport/roster.js';
import type { Address } from '../../../lib/transport/tcp.js';
import { silentLog } from '../../../lib/util/log.js';

const [folder = '', host = '', port = ''] = process.argv.slice(2);
const log = silentLog;
const clock = systemClock;
const random = { next: () => randomInt(2 ** 48 - 1) / 2 ** 48 };

const identity = ensureIdentity(folder);
const home = openMeshHome(folder);
const roster = createRoster({ home, key: identity.publicKey, now: () => Date.now(), log });
const network = await openDhtNetwork({
  identity,
  bootstrap: [],
  port: Number(port),
  folder: null,
  host,
  mdns: false,
  advertise: [],
  log,
});
const peers = createPeers({
  network,
  roster,
  certificate: () => roster.own(),
  verify: (key, chain) => roster.verify(key, chain),
  handlers: {},
  streamHandlers: {},
  relay: false,
  addressBook: createAddressBook({ path: null, clock, log }),
  log,
  clock,
  random,
  version: 'bench',
});
const gossip = createMeshGossip({
  peers,
  roster,
  certificate: () => roster.own(),
  home,
  clock,
  random,
  log,
  meta: {},
});

gossip.onChange((change) => {
  if (change.type !== 'member') return;
  const { record, before } = change;
  const word = record.info.meta['word'];
  if (record.state !== before?.state) process.stdout.write(`${record.state} ${record.info.name}\n`);
  if (word !== undefined && word !== before?.info.meta['word']) process.stdout.write(`word ${word}\n`);
});

const servers = JSON.parse(readFileSync(`${folder}/servers`, 'utf8')) as { key: string; address: Address }[];
for (const { key, address } of servers) peers.learn(key, [address]);
gossip.start();
await peers.start();
peers.keep(servers.map(({ key }) => key));
createInterface({ input: process.stdin }).on('line', (word) => {
  gossip.tell({ meta: { word } });
  process.stdout.write(`word ${word}\n`);
});
// The timers of a mesh keep no process alive; its standard input does, until the bench is gone.
process.stdin.on('end', () => process.exit());
