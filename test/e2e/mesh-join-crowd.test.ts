// Many machines at once, over a private DHT on loopback: the server is a real agent, the joiners share one process.
import t from 'tap';
import { parseInvite } from '../../lib/transport/invite.js';
import { joinMesh } from '../../lib/transport/join.js';
import { Machine } from '../support/mesh-machines.js';
import { newIdentity, openTestnet } from '../support/testnet.js';

const JOINERS = 100;

t.test(`${JOINERS} machines join at once`, { timeout: 180_000 }, async (t) => {
  const testnet = await openTestnet();
  t.teardown(() => testnet.close());
  const nas = await Machine.make({ testnet, name: 'nas' });
  t.teardown(() => nas.dispose());
  await nas.start('init');

  const invites: string[] = [];
  for (let i = 0; i < JOINERS; i++) {
    const response = await fetch(`${nas.address}/v1/mesh/invites`, { method: 'PUT', body: '{}' });
    invites.push(((await response.json()) as { Invite: string }).Invite);
  }
  const machines = await Promise.all(
    invites.map(async () => {
      const identity = await newIdentity();
      return { identity, network: await testnet.open({ identity }) };
    }),
  );
  const began = performance.now();
  const times: number[] = [];
  const names = await Promise.all(
    machines.map(async ({ identity, network }, i) => {
      const invite = parseInvite(invites[i] as string);
      if (!invite.ok) throw invite.error;
      const options = { network, name: 'pi', rename: true, facts: {}, now: () => Date.now() };
      const { member } = await joinMesh({
        ...options,
        invite: invite.value,
        identity: { ...identity, seed: Buffer.from(identity.seed) },
        timeoutMs: 120_000,
      });
      times.push(performance.now() - began);
      return member.Name;
    }),
  );
  times.sort((a, b) => a - b);
  const at = (part: number): string => `${Math.round(times[Math.floor(part * (times.length - 1))] ?? 0)} ms`;
  t.comment(`median ${at(0.5)}, 95 % ${at(0.95)}, last ${at(1)}`);
  t.equal(new Set(names).size, JOINERS, 'each under a name of its own');
  const members = await nas.get<{ Status: string }[]>('/v1/mesh/members');
  t.equal(members.filter(({ Status }) => Status === 'admitted').length, JOINERS + 1);
});
