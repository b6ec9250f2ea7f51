import t from 'tap';
import { createNode } from '../../../lib/transport/dht/node.js';

t.test(
  'the bootstrap nodes are always a list: nothing else reaches hyperdht, which would take the public ones',
  async (t) => {
    for (const bootstrap of [undefined, null, false, 'nowhere'])
      await t.rejects(createNode({ bootstrap: bootstrap as never, port: 0, host: '127.0.0.1' }), /invariant broken/);
    const node = await createNode({ bootstrap: [], port: 0, host: '127.0.0.1' });
    t.teardown(() => node.destroy({ force: true }));
    t.same((node as unknown as { bootstrapNodes: unknown }).bootstrapNodes, []);
  },
);
