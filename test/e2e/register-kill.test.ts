// An acknowledged job survives kill -9 of the agent at any moment; a job that is there is there whole.
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { seededRandom } from '../../lib/util/random.js';
import { jobJson, TestAgent } from '../support/mesh-agent.js';

const KILLS = 200;
/** So many agents side by side: one waits while the other writes, and most of a short life is its start. */
const AGENTS = 2;
/** A machine that has many times more to do than it can does not come so far: what was killed until then counts. */
const LIMIT_MS = 180_000;
const KILLS_MIN = 20;
const WRITERS = 4;
/** Of one life of the agent: however busy the machine is, it is written to when it dies. */
const ANSWERS_MAX = 12;

/** The round in which a job was last acknowledged, and the newest round that was sent. */
interface Written {
  acknowledged: number;
  sent: number;
}

t.test(`every acknowledged job is there after ${KILLS} kills, and no half job`, { timeout: 540_000 }, async (t) => {
  const seed = Date.now() & 0xffff;
  await Promise.all(Array.from({ length: AGENTS }, (_, i) => killAgain(t, seed + i)));
});

/** Writes to an agent that is killed again and again, and looks at what is there in the end. */
async function killAgain(t: Test, seed: number): Promise<void> {
  t.comment(`seed=${seed}`);
  const random = seededRandom(seed);
  const agent = await TestAgent.start({ roles: { client: false } });
  t.teardown(() => agent.dispose());
  const written = new Map<string, Written>();
  let running = true;
  let next = 0;
  let answers = 0;

  const launch = (): void => {
    agent.log = '';
    agent.launch();
  };
  /** Whether the latest process has come so far that it answers requests. */
  const serves = (): boolean => agent.log.includes('agent started');

  async function write(): Promise<void> {
    while (running) {
      // Half of the writes are new jobs, half are new versions of known ones.
      const fresh = written.size < 20 || random.next() < 0.5;
      const id = fresh ? `job-${next++}` : ([...written.keys()][Math.floor(random.next() * written.size)] as string);
      const record = written.get(id) ?? { acknowledged: -1, sent: -1 };
      written.set(id, record);
      const round = ++record.sent;
      const meta = { round: String(round), filler: 'x'.repeat(Math.floor(random.next() * 2000)), end: String(round) };
      const body = jobJson(id, { count: 0, group: { Meta: meta } });
      try {
        const { status } = await agent.put('/v1/jobs', body);
        // Two writers may race for one job; the state then holds one of the two.
        if (status === 200) {
          record.acknowledged = Math.max(record.acknowledged, round);
          answers++;
        } else await sleep(5);
      } catch {
        // Killed. A start takes what the machine has: asking in vain meanwhile would only make it last longer.
        do await sleep(5);
        while (running && !serves());
      }
    }
  }

  const writers = Array.from({ length: WRITERS }, write);
  const began = performance.now();
  let kills = 0;
  for (; kills < KILLS / AGENTS && performance.now() - began < LIMIT_MS; kills++) {
    // Some kills fall into the start and the replay of the log, most into the writing.
    const wanted = random.next() < 0.8 ? answers + 1 + Math.floor(random.next() * ANSWERS_MAX) : answers;
    while (answers < wanted) await sleep(2);
    await sleep(random.next() * 20);
    await agent.kill();
    launch();
  }
  running = false;
  await Promise.all(writers);
  await agent.ready();

  const jobs = await agent.get<{ ID: string }[]>('/v1/jobs');
  const ids = new Set(jobs.map(({ ID }) => ID));
  let acknowledged = 0;
  for (const [id, record] of written) {
    if (record.acknowledged < 0) continue;
    acknowledged++;
    if (!ids.has(id)) t.fail(`${id} was acknowledged and is gone`);
  }
  t.ok(kills >= KILLS_MIN / AGENTS && acknowledged > kills, `${acknowledged} jobs were acknowledged, ${kills} kills`);
  let checked = 0;
  for (const id of ids) {
    const job = await agent.get<{ TaskGroups: { Meta: Record<string, string>; Tasks: unknown[] }[] }>(`/v1/job/${id}`);
    const group = job.TaskGroups[0];
    const record = written.get(id);
    if (!group || !record || group.Meta['round'] !== group.Meta['end'] || group.Tasks.length !== 1)
      t.fail(`${id} is half a job`);
    else if (Number(group.Meta['round']) < record.acknowledged - WRITERS)
      t.fail(`${id} went back to round ${group.Meta['round']} of ${record.acknowledged}`);
    checked++;
  }
  t.equal(checked, ids.size);
}
