// Strangers that knock as often as they can, over real sockets: nobody comes in, and a member that knocks meanwhile does.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { openDhtNetwork } from '../../lib/transport/dht/index.js';
import { silentLog } from '../../lib/util/log.js';
import { freePort } from '../support/mesh-agent.js';
import { newIdentity } from '../support/testnet.js';

const FLOOD = fileURLToPath(new URL('./flood-peer.js', import.meta.url));
const ATTACKERS = 2;
const FLOOD_MS = 4_000;
const RSS_GROWTH_MAX_BYTES = 100 * 1024 * 1024;

t.test('a flood of strangers opens nothing, costs little, and keeps no member out', { timeout: 60_000 }, async (t) => {
  const [identity, friend] = [await newIdentity(), await newIdentity()];
  const port = await freePort();
  const common = { bootstrap: [], folder: null, host: '127.0.0.1', mdns: false, advertise: [], log: silentLog };
  const network = await openDhtNetwork({ ...common, identity, port });
  const member = await openDhtNetwork({ ...common, identity: friend, port: await freePort() });
  t.teardown(() => Promise.all([network.close(), member.close()]));
  let refused = 0;
  const opened: string[] = [];
  await network.listen({
    admit: (key) => {
      if (key !== friend.publicKey) refused++;
      return key === friend.publicKey;
    },
    onConnection: ({ remoteKey, stream }) => {
      opened.push(remoteKey);
      stream.write('hello');
    },
  });
  const [cpu, rss] = [process.cpuUsage(), process.memoryUsage().rss];
  const attackers = Array.from({ length: ATTACKERS }, () =>
    spawn(process.execPath, [FLOOD, network.key, String(port), String(FLOOD_MS)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  t.teardown(() => attackers.map((attacker) => attacker.kill('SIGKILL')));
  const ended = Promise.all(attackers.map((attacker) => once(attacker, 'exit')));
  await Promise.all(attackers.map(({ stdout }) => stdout && once(stdout, 'data')));
  const spent = process.cpuUsage(cpu);
  const perConnectMs = (spent.user + spent.system) / 1_000 / refused;
  t.comment(`${refused} refused in ${FLOOD_MS / 1_000} s, ${perConnectMs.toFixed(2)} ms of CPU each`);
  t.ok(refused > 100, 'they did knock');
  t.ok(process.memoryUsage().rss - rss < RSS_GROWTH_MAX_BYTES, 'memory is bounded');
  // A thousand a second are to leave the machine to its work.
  t.ok(perConnectMs < 1, `${perConnectMs} ms`);
  const connection = await member.dial(network.key, { addresses: [{ host: '127.0.0.1', port }] });
  t.equal(String((await once(connection.stream, 'data'))[0]), 'hello');
  t.strictSame([...new Set(opened)], [friend.publicKey]);
  await ended;
});
