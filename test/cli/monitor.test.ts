import t, { type Test } from 'tap';
import type { Allocation } from '../../lib/structs/allocation.js';
import { ALLOC_ID, alloc, createCliWorld, DEPLOYMENT_ID, deployment, EVAL_ID, evaluation } from './world.js';

/** Gives one after the other; the last one stays. */
const inTurn =
  (...replies: unknown[]) =>
  () =>
    replies.length > 1 ? replies.shift() : replies[0];

/** Times are left out: they are those of the moment. */
const story = (text: string): string => text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)/g, '<time>');

const MONITOR = ['eval', 'status', '-monitor', 'e1b2'];

t.test('an evaluation is followed to its allocations and its deployment', async (t) => {
  const world = await createCliWorld(t);
  const within = evaluation({ DeploymentID: DEPLOYMENT_ID });
  world.replies = {
    'GET /v1/evaluations': [within],
    [`GET /v1/evaluation/${EVAL_ID}`]: inTurn(within, evaluation({ Status: 'pending' }), within),
    [`GET /v1/evaluation/${EVAL_ID}/allocations`]: inTurn([], [alloc({ ClientStatus: 'pending' })]),
    [`GET /v1/deployment/${DEPLOYMENT_ID}`]: inTurn(
      deployment(),
      deployment(
        { Status: 'successful', StatusDescription: 'Deployment completed successfully' },
        { HealthyAllocs: 2 },
      ),
    ),
    [`GET /v1/deployment/allocations/${DEPLOYMENT_ID}`]: inTurn([alloc({ ClientStatus: 'running', ModifyIndex: 8 })]),
  };
  const { code, out, error } = await world.run(...MONITOR);
  t.equal(code, 0, error);
  t.equal(
    story(out),
    `==> <time>: Monitoring evaluation "e1b2c3d4"
    <time>: Evaluation triggered by job "web"
    <time>: Evaluation within deployment: "d1b2c3d4"
    <time>: Allocation "a1b2c3d4" created: node "f1b2c3d4", group "front"
    <time>: Evaluation status changed: "pending" -> "complete"
==> <time>: Evaluation "e1b2c3d4" finished with status "complete"
==> <time>: Monitoring deployment "d1b2c3d4"
    <time>: Deployment running: front 1/2 healthy
    <time>: Allocation "a1b2c3d4" status changed: "pending" -> "running" (Tasks are running)
  ✓ Deployment "d1b2c3d4" successful

    ID          = d1b2c3d4
    Job ID      = web
    Job Version = 2
    Status      = successful
    Description = Deployment completed successfully

    Deployed
    Task Group  Desired  Placed  Healthy  Unhealthy  Progress Deadline
    front       2        2       2        0          <time>
`,
  );
  t.ok(
    world.asked.some((ask) => /evaluation\/e1b2[^/]*\?index=9&wait=30s$/.test(ask)),
    'it waits for what comes after the index it has seen',
  );
});

t.test('what goes wrong in its tasks is told while a deployment is waited for, once each', async (t) => {
  const world = await createCliWorld(t);
  const within = evaluation({ DeploymentID: DEPLOYMENT_ID, CreateIndex: 5 });
  const event = (Type: string, DisplayMessage: string, ExitCode = 0) => ({ Type, DisplayMessage, ExitCode, Signal: 0 });
  const first = [
    event('Terminated', 'Exit Code: 0'),
    event('Terminated', 'Exit Code: 3', 3),
    event('Restarting', 'Task restarting in 3s'),
  ];
  const check = 'healthcheck: check "up" unhealthy';
  const ended = [event('Restart Signaled', check), event('Terminated', 'Exit Code: 130', 130)];
  const asked = [event('Restart Signaled', 'User requested'), event('Terminated', 'Exit Code: 137', 137)];
  const later = [
    ...first,
    ...ended,
    ...asked,
    event('Terminated', 'Exit Code: 3', 3),
    event('Template', 'Template is waiting for: x'),
  ];
  const failing = (Events: object[], fields: object) => ({
    ...alloc({ CreateIndex: 6, ...fields }),
    TaskStates: { init: { State: 'pending', Events } },
  });
  const old = failing([event('Driver Failure', 'long ago')], { ID: 'c1b2c3d4-0000', CreateIndex: 2 });
  world.replies = {
    'GET /v1/evaluations': [within],
    [`GET /v1/evaluation/${EVAL_ID}`]: within,
    [`GET /v1/evaluation/${EVAL_ID}/allocations`]: [alloc({ CreateIndex: 6 }), old],
    [`GET /v1/deployment/${DEPLOYMENT_ID}`]: inTurn(
      ...[1, 2, 3].map(() => deployment()),
      deployment({ Status: 'successful' }),
    ),
    [`GET /v1/deployment/allocations/${DEPLOYMENT_ID}`]: inTurn([failing(first, {}), old], [failing(later, {}), old]),
  };
  const { out } = await world.run(...MONITOR);
  t.same(
    story(out)
      .split('\n')
      .filter((line) => /task|Deployment running/.test(line)),
    [
      '    <time>: Deployment running: front 1/2 healthy',
      '    <time>: Allocation "a1b2c3d4", task "init": Terminated: Exit Code: 3',
      '    <time>: Allocation "a1b2c3d4", task "init": Restart Signaled: healthcheck: check "up" unhealthy',
      '    <time>: Allocation "a1b2c3d4", task "init": Template: Template is waiting for: x',
    ],
  );
});

