import { randomBytes } from 'node:crypto';
import t from 'tap';
import { systemClock } from '../../lib/transport/clock.js';
import { createMemoryNetwork } from '../../lib/transport/memory-network.js';
import type { ConnectAs } from '../../lib/transport/network.js';
import { seededRandom } from '../../lib/util/random.js';
import { networkSuite } from '../conformance/network.js';
import { newIdentity, openTestnet } from '../support/testnet.js';

t.test('the network in memory', async (t) => {
  const net = createMemoryNetwork({ clock: systemClock, random: seededRandom(1), delayMs: 1, unreachableMs: 200 });
  const identity = async (): Promise<ConnectAs> => ({
    publicKey: randomBytes(32).toString('hex'),
    seed: randomBytes(32),
  });
  await networkSuite(t, { open: async () => net.join(await identity()), identity });
});

t.test('the network over the DHT, on loopback', async (t) => {
  const testnet = await openTestnet();
  t.teardown(() => testnet.close());
  await networkSuite(t, { open: () => testnet.open(), identity: newIdentity });
});
