// What an agent without a mesh must not pay for.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { TestAgent } from '../support/mesh-agent.js';

t.test(
  'an agent that is in no mesh loads nothing of it',
  { skip: process.platform === 'linux' ? false : 'needs /proc' },
  async (t) => {
    const agent = await TestAgent.start();
    t.teardown(() => agent.dispose());
    const maps = readFileSync(`/proc/${agent.pid}/maps`, 'utf8');
    t.match(maps, /node/);
    t.notMatch(maps, /udx-native|sodium-native|rocksdb-native/);
    t.match(await agent.cli(['net']), { code: 1, err: /in no mesh: found one with "meshnomad init"/ });
    t.match(await agent.cli(['invite']), { code: 1, err: /in no mesh/ });
  },
);
