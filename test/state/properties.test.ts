import t from 'tap';
import { isTerminal } from '../../lib/scheduler/usage.js';
import type { Command } from '../../lib/state/commands.js';
import { createStore, type StateSnapshot, type Store } from '../../lib/state/store.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';
import { randomCommand } from './world.js';

const SEEDS = [11, 12, 13, 14, 15, 16];
const STEPS = 250;

/** Everything a snapshot says, by scans of its tables. */
function dump(now: StateSnapshot) {
  const jobs = [...now.jobs()];
  return {
    index: now.index,
    jobs,
    versions: jobs.map((job) => now.jobVersions(job.Namespace, job.ID)),
    submissions: jobs.map((job) => now.jobSubmission(job.Namespace, job.ID, job.Version)),
    summaries: jobs.map((job) => now.jobSummary(job.Namespace, job.ID)),
    evals: [...now.evals()],
    allocs: [...now.allocs()],
    nodes: [...now.nodes()],
    deployments: [...now.deployments()],
    config: now.schedulerConfig(),
    tables: (['jobs', 'evals', 'allocs', 'nodes', 'deployments', 'job_summaries'] as const).map((name) => [
      now.tableIndex(name),
      now.count(name),
    ]),
  };
}

async function bytes(now: StateSnapshot): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of now.stream()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Plays random commands; `each` sees the store after every one. Commands go through JSON, as through the log. */
function play(seed: number, each: (store: Store, command: Command) => void = () => {}): Store {
  const random = seededRandom(seed);
  const store = createStore();
  for (let index = 1; index <= STEPS; index++) {
    const command = JSON.parse(JSON.stringify(randomCommand(random, store.snapshot()))) as Command;
    store.apply(index, command);
    each(store, command);
  }
  return store;
}

function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) freeze(inner);
}

t.test('indexes agree with scans', async (t) => {
  for (const seed of SEEDS) {
    const now = play(seed).snapshot();
    const { allocs, evals, deployments, jobs } = dump(now);
    t.ok(allocs.length > 20, `seed ${seed} makes allocations`);
    const same = (name: string, index: readonly unknown[], scan: readonly unknown[]): void => {
      if (index.length !== scan.length || index.some((row, i) => row !== scan[i])) t.fail(`seed ${seed}: ${name}`);
    };
    const of = (job: { Namespace: string; ID: string }) => (row: { Namespace: string; JobID: string }) =>
      row.Namespace === job.Namespace && row.JobID === job.ID;
    for (const job of jobs) {
      same('allocs by job', now.allocsByJob(job.Namespace, job.ID), allocs.filter(of(job)));
      same('evals by job', now.evalsByJob(job.Namespace, job.ID), evals.filter(of(job)));
      const latest = deployments.filter(of(job)).sort((a, b) => b.CreateIndex - a.CreateIndex);
      same('deployments by job', now.deploymentsByJob(job.Namespace, job.ID), latest);
      const children = jobs.filter(({ Namespace, ParentID }) => Namespace === job.Namespace && ParentID === job.ID);
      same('children', now.jobChildren(job.Namespace, job.ID), children);
      t.equal(now.jobById(job.Namespace, job.ID), job);
      t.equal(now.jobByVersion(job.Namespace, job.ID, job.Version), job, 'the current job is its own version');
    }
    for (const alloc of allocs) {
      same(
        'by node',
        now.allocsByNode(alloc.NodeID),
        allocs.filter(({ NodeID }) => NodeID === alloc.NodeID),
      );
      const prefix = alloc.ID.slice(0, 2);
      same(
        'by prefix',
        [...now.allocs({ prefix })],
        allocs.filter(({ ID }) => ID.startsWith(prefix)),
      );
      if (now.allocById(alloc.ID) !== alloc) t.fail('by id');
    }
    for (const job of jobs)
      same('of a job, one by one', [...now.eachAllocOfJob(job.Namespace, job.ID)], allocs.filter(of(job)));
    for (const deployment of deployments) {
      const canaries = Object.values(deployment.TaskGroups).flatMap(({ PlacedCanaries }) => PlacedCanaries ?? []);
      same(
        'in question',
        now.allocsInQuestion(deployment).toSorted((a, b) => (a.ID < b.ID ? -1 : 1)),
        allocs.filter((alloc) => {
          const isUnhealthy = alloc.DeploymentStatus?.Healthy === false;
          return alloc.DeploymentID === deployment.ID && (isUnhealthy || canaries.includes(alloc.ID));
        }),
      );
    }
    for (const status of ['pending', 'blocked', 'complete'] as const) {
      same(
        'evals by status',
        now.evalsByStatus(status),
        evals.filter(({ Status }) => Status === status),
      );
    }
    same(
      'a namespace',
      [...now.jobs({ namespace: 'other' })],
      jobs.filter(({ Namespace }) => Namespace === 'other'),
    );
  }
});

t.test('summaries agree with a recount of the allocations', async (t) => {
  const counter = {
    pending: 'Starting',
    running: 'Running',
    complete: 'Complete',
    failed: 'Failed',
    lost: 'Lost',
    unknown: 'Unknown',
  } as const;
  for (const seed of SEEDS) {
    const now = play(seed).snapshot();
    for (const job of now.jobs()) {
      const summary = now.jobSummary(job.Namespace, job.ID);
      const counted = new Map<string, number>();
      const own = (alloc: Allocation): boolean => alloc.Job?.CreateIndex === job.CreateIndex;
      for (const alloc of now.allocsByJob(job.Namespace, job.ID).filter(own)) {
        const key = `${alloc.TaskGroup} ${counter[alloc.ClientStatus]}`;
        counted.set(key, (counted.get(key) ?? 0) + 1);
      }
      for (const [name, group] of Object.entries(summary?.Summary ?? {})) {
        for (const key of Object.values(counter)) {
          t.equal(group[key], counted.get(`${name} ${key}`) ?? 0, `seed ${seed}: ${job.ID} ${name} ${key}`);
        }
      }
    }
  }
});

