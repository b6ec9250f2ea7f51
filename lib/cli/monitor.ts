import type { TaskEvent } from '../structs/allocation.js';
import type { Deployment } from '../structs/deployment.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { AllocListStub } from '../structs/rpc.js';
import type { ApiClient } from './api.js';
import type { Output } from './command.js';
import { localTime, paint, shortId } from './format.js';
import { deploymentText, failedGroupsText } from './tables.js';
import { awaitWaking } from './wake-monitor.js';

/** Types of task events that say why a task did not work. */
const TELLING = new Set([
  'Driver Failure',
  'Setup Failure',
  'Failed Artifact Download',
  'Failed Validation',
  'Task hook failed',
  'Terminated',
  'Killed',
]);

/** How long one blocking query waits before it is asked again. */
const WAIT = '30s';
/** A deployment does not change when its tasks fail, and somebody waits for it: so they are looked at that often. */
const DEPLOYMENT_WAIT = '5s';

/** Follows an evaluation, and the deployment it belongs to, until the outcome is known; gives the exit code of `job run`. */
export class Monitor {
  readonly #api: ApiClient;
  readonly #output: Output;
  readonly #verbose: boolean;
  readonly #seen = new Map<string, string>();
  /** What was told of tasks: each trouble once, however often it comes. */
  readonly #troubles = new Set<string>();
  /** Index of the evaluation that is watched: what is older was there before. */
  #since = 0;

  constructor(options: { api: ApiClient; output: Output; verbose: boolean }) {
    this.#api = options.api;
    this.#output = options.output;
    this.#verbose = options.verbose;
  }

  /** 0: done; 2: part could not be placed, or the deployment failed; 1: the evaluation failed. */
  async evaluation(id: string): Promise<number> {
    this.#headline(`Monitoring evaluation ${quote(this.#id(id))}`);
    let index = 0;
    let status = '';
    let deploymentId = '';
    for (;;) {
      const reply = await this.#api.get<Evaluation>(`/v1/evaluation/${id}`, { index, wait: WAIT });
      const evaluation = reply.value;
      index = reply.index;
      this.#since = evaluation.CreateIndex;
      if (status === '') this.#line(`Evaluation triggered by ${trigger(evaluation)}`);
      const allocs = (await this.#api.get<AllocListStub[] | null>(`/v1/evaluation/${id}/allocations`)).value ?? [];
      if (deploymentId === '' && evaluation.DeploymentID !== '') {
        deploymentId = evaluation.DeploymentID;
        this.#line(`Evaluation within deployment: ${quote(this.#id(deploymentId))}`);
      }
      this.#allocations(allocs);
      if (status !== '' && status !== evaluation.Status) {
        this.#line(`Evaluation status changed: ${quote(status)} -> ${quote(evaluation.Status)}`);
      }
      status = evaluation.Status;
      if (status === 'complete' || status === 'failed' || status === 'canceled')
        return this.#finished(evaluation, deploymentId);
    }
  }

  async #finished(evaluation: Evaluation, deploymentId: string): Promise<number> {
    const { Status: status } = evaluation;
    const failed = evaluation.FailedTGAllocs ?? {};
    const unplaced = Object.keys(failed).length > 0;
    this.#headline(
      `Evaluation ${quote(this.#id(evaluation.ID))} finished with status ${quote(status)}${unplaced ? ' but failed to place all allocations:' : ''}`,
    );
    if (evaluation.StatusDescription !== '' && status !== 'complete') this.#line(evaluation.StatusDescription);
    if (unplaced) this.#output.out(failedGroupsText(failed, '    '));
    if (evaluation.BlockedEval !== '')
      this.#line(
        `Evaluation ${quote(this.#id(evaluation.BlockedEval))} waiting for additional capacity to place remainder`,
      );
    if (status !== 'complete') return 1;
    if (evaluation.NextEval !== '' && evaluation.Wait > 0) return this.evaluation(evaluation.NextEval);
    if (unplaced) {
      const waits = evaluation.BlockedEval !== '';
      const woken = waits && (await awaitWaking(evaluation.BlockedEval, this.#api, (text) => this.#line(text)));
      return woken ? this.evaluation(evaluation.BlockedEval) : 2;
    }
    return deploymentId === '' ? 0 : this.deployment(deploymentId);
  }

  #allocations(allocs: readonly AllocListStub[]): void {
    for (const alloc of allocs) {
      const before = this.#seen.get(alloc.ID);
      this.#seen.set(alloc.ID, alloc.ClientStatus);
      // What was there before the evaluation was changed in place by it, and its troubles are old ones.
      const isOld = before === undefined && alloc.CreateIndex < this.#since;
      const who = `Allocation ${quote(this.#id(alloc.ID))}`;
      if (before === undefined) {
        this.#line(
          `${who} ${isOld ? 'modified' : 'created'}: node ${quote(this.#id(alloc.NodeID))}, group ${quote(alloc.TaskGroup)}`,
        );
      } else if (before !== alloc.ClientStatus) {
        const why = alloc.ClientDescription === '' ? '' : ` (${alloc.ClientDescription})`;
        this.#line(`${who} status changed: ${quote(before)} -> ${quote(alloc.ClientStatus)}${why}`);
      }
      for (const { id, text } of troublesOf(alloc)) {
        if (!isOld && !this.#troubles.has(id)) this.#line(`${who}, ${text}`);
        this.#troubles.add(id);
      }
    }
  }

  /** 0: successful; 1: failed or cancelled. On a terminal one line lives, elsewhere each change is a line. */
  async deployment(id: string): Promise<number> {
    this.#headline(`Monitoring deployment ${quote(this.#id(id))}`);
    let index = 0;
    let told = '';
    for (;;) {
      const reply = await this.#api.get<Deployment>(`/v1/deployment/${id}`, { index, wait: DEPLOYMENT_WAIT });
      index = reply.index;
      const deployment = reply.value;
      const running =
        deployment.Status === 'running' || deployment.Status === 'pending' || deployment.Status === 'paused';
      const progress = progressLine(deployment);
      if (running && progress !== told) this.#line(progress);
      if (running) await this.#newAllocations(id);
      told = progress;
      if (!running) return this.#ended(deployment);
    }
  }

  async #newAllocations(deploymentId: string): Promise<void> {
    const { value } = await this.#api.get<AllocListStub[] | null>(`/v1/deployment/allocations/${deploymentId}`);
    this.#allocations(value ?? []);
  }

  async #ended(deployment: Deployment): Promise<number> {
    const good = deployment.Status === 'successful';
    const mark = good ? paint(this.#output.color, 'green', '✓') : paint(this.#output.color, 'red', '✗');
    this.#output.out(`  ${mark} Deployment ${quote(this.#id(deployment.ID))} ${deployment.Status}\n`);
    this.#output.out(indent(deploymentText(deployment, { verbose: this.#verbose, withJob: true })));
    if (good) return 0;
    await this.#tellWhy(deployment.ID);
    if (/rolling back|roll back/i.test(deployment.StatusDescription))
      this.#output.out('\n    The job was reverted to its last stable version.');
    return 1;
  }

  /** What the tasks of a failed roll-out said last: the reason, as a rule. */
  async #tellWhy(deploymentId: string): Promise<void> {
    const { value } = await this.#api.get<AllocListStub[] | null>(`/v1/deployment/allocations/${deploymentId}`);
    const failed = (value ?? []).filter(({ DeploymentStatus }) => DeploymentStatus?.Healthy === false);
    for (const { ID, TaskStates } of failed) {
      for (const [task, { Events }] of Object.entries(TaskStates ?? {})) {
        const event = troublesIn(Events).at(-1) ?? Events.findLast(({ Type }) => TELLING.has(Type));
        if (!event) continue;
        this.#output.out(
          `\n    Allocation ${quote(this.#id(ID))}, task ${quote(task)}: ${event.Type}: ${event.DisplayMessage}`,
        );
      }
    }
  }

  #id(id: string): string {
    return shortId(id, this.#verbose);
  }

  #headline(text: string): void {
    this.#output.out(paint(this.#output.color, 'bold', `==> ${localTime(new Date())}: ${text}`));
  }

  #line(text: string): void {
    this.#output.out(`    ${localTime(new Date())}: ${text}`);
  }
}

