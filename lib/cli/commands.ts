import type { Command } from './command.js';

interface Entry {
  summary: string;
  load: () => Promise<{ command: Command }>;
  /** A second name of another command: works, but is left out of the lists. */
  alias?: boolean;
}

const entry = (summary: string, load: Entry['load']): Entry => ({ summary, load });
const alias = (load: Entry['load']): Entry => ({ summary: '', load, alias: true });

/** Every command by name. A command's file is loaded only when it is run: `meshnomad -version` must answer at once. */
export const COMMANDS: Record<string, Entry> = {
  agent: entry('Runs an agent: a server, a client, or both', () => import('./commands/agent.js')),
  'agent-info': entry('Facts and figures of the agent', () => import('./commands/agent-info.js')),
  'alloc exec': entry('Runs a command inside a task', () => import('./commands/alloc-exec.js')),
  'alloc fs': entry('Looks at the files of an allocation', () => import('./commands/alloc-fs.js')),
  'alloc logs': entry('Shows the output of a task', () => import('./commands/alloc-logs.js')),
  'alloc restart': entry('Restarts the tasks of an allocation in place', () => import('./commands/alloc-restart.js')),
  'alloc signal': entry('Sends a signal to a task', () => import('./commands/alloc-signal.js')),
  'alloc status': entry('Shows an allocation', () => import('./commands/alloc-status.js')),
  'alloc stop': entry('Stops an allocation and has it placed again', () => import('./commands/alloc-stop.js')),
  'config validate': entry('Checks agent configuration files', () => import('./commands/config-validate.js')),
  'deployment fail': entry('Fails a deployment', () => import('./commands/deployment-fail.js')),
  'deployment list': entry('Lists the deployments', () => import('./commands/deployment-list.js')),
  'deployment pause': entry('Stops a deployment for a while', () => import('./commands/deployment-pause.js')),
  'deployment promote': entry('Lets canaries take over', () => import('./commands/deployment-promote.js')),
  'deployment resume': entry('Lets a paused deployment go on', () => import('./commands/deployment-resume.js')),
  'deployment status': entry('Shows a deployment', () => import('./commands/deployment-status.js')),
  'deployment unblock': entry(
    'Lets a deployment end that waits for other regions',
    () => import('./commands/deployment-unblock.js'),
  ),
  'eval list': entry('Lists the evaluations', () => import('./commands/eval-list.js')),
  'eval status': entry('Shows an evaluation', () => import('./commands/eval-status.js')),
  fmt: entry('Rewrites job and configuration files in canonical form', () => import('./commands/fmt.js')),
  init: entry('Founds a mesh with this machine as its first server', () => import('./commands/init.js')),
  'job allocs': entry('Lists the allocations of a job', () => import('./commands/job-allocs.js')),
  'job deployments': entry('Lists the deployments of a job', () => import('./commands/job-deployments.js')),
  'job dispatch': entry('Makes a job of a parameterized one', () => import('./commands/job-dispatch.js')),
  'job eval': entry('Has the scheduler look at a job again', () => import('./commands/job-eval.js')),
  'job history': entry('Shows the versions of a job', () => import('./commands/job-history.js')),
  'job init': entry('Writes an example job file', () => import('./commands/job-init.js')),
  'job inspect': entry('Prints a registered job as JSON', () => import('./commands/job-inspect.js')),
  'job periodic force': entry('Launches a periodic job now', () => import('./commands/job-periodic-force.js')),
  'job plan': entry('Says what running a job file would change', () => import('./commands/job-plan.js')),
  'job promote': entry("Lets a job's canaries take over", () => import('./commands/job-promote.js')),
  'job restart': entry('Restarts the allocations of a job', () => import('./commands/job-restart.js')),
  'job revert': entry('Brings an earlier version of a job back', () => import('./commands/job-revert.js')),
  'job run': entry('Registers a job and watches it start', () => import('./commands/job-run.js')),
  'job scale': entry('Sets the count of a group', () => import('./commands/job-scale.js')),
  'job scaling-events': entry(
    'Shows how the counts of a job were changed',
    () => import('./commands/job-scaling-events.js'),
  ),
  'job status': entry('Shows jobs, or one of them', () => import('./commands/job-status.js')),
  'job stop': entry('Stops a job', () => import('./commands/job-stop.js')),
  'job tag apply': entry('Names a version of a job', () => import('./commands/job-tag-apply.js')),
  'job tag unset': entry("Takes a version's name away", () => import('./commands/job-tag-unset.js')),
  'job validate': entry('Checks a job file', () => import('./commands/job-validate.js')),
  join: entry('Joins a mesh by an invite, and runs the agent', () => import('./commands/join.js')),
  'node drain': entry('Moves the work off a node', () => import('./commands/node-drain.js')),
  'node eligibility': entry('Says whether a node may take new work', () => import('./commands/node-eligibility.js')),
  'node pool apply': entry('Makes or changes a node pool', () => import('./commands/node-pool-apply.js')),
  'node pool delete': entry('Deletes a node pool', () => import('./commands/node-pool-delete.js')),
  'node pool info': entry('Shows a node pool', () => import('./commands/node-pool-info.js')),
  'node pool init': entry('Writes an example of a node pool', () => import('./commands/node-pool-init.js')),
  'node pool jobs': entry('Lists the jobs of a node pool', () => import('./commands/node-pool-jobs.js')),
  'node pool list': entry('Lists the node pools', () => import('./commands/node-pool-list.js')),
  'node pool nodes': entry('Lists the nodes of a node pool', () => import('./commands/node-pool-nodes.js')),
  'node purge': entry('Forgets a node that will not come back', () => import('./commands/node-purge.js')),
  'node status': entry('Shows the nodes, or one of them', () => import('./commands/node-status.js')),
  'operator login': entry('Lets you use a mesh from this machine', () => import('./commands/operator-login.js')),
  'operator scheduler get-config': entry(
    'Shows how the scheduler is configured',
    () => import('./commands/operator-scheduler-get-config.js'),
  ),
  'operator scheduler set-config': entry(
    'Changes how the scheduler is configured',
    () => import('./commands/operator-scheduler-set-config.js'),
  ),
  'server members': entry('Lists the servers', () => import('./commands/server-members.js')),
  rebalance: entry('Proposes moves that would even out the load', () => import('./commands/rebalance.js')),
  status: entry('Shows whatever has this id or name', () => import('./commands/status.js')),
  'system gc': entry('Collects garbage now', () => import('./commands/system-gc.js')),
  'system reconcile summaries': entry(
    'Counts the summaries of all jobs anew',
    () => import('./commands/system-reconcile-summaries.js'),
  ),
  up: entry('Runs the agent in its mesh, which is founded first if need be', () => import('./commands/up.js')),
  version: entry('Prints the version', () => import('./commands/version.js')),
  why: entry('Says why a job or an allocation is where it is', () => import('./commands/why.js')),

  exec: alias(() => import('./commands/alloc-exec.js')),
  fs: alias(() => import('./commands/alloc-fs.js')),
  logs: alias(() => import('./commands/alloc-logs.js')),
  inspect: alias(() => import('./commands/job-inspect.js')),
  plan: alias(() => import('./commands/job-plan.js')),
  run: alias(() => import('./commands/job-run.js')),
  stop: alias(() => import('./commands/job-stop.js')),
  validate: alias(() => import('./commands/job-validate.js')),
  'alloc-status': alias(() => import('./commands/alloc-status.js')),
  'node-status': alias(() => import('./commands/node-status.js')),
  'eval-status': alias(() => import('./commands/eval-status.js')),
};
