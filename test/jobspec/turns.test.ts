import t from 'tap';
import { canonicalizeInTurns, canonicalizeJob } from '../../lib/jobspec/canonicalize.js';
import { diffJobs, diffJobsInTurns } from '../../lib/jobspec/diff.js';
import { readJobInTurns, readJobJson } from '../../lib/jobspec/read-json.js';
import { findIssues, findIssuesInTurns } from '../../lib/structs/validate/job.js';
import { JOB_LIMITS } from '../../lib/structs/validate/limits.js';
import { GROUPS_PER_TURN, type Resting } from '../../lib/util/turns.js';

const COUNT = 1_000;
const options = { contextual: true };

/** Of so many groups, which read their names from `named`. */
function handedIn(Driver: string, named = (name: string): string => name): object {
  const groups = Array.from({ length: COUNT }, (_, i) => ({
    get Name() {
      return named(`g${i}`);
    },
    Tasks: [{ Name: 't', Driver }],
  }));
  return { ID: 'wide', TaskGroups: groups };
}

function whole(Driver: string) {
  const read = readJobJson(handedIn(Driver));
  if (!read.ok) throw new Error(read.error.join('; '));
  return canonicalizeJob(read.value);
}

/** Runs it to its end; `saw` is called at each rest. */
function counted<T>(work: Resting<T>, saw = (): void => {}): { rests: number; value: T } {
  for (let rests = 0; ; rests++) {
    const { done, value } = work.next();
    if (done) return { rests, value };
    saw();
  }
}

t.test('a job of very many groups is read, completed, checked and compared with rests', async (t) => {
  const parts = COUNT / GROUPS_PER_TURN;
  let [inTurn, most] = [0, 0];
  const named = (name: string): string => {
    most = Math.max(most, ++inTurn);
    return name;
  };
  const read = counted(readJobInTurns(handedIn('docker', named)), () => {
    inTurn = 0;
  });
  t.ok(read.rests >= parts);
  t.equal(most, GROUPS_PER_TURN, 'groups in one turn');
  if (!read.value.ok) throw new Error(read.value.error.join('; '));
  const completed = counted(canonicalizeInTurns(read.value.value));
  t.ok(completed.rests >= parts);
  t.same(completed.value, whole('docker'));
  const checked = counted(findIssuesInTurns(completed.value, JOB_LIMITS));
  t.ok(checked.rests >= parts);
  t.same(checked.value, findIssues(completed.value));
  const compared = counted(diffJobsInTurns(completed.value, whole('exec'), options));
  t.ok(compared.rests >= parts);
  t.same(compared.value, diffJobs(completed.value, whole('exec'), options));
});

t.test('groups are paired by their names without each being held against all others', async (t) => {
  const [before, after] = [whole('docker'), whole('docker')];
  let looks = 0;
  const counting = before.TaskGroups.map(
    (group) =>
      new Proxy(group, {
        get(target, key) {
          if (key === 'Name') looks++;
          return Reflect.get(target, key) as unknown;
        },
      }),
  );
  t.equal(diffJobs({ ...before, TaskGroups: counting }, after, options).Type, 'None');
  t.ok(looks < 40 * COUNT, `${looks} looks at ${COUNT} names`);
});