t.test('a failed deployment ends with 1', async (t) => {
  const world = await createCliWorld(t);
  const within = evaluation({ DeploymentID: DEPLOYMENT_ID });
  world.replies = {
    'GET /v1/evaluations': [within],
    [`GET /v1/evaluation/${EVAL_ID}`]: within,
    [`GET /v1/evaluation/${EVAL_ID}/allocations`]: [],
    [`GET /v1/deployment/${DEPLOYMENT_ID}`]: deployment({
      Status: 'failed',
      StatusDescription: 'Failed due to progress deadline - rolling back to job version 1',
    }),
    [`GET /v1/deployment/allocations/${DEPLOYMENT_ID}`]: [
      {
        ID: 'a1b2c3d4-0000',
        DeploymentStatus: { Healthy: false },
        TaskStates: {
          server: {
            Events: [
              { Type: 'Driver Failure', DisplayMessage: 'image "x" could not be pulled' },
              { Type: 'Not Restarting', DisplayMessage: 'Policy allows no restarts' },
            ],
          },
        },
      },
    ],
  };
  const { code, out } = await world.run(...MONITOR);
  t.equal(code, 1);
  t.match(out, 'Allocation "a1b2c3d4", task "server": Driver Failure: image "x" could not be pulled', 'it says why');
  t.match(out, /✗ Deployment "d1b2c3d4" failed/);
  t.match(out, /reverted to its last stable version/);
});

t.test('what could not be placed ends with 2, and why', async (t) => {
  const world = await createCliWorld(t);
  const failed = evaluation({
    BlockedEval: 'b1b2c3d4-0000',
    FailedTGAllocs: {
      front: {
        NodesEvaluated: 3,
        NodesAvailable: { dc1: 3, dc9: 0 },
        ConstraintFiltered: { '${attr.kernel.name} = plan9': 2 },
        NodesExhausted: 1,
        DimensionExhausted: { memory: 1 },
        CoalescedFailures: 1,
      },
    } as never,
  });
  world.replies = {
    'GET /v1/evaluations': [failed],
    [`GET /v1/evaluation/${EVAL_ID}`]: failed,
    [`GET /v1/evaluation/${EVAL_ID}/allocations`]: [],
  };
  const { code, out } = await world.run(...MONITOR);
  t.equal(code, 2);
  t.equal(
    story(out),
    `==> <time>: Monitoring evaluation "e1b2c3d4"
    <time>: Evaluation triggered by job "web"
==> <time>: Evaluation "e1b2c3d4" finished with status "complete" but failed to place all allocations:
    Task Group "front" (failed to place 2 allocations):
      * No nodes are available in datacenter "dc9"
      * Constraint "\${attr.kernel.name} = plan9": 2 nodes excluded by filter
      * Resources exhausted on 1 nodes
      * Dimension "memory" exhausted on 1 nodes
    <time>: Evaluation "b1b2c3d4" waiting for additional capacity to place remainder
`,
  );
});

/** A policy of the pool of the job, as the leader tells of it. */
const power = (Notes: [number, string][], Last: object, State = 'idle') => ({
  Enabled: true,
  Policies: [
    {
      ID: 'gpu',
      State,
      Target: { Name: 'power', Config: { node_pool: 'gpu' } },
      Notes: Notes.map(([Seq, Text]) => ({ Seq, Text, AtMs: 0 })),
      Last,
    },
    { ID: 'aws', State: 'idle', Target: { Name: 'aws-asg', Config: { node_pool: 'gpu' } }, Notes: [], Last: null },
    { ID: 'others', State: 'idle', Target: { Name: 'power', Config: { node_pool: 'attic' } }, Notes: [], Last: null },
  ],
});

async function waiting(t: Test, standings: unknown[], blocked: unknown[]) {
  const world = await createCliWorld(t);
  const failed = evaluation({ BlockedEval: 'b1b2c3d4-0000', FailedTGAllocs: { front: {} } as never });
  world.replies = {
    'GET /v1/evaluations': [failed],
    [`GET /v1/evaluation/${EVAL_ID}`]: failed,
    [`GET /v1/evaluation/${EVAL_ID}/allocations`]: [],
    'GET /v1/job/web': { ID: 'web', NodePool: 'gpu' },
    'GET /v1/autoscaler/status': inTurn(...standings),
    'GET /v1/evaluation/b1b2c3d4-0000': inTurn(...blocked),
    'GET /v1/evaluation/b1b2c3d4-0000/allocations': [alloc()],
  };
  return world.run(...MONITOR);
}