t.test('deployments agree with a recount of their allocations', async (t) => {
  for (const seed of SEEDS) {
    const now = play(seed).snapshot();
    for (const deployment of now.deployments()) {
      const allocs = [...now.allocs()].filter((alloc) => {
        return alloc.DeploymentID === deployment.ID && alloc.TaskGroup === 'web';
      });
      const healthy = (is: boolean) => allocs.filter((alloc) => alloc.DeploymentStatus?.Healthy === is).length;
      const { PlacedAllocs, HealthyAllocs, UnhealthyAllocs } = deployment.TaskGroups['web'] ?? {};
      t.same([PlacedAllocs, HealthyAllocs, UnhealthyAllocs], [allocs.length, healthy(true), healthy(false)]);
    }
  }
});

t.test('the status of every job follows from its work', async (t) => {
  for (const seed of SEEDS) {
    const now = play(seed).snapshot();
    for (const job of now.jobs()) {
      const live = now.allocsByJob(job.Namespace, job.ID).some((alloc) => !isTerminal(alloc));
      const open = now.evalsByJob(job.Namespace, job.ID).some(({ Status }) => /pending|blocked/.test(Status));
      if (job.Type === 'system') t.equal(job.Status, job.Stop ? 'dead' : 'running');
      else if (live) t.equal(job.Status, 'running');
      else if (open) t.equal(job.Status, 'pending');
      else t.equal(job.Status, 'dead');
    }
  }
});

t.test('a snapshot does not change while the store moves on, and nothing stored is ever written to', async (t) => {
  for (const seed of SEEDS) {
    const kept: { now: StateSnapshot; was: string }[] = [];
    play(seed, (store, command) => {
      // Frozen objects make a write to one of them throw.
      freeze(command);
      if (store.index % 20 !== 0) return;
      const now = store.snapshot();
      freeze(dump(now));
      kept.push({ now, was: JSON.stringify(dump(now)) });
    });
    for (const { now, was } of kept) t.equal(JSON.stringify(dump(now)), was, `seed ${seed}, index ${now.index}`);
  }
});

t.test('the same commands give the same bytes, and the bytes the same state', async (t) => {
  for (const seed of SEEDS) {
    const store = play(seed);
    const random = seededRandom(seed);
    const twin = createStore();
    // The twin takes snapshots at other times, which must not show.
    for (let index = 1; index <= STEPS; index++) {
      const probe = index === 1 ? createStore().snapshot() : twin.snapshot();
      twin.apply(index, JSON.parse(JSON.stringify(randomCommand(random, probe))) as Command);
    }
    const written = await bytes(store.snapshot());
    t.ok(written.equals(await bytes(twin.snapshot())), `seed ${seed}: equal bytes`);
    const restored = createStore();
    await restored.restore(chopped(written, seed), store.index);
    t.same(dump(restored.snapshot()), dump(store.snapshot()), `seed ${seed}: equal state`);
    t.ok(written.equals(await bytes(restored.snapshot())), `seed ${seed}: equal bytes after a restore`);
    // Both must go on alike.
    const more = seededRandom(seed + 1000);
    for (let index = STEPS + 1; index <= STEPS + 40; index++) {
      const command = JSON.stringify(randomCommand(more, store.snapshot()));
      store.apply(index, JSON.parse(command) as Command);
      restored.apply(index, JSON.parse(command) as Command);
    }
    t.same(dump(restored.snapshot()), dump(store.snapshot()), `seed ${seed}: equal after more commands`);
  }
});

async function* chopped(all: Buffer, seed: number): AsyncGenerator<Uint8Array> {
  const random = seededRandom(seed);
  for (let at = 0; at < all.length; ) {
    const size = 1 + randomInt(random, 50_000);
    yield all.subarray(at, at + size);
    at += size;
  }
}

t.test('a damaged or cut snapshot is refused and changes nothing', async (t) => {
  const store = play(11);
  const written = await bytes(store.snapshot());
  const before = JSON.stringify(dump(store.snapshot()));
  const random = seededRandom(5);
  for (let i = 0; i < 40; i++) {
    const bad = Buffer.from(written);
    const at = randomInt(random, bad.length);
    bad[at] = (bad[at] as number) ^ (1 << randomInt(random, 8));
    await t.rejects(store.restore(chopped(bad, i), store.index), { code: 'E_STORAGE' }, `bit at ${at}`);
    await t.rejects(store.restore(chopped(written.subarray(0, at), i), store.index), { code: 'E_STORAGE' });
  }
  t.equal(JSON.stringify(dump(store.snapshot())), before);
});

t.test('the version of the nodes changes when, and only when, a node does', async (t) => {
  let kept = 0;
  let changed = 0;
  for (let seed = 1; seed <= 10; seed++) {
    let before: StateSnapshot | undefined;
    play(seed, (store) => {
      const now = store.snapshot();
      const nodes = [...now.nodes()];
      const old = [...(before?.nodes() ?? [])];
      const same = old.length === nodes.length && nodes.every((node, i) => node === old[i]);
      if (before && same && now.nodesVersion === before.nodesVersion) kept++;
      if (!same && now.nodesVersion === before?.nodesVersion)
        t.fail(`seed ${seed} index ${store.index}: a stale version`);
      if (!same) changed++;
      before = now;
    });
  }
  t.ok(kept > 100 && changed > 10, `${kept} kept, ${changed} changed`);
});
