import t from 'tap';
import { createMeshWorld } from './mesh-world.js';

const COUNT = 100;

t.test('a hundred machines that join at once all come in, each once', async (t) => {
  const { store, invite, join } = await createMeshWorld(t);
  const invites: string[] = [];
  for (let i = 0; i < COUNT; i++) invites.push(await invite());
  // All have the name of the same image: nobody has chosen it.
  const joined = await Promise.all(invites.map((text) => join(text, { name: 'pi', rename: true, timeoutMs: 20_000 })));
  const members = [...store.snapshot().meshMembers()].filter(({ Role }) => Role === 'client');
  t.equal(members.length, COUNT);
  t.equal(new Set(members.map(({ Name }) => Name)).size, COUNT, 'each has a name of its own');
  t.equal(new Set(members.map(({ Serial }) => Serial)).size, COUNT, 'and a serial of its own');
  t.same(new Set(joined.map(({ member }) => member.Name)), new Set(members.map(({ Name }) => Name)));
  t.ok([...store.snapshot().meshInvites()].every(({ Used }) => Used.length === 1));
});
