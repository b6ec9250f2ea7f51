import { getEventListeners } from 'node:events';
import t from 'tap';
import { patient } from '../../lib/client/volume-data/core-copy.js';
import type { Core } from '../../lib/storage/index.js';

t.test('many blocks that are asked for at once are one listener to the agent, and all end with it', async (t) => {
  const answers: ((block: Buffer) => void)[] = [];
  const get = () => new Promise<Buffer>((resolve) => answers.push(resolve));
  const ending = new AbortController();
  const listeners = (): number => getEventListeners(ending.signal, 'abort').length;
  const blocks = patient({ key: Buffer.alloc(32), get } as unknown as Core, ending.signal);
  const first = Array.from({ length: 20 }, (_, index) => blocks.get(index));
  t.equal(listeners(), 1);
  for (const answer of answers.splice(0)) answer(Buffer.from('x'));
  t.equal((await Promise.all(first)).length, 20);
  t.equal(listeners(), 0, 'nothing stays');
  const second = Array.from({ length: 20 }, (_, index) => t.rejects(blocks.get(index), { code: 'E_TIMEOUT' }));
  ending.abort();
  await Promise.all(second);
  await t.rejects(blocks.get(0), { code: 'E_TIMEOUT' }, 'nor does anything begin after that');
  for (const answer of answers) answer(Buffer.from('x'));
});
