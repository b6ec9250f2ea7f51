// The servers of a mesh as one, for an agent that is none: what becomes of a call when the server that was asked dies.
import t from 'tap';
import { meshServers } from '../../lib/agent/mesh/servers.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { NodeKey } from '../../lib/structs/mesh.js';
import type { Peer, Peers } from '../../lib/transport/peers.js';

const NAMES = ['nas', 'nuc', 'pi', 'hut', 'attic'] as const;
const keyOf = (name: string) => name as NodeKey;
const peerOf = (name: string, at: number) =>
  ({ key: keyOf(name), report: { Path: { Kind: 'direct' }, RttMs: at } }) as unknown as Peer;

/** Links to servers that answer nothing until they die. */
function world() {
  const linked = NAMES.map(peerOf);
  const asked: string[] = [];
  const waiting = new Map<string, (error: Error) => void>();
  const listeners: ((peer: Peer, up: boolean) => void)[] = [];
  const peers = {
    linked: () => linked,
    onLink: (listener: (peer: Peer, up: boolean) => void) => void listeners.push(listener),
    caller: (key: NodeKey) => ({
      call: () => {
        asked.push(key);
        return new Promise((_, reject) => waiting.set(key, reject));
      },
    }),
    key: keyOf('me'),
  } as unknown as Pick<Peers, 'linked' | 'onLink' | 'caller' | 'key'>;
  const clock = { nowMs: 0 };
  const servers = meshServers({
    peers,
    servers: () => NAMES.map(keyOf),
    nameOf: (key) => key,
    isClient: () => true,
    monotonicMs: () => clock.nowMs,
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return {
    servers,
    asked,
    clock,
    async fail(name: string) {
      await turn();
      waiting.get(name)?.(new MeshError('E_TIMEOUT', `${name} does not answer`));
      await turn();
    },
    async die(name: string) {
      await turn();
      const [peer] = linked.splice(
        linked.findIndex(({ key }) => key === name),
        1,
      );
      waiting.get(name)?.(new MeshError('E_TIMEOUT', 'the link was lost: silent for 3.0 s'));
      for (const listener of listeners) listener(peer as Peer, false);
      await turn();
    },
  };
}

const read = { Namespace: 'default', JobID: 'web', MinQueryIndex: 7 };

t.test('what waits for a change goes on at another server when the one asked dies', async (t) => {
  const { servers, asked, die } = world();
  const answer = servers.call('Job.GetJob', read);
  await die('nas');
  t.same(asked, ['nas', 'nuc']);
  await die('nuc');
  await die('pi');
  t.same(asked, ['nas', 'nuc', 'pi', 'hut']);
  const refused = t.rejects(answer, { code: 'E_TIMEOUT', message: /link was lost/ });
  await die('hut');
  await refused;
  t.equal(asked.length, 4, 'it is not asked without end');
});

t.test('a write is not asked twice: nobody knows whether it was done', async (t) => {
  const { servers, asked, die } = world();
  const refused = t.rejects(servers.call('Job.Deregister', { Namespace: 'default', JobID: 'web', Purge: false }), {
    code: 'E_TIMEOUT',
    message: /link was lost.*whether the write was kept is unknown/,
  });
  await die('nas');
  await refused;
  t.same(asked, ['nas']);
});

t.test('a read that took too long, or whose asker has left, is not asked again', async (t) => {
  const { servers, asked, fail, die } = world();
  const slow = t.rejects(servers.call('Job.GetJob', read), { message: /does not answer/ });
  await fail('nas');
  await slow;
  const gone = new AbortController();
  const left = t.rejects(servers.call('Job.GetJob', read, { signal: gone.signal }), { code: 'E_TIMEOUT' });
  gone.abort();
  await die('nas');
  await left;
  t.same(asked, ['nas', 'nas']);
});

t.test('who would rather do without is told so once no server was linked for that long', async (t) => {
  const { servers, clock, die } = world();
  clock.nowMs = 60_000;
  for (const name of NAMES) await die(name);
  const ended: string[] = [];
  const ask = (name: string, options: { linklessMs?: number; signal?: AbortSignal }) =>
    servers.call('Job.GetJob', read, options).catch(({ code }) => ended.push(`${name}: ${code}`));
  const patient = new AbortController();
  const waits = ask('waits', { signal: patient.signal });
  const early = ask('early', { linklessMs: 3_600_000, signal: patient.signal });
  clock.nowMs = 61_000;
  await ask('late', { linklessMs: 1_000 });
  t.same(ended, ['late: E_NO_LEADER']);
  patient.abort();
  await Promise.all([waits, early]);
});
