import t from 'tap';
import { groupOf } from '../../lib/structs/group-of.js';
import { mockGroup, mockJob } from '../scheduler/mock.js';

t.test('a group is found by its name, among a thousand without looking through them each time', async (t) => {
  let looks = 0;
  for (const count of [2, 1_000]) {
    const TaskGroups = Array.from({ length: count }, (_, i) => {
      const group = mockGroup();
      Object.defineProperty(group, 'Name', {
        get() {
          looks++;
          return `g${i}`;
        },
      });
      return group;
    });
    const job = mockJob({ TaskGroups });
    for (let i = 0; i < count; i++) t.equal(groupOf(job, `g${i}`), TaskGroups[i]);
    t.equal(groupOf(job, 'none'), undefined);
  }
  t.ok(looks < 2_000, `${looks} looks`);
  t.equal(groupOf(null, 'g0'), undefined);
});