const blockedEval = evaluation({ ID: 'b1b2c3d4-0000', Status: 'blocked' });
const doneEval = evaluation({ ID: 'b1b2c3d4-0000', TriggeredBy: 'queued-allocs' });

t.test('work that has found its machine by the time one looks is followed on', async (t) => {
  const { code, out } = await waiting(t, [power([], { AtMs: 1, Result: 'done' })], [doneEval]);
  t.equal(code, 0);
  t.notMatch(out, /Waiting for machines/);
  t.match(out, /Evaluation "b1b2c3d4" finished with status "complete"/);
});

t.test('who waits for a machine that is woken is told so, and then of its work', async (t) => {
  const old: [number, string] = [3, 'tower sleeps'];
  const waking: [number, string] = [4, 'waking tower via pi4 …'];
  const up: [number, string] = [5, 'waking tower via pi4 … up 41 s'];
  const { code, out } = await waiting(
    t,
    [
      power([old], { AtMs: 1, Result: 'nothing' }),
      power([old], { AtMs: 1, Result: 'nothing' }),
      power([old, waking], { AtMs: 2, Result: 'under-way' }, 'scaling'),
      power([old, waking], { AtMs: 2, Result: 'under-way' }, 'scaling'),
      power([old, waking, up], { AtMs: 2, Result: 'done' }),
    ],
    [blockedEval, blockedEval, blockedEval, blockedEval, doneEval],
  );
  t.equal(code, 0);
  t.match(
    story(out),
    `    <time>: Waiting for machines of node pool "gpu", which the autoscaler wakes
    <time>: waking tower via pi4 …
    <time>: waking tower via pi4 … up 41 s
==> <time>: Monitoring evaluation "b1b2c3d4"
    <time>: Evaluation triggered by job "web" (queued-allocs)
    <time>: Allocation "a1b2c3d4" created`,
  );
  t.notMatch(out, 'tower sleeps', 'what was before is no news');
});

t.test('nobody waits for machines that do not come', async (t) => {
  const why = 'no machine of the pool is asleep';
  const { code, out } = await waiting(
    t,
    [1, 1, 2, 3].map((AtMs) => power([], { AtMs, Result: 'no-op', Reason: why })),
    [blockedEval],
  );
  t.equal(code, 2);
  t.match(out, `Policy "gpu" wakes no machine: ${why}`);
  const other = await waiting(t, [{ Enabled: false, Policies: [] }], [blockedEval]);
  t.equal(other.code, 2);
  t.notMatch(other.out, 'Waiting for machines');
});

t.test('a failed evaluation ends with 1', async (t) => {
  const world = await createCliWorld(t);
  const failed = evaluation({ Status: 'failed', StatusDescription: 'maximum attempts reached (5)' });
  world.replies = {
    'GET /v1/evaluations': [failed],
    [`GET /v1/evaluation/${EVAL_ID}`]: failed,
    [`GET /v1/evaluation/${EVAL_ID}/allocations`]: [],
  };
  const { code, out } = await world.run(...MONITOR);
  t.equal(code, 1);
  t.match(out, /finished with status "failed"\n.*maximum attempts reached/);
});

t.test('stopping an allocation is followed too', async (t) => {
  const world = await createCliWorld(t);
  const stop = evaluation({ TriggeredBy: 'alloc-stop' });
  const moved: Allocation[] = [alloc({ ID: 'c1b2c3d4-0000', ClientStatus: 'pending' })];
  world.replies = {
    'GET /v1/allocations': [alloc()],
    [`GET /v1/allocation/${ALLOC_ID}`]: alloc(),
    [`PUT /v1/allocation/${ALLOC_ID}/stop`]: { EvalID: EVAL_ID },
    [`GET /v1/evaluation/${EVAL_ID}`]: stop,
    [`GET /v1/evaluation/${EVAL_ID}/allocations`]: moved,
  };
  const { code, out } = await world.run('alloc', 'stop', '-no-shutdown-delay', 'a1b2');
  t.equal(code, 0);
  t.match(out, /triggered by job "web" \(alloc-stop\)[\s\S]*Allocation "c1b2c3d4" created/);
  t.ok(world.asked.includes(`PUT /v1/allocation/${ALLOC_ID}/stop?no_shutdown_delay=true`));
  t.equal((await world.run('alloc', 'stop', '-detach', 'a1b2')).out, `${EVAL_ID}\n`);
});
