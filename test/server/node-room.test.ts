import t from 'tap';
import { hasRoom, type RoomState } from '../../lib/server/node-room.js';
import { emptyTables } from '../../lib/state/schema.js';
import { Table } from '../../lib/state/table.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { PlanResult } from '../../lib/structs/plan.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';
import { mockAlloc, mockAllocated, mockJob, mockNode } from '../scheduler/mock.js';

const NODE = mockNode(0);
const job = mockJob();

const result = (changes: Partial<PlanResult>): PlanResult => ({
  ...{ NodeUpdate: {}, NodeAllocation: {}, NodePreemptions: {}, Deployment: null, DeploymentUpdates: [] },
  ...{ RejectedNodes: [], RefreshIndex: 0, AllocIndex: 0 },
  ...changes,
});

t.test('the fast path answers as looking at every allocation does', async (t) => {
  let fits = 0;
  for (let seed = 1; seed <= 600; seed++) {
    const random = seededRandom(seed);
    const some = (ID: string): Allocation => {
      const value = 20_000 + randomInt(random, 25);
      const port = { Label: 'p', Value: value, To: 0, HostIP: '10.0.0.0', IgnoreCollision: randomInt(random, 9) === 0 };
      return mockAlloc(job, {
        ID,
        NodeID: NODE.ID,
        ClientStatus: (['running', 'running', 'failed', 'lost'] as const)[randomInt(random, 4)] ?? 'running',
        AllocatedResources: mockAllocated({
          cpu: randomInt(random, 1600),
          memory: randomInt(random, 3000),
          ...(randomInt(random, 3) === 0 ? { ports: [port] } : {}),
          ...(randomInt(random, 20) === 0 ? { cores: [randomInt(random, 4)] } : {}),
        }),
      });
    };
    const allocs = emptyTables().allocs;
    t.ok(allocs instanceof Table);
    for (let i = 0; i < 6; i++) allocs.put(some(`a${i}`), 1);
    // What is written again, or forgotten, must leave the sums right.
    for (let i = 0; i < 3; i++) allocs.put(some(`a${i}`), 1);
    allocs.delete('a5', 1);
    const plans = Array.from({ length: 2 }, (_, p) => {
      const stop = allocs.get(`a${randomInt(random, 6)}`);
      const places = [some(`n${p}`), some(`a${randomInt(random, 6)}`)].map((alloc) => ({
        ...alloc,
        ClientStatus: 'pending' as const,
      }));
      return result({
        NodeUpdate: stop ? { [NODE.ID]: [stop] } : {},
        NodeAllocation: { [NODE.ID]: places.slice(0, 1 + randomInt(random, 2)) },
      });
    });
    const slow: RoomState = {
      allocById: (id) => allocs.get(id),
      allocsByNode: (id) => allocs.under('node', id),
    };
    const wanted = hasRoom(NODE, plans, slow);
    // Two that stay and share a port are nobody's fault: only the slow path minds them.
    const quarrel = !hasRoom(NODE, [result({})], slow);
    const found = hasRoom(NODE, plans, {
      ...slow,
      usageByNode: (id) => allocs.sums(id) ?? [0, 0, 0, 0],
      portsByNode: (id) => allocs.marks(id),
    });
    if (wanted) fits++;
    if (!quarrel) t.equal(found, wanted, `seed=${seed}`);
  }
  t.ok(fits > 50 && fits < 550, `${fits} of 600 fit: both answers were tried`);
});