/** What went wrong in the tasks of an allocation, and what they wait for. */
function troublesOf({ ID, TaskStates }: AllocListStub): { id: string; text: string }[] {
  return Object.entries(TaskStates ?? {}).flatMap(([task, { Events }]) =>
    troublesIn(Events ?? []).map(({ Type, DisplayMessage }) => {
      const text = `task ${quote(task)}: ${Type}: ${DisplayMessage}`;
      return { id: `${ID} ${text}`, text };
    }),
  );
}

/** What a task that is ended from outside says of its end tells nothing of why. */
const ENDING = new Set(['Restart Signaled', 'Killing']);

function troublesIn(events: readonly TaskEvent[]): TaskEvent[] {
  return events.filter(({ Type, DisplayMessage, ExitCode, Signal }, index) => {
    if (Type === 'Template') return true;
    if (Type === 'Restart Signaled') return DisplayMessage.startsWith('healthcheck: ');
    if (Type === 'Terminated') return (ExitCode > 0 || Signal > 0) && !ENDING.has(events[index - 1]?.Type ?? '');
    return Type !== 'Killed' && TELLING.has(Type);
  });
}

function trigger(evaluation: Evaluation): string {
  if (evaluation.TriggeredBy === 'node-update') return `node ${quote(evaluation.NodeID)}`;
  const { JobID, TriggeredBy } = evaluation;
  if (JobID === '') return TriggeredBy;
  const plain = TriggeredBy === 'job-register' || TriggeredBy === 'job-deregister';
  return `job ${quote(JobID)}${plain ? '' : ` (${TriggeredBy})`}`;
}

function progressLine(deployment: Deployment): string {
  const groups = Object.entries(deployment.TaskGroups).map(
    ([name, group]) =>
      `${name} ${group.HealthyAllocs}/${group.DesiredTotal} healthy${group.UnhealthyAllocs > 0 ? `, ${group.UnhealthyAllocs} unhealthy` : ''}${group.PlacedAllocs < group.DesiredTotal ? `, ${group.PlacedAllocs} placed` : ''}`,
  );
  return `Deployment ${deployment.Status}: ${groups.join('; ')}${deployment.Status === 'paused' ? ' (paused)' : ''}`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '    ');
}
