import t from 'tap';
import { rosterIndex, rosterOf } from '../../lib/server/mesh/roster-view.js';
import type { Command } from '../../lib/state/commands.js';
import { createStore } from '../../lib/state/store.js';
import type { MeshMember } from '../../lib/structs/mesh.js';
import { openMeshHome } from '../../lib/transport/mesh-home.js';
import { createRoster, saveMembership } from '../../lib/transport/roster.js';
import { signTombstone } from '../../lib/transport/tombstone.js';
import { silentLog } from '../../lib/util/log.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';
import { NOW, newKey, smallMesh } from '../transport/mesh-world.js';
import { meshCommands } from './mesh-state.js';

const SEEDS = 20;
const STEPS = 60;

/** A mesh in the state, whose first member after the founder follows it. */
function world(members: number) {
  const small = smallMesh();
  const keys = Array.from({ length: members }, newKey);
  const [own] = keys as [ReturnType<typeof newKey>];
  const chain = small.admit(own);
  const others = keys.map(({ publicKey }, i): Partial<MeshMember> => {
    const own = i === 0 ? { Chain: chain } : {};
    return { Key: publicKey, Name: `m${i}`, Role: i % 7 === 3 ? 'server' : 'client', ...own };
  });
  const store = createStore();
  let index = 0;
  const apply = (command: Command): void => {
    index++;
    store.apply(index, command);
  };
  for (const command of meshCommands(small.founder.publicKey, others)) {
    apply(command.type === 'mesh-found' ? { ...command, info: { ...command.info, Root: small.mesh } } : command);
  }
  const home = openMeshHome(null);
  const all = () => rosterOf(store.snapshot(), { key: own.publicKey, role: 'client' });
  const first = all();
  if (!first) throw new Error('no mesh');
  saveMembership(home, { Mesh: first.Mesh, Chain: chain, Members: first.Members });
  const roster = createRoster({ home, key: own.publicKey, now: () => NOW, log: silentLog });
  const bury = (key: string): Command => ({
    type: 'mesh-bury',
    tombstones: [
      signTombstone({ mesh: small.mesh, key, atMs: NOW, reason: '', by: small.founder, chain: small.founderChain }),
    ],
    discoverySecret: 'ab'.repeat(32),
  });
  return { store, apply, roster, own, keys, all, bury };
}

t.test('who hears of changes only has what the servers have, whatever happens', async (t) => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seededRandom(seed);
    const { store, apply, roster, own, keys, all, bury } = world(12);
    let since = 0;
    for (let step = 0; step < STEPS; step++) {
      const key = keys[1 + randomInt(random, keys.length - 1)]?.publicKey ?? '';
      const what = randomInt(random, 5);
      if (what === 0) apply({ type: 'mesh-leave', key });
      else if (what === 1) apply(bury(key));
      else if (what === 2) apply(bury(newKey().publicKey));
      else if (what === 3) apply({ type: 'mesh-rotate', discoverySecret: `${step}`.padStart(64, '0') });
      else apply({ type: 'mesh-collect', invites: [`i${randomInt(random, keys.length)}`] });
      // It does not look after each of them.
      if (random.next() < 0.5) continue;
      const state = store.snapshot();
      const reply = rosterOf(state, { key: own.publicKey, role: 'client', since });
      if (!reply || !roster.update(reply)) throw new Error(`seed ${seed}, step ${step}: something was missed`);
      since = rosterIndex(state);
      for (const { Key, Status } of all()?.Members ?? []) {
        if (roster.find(Key)?.status !== Status) t.fail(`seed ${seed}, step ${step}: ${Key} is ${Status}`);
      }
    }
    roster.close();
  }
  t.pass(`${SEEDS} histories`);
});

t.test('one change among five hundred members is told in less than a kilobyte', async (t) => {
  const { store, apply, roster, own, keys, all } = world(500);
  t.teardown(() => roster.close());
  const since = rosterIndex(store.snapshot());
  apply({ type: 'mesh-leave', key: keys[77]?.publicKey ?? '' });
  const reply = rosterOf(store.snapshot(), { key: own.publicKey, role: 'client', since });
  const [changes, whole] = [JSON.stringify(reply).length, JSON.stringify(all()).length];
  t.comment(`${changes} bytes instead of ${whole}`);
  t.match(reply?.Members, [{ Key: keys[77]?.publicKey, Status: 'left' }]);
  t.ok(changes < 1_000);
  t.ok(whole > 60_000);
});
