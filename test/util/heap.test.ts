import t from 'tap';
import { Heap } from '../../lib/util/heap.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';

t.test('pop gives the smallest of what is in it, whatever came and went before', async (t) => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = seededRandom(seed);
    const heap = new Heap<number>((a, b) => a < b);
    const model: number[] = [];
    for (let step = 0; step < 200; step++) {
      if (random.next() < 0.6) {
        const value = randomInt(random, 50);
        heap.push(value);
        model.push(value);
      } else {
        model.sort((a, b) => a - b);
        if (heap.pop() !== model.shift()) t.fail(`seed=${seed} step=${step}`);
      }
      if (heap.size !== model.length) t.fail(`seed=${seed}: size`);
    }
  }
  t.equal(new Heap<number>(() => true).pop(), undefined);
});
