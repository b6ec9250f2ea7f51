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
  'deployment status': entry('Shows a deployment', () => import('./commands/deployment-status.js')),
  'eval status': entry('Shows an evaluation', () => import('./commands/eval-status.js')),
  fmt: entry('Rewrites job and configuration files in canonical form', () => import('./commands/fmt.js')),
  'job history': entry('Shows the versions of a job', () => import('./commands/job-history.js')),
  'job init': entry('Writes an example job file', () => import('./commands/job-init.js')),
  'job inspect': entry('Prints a registered job as JSON', () => import('./commands/job-inspect.js')),
  'job plan': entry('Says what running a job file would change', () => import('./commands/job-plan.js')),
  'job revert': entry('Brings an earlier version of a job back', () => import('./commands/job-revert.js')),
  'job run': entry('Registers a job and watches it start', () => import('./commands/job-run.js')),
  'job status': entry('Shows jobs, or one of them', () => import('./commands/job-status.js')),
  'job stop': entry('Stops a job', () => import('./commands/job-stop.js')),
  'job tag apply': entry('Names a version of a job', () => import('./commands/job-tag-apply.js')),
  'job tag unset': entry("Takes a version's name away", () => import('./commands/job-tag-unset.js')),
  'job validate': entry('Checks a job file', () => import('./commands/job-validate.js')),
  'node status': entry('Shows the nodes, or one of them', () => import('./commands/node-status.js')),
  status: entry('Shows whatever has this id or name', () => import('./commands/status.js')),
  'system gc': entry('Collects garbage now', () => import('./commands/system-gc.js')),
  version: entry('Prints the version', () => import('./commands/version.js')),
  why: entry('Says why a job or an allocation is where it is', () => import('./commands/why.js')),

  exec: alias(() => import('./commands/alloc-exec.js')),
  fs: alias(() => import('./commands/alloc-fs.js')),
  logs: alias(() => import('./commands/alloc-logs.js')),
  init: alias(() => import('./commands/job-init.js')),
  inspect: alias(() => import('./commands/job-inspect.js')),
  plan: alias(() => import('./commands/job-plan.js')),
  run: alias(() => import('./commands/job-run.js')),
  stop: alias(() => import('./commands/job-stop.js')),
  validate: alias(() => import('./commands/job-validate.js')),
  'alloc-status': alias(() => import('./commands/alloc-status.js')),
  'node-status': alias(() => import('./commands/node-status.js')),
  'eval-status': alias(() => import('./commands/eval-status.js')),
};
