// Connects to one key at one address, over and over, with another key each time, for flood.test.ts.
// Usage: node flood-peer.js KEY PORT MS
import { createNode } from '../../lib/transport/dht/node.js';

const AT_A_TIME = 300;
const GIVE_UP_MS = 300;

const [key = '', port = '', ms = ''] = process.argv.slice(2);
const { default: DHT } = await import('hyperdht');
const node = await createNode({ bootstrap: [], port: 0, host: '127.0.0.1' });
const end = performance.now() + Number(ms);
let tries = 0;

function next(): void {
  if (performance.now() > end) return;
  tries++;
  const stream = node.connect(Buffer.from(key, 'hex'), {
    keyPair: DHT.keyPair(),
    relayAddresses: [{ host: '127.0.0.1', port: Number(port) }],
    holepunch: () => false,
  });
  stream.on('error', () => {});
  const timer = setTimeout(() => stream.destroy(), GIVE_UP_MS);
  stream.once('close', () => {
    clearTimeout(timer);
    next();
  });
}

for (let i = 0; i < AT_A_TIME; i++) next();
setTimeout(() => {
  process.stdout.write(`${tries}\n`);
  process.exit();
}, Number(ms) + GIVE_UP_MS);
