import { join } from 'node:path';
import {
  type Cgroups,
  handDown,
  ifAllowed,
  inheritCpuset,
  makeDirs,
  readGroup,
  removeGroup,
  writeGroup,
} from '../sdk/cgroup-tree.js';
import type { DriverOptions, TaskConfig } from '../sdk/driver.js';

// Plugins that are built on Nomad's executor (raw_exec, exec, java, qemu) put their tasks into control groups which Nomad's client
// has made for them, and fail without. Names and places are known to both, and so the same here; the limits are set by the plugin.
//
//   version 1   freezer, cpu, memory: nomad/ALLOC.TASK      cpuset: nomad/share, of a task with cores nomad/reserve/ALLOC.TASK
//   version 2   nomad.slice/share.slice/ALLOC.TASK.scope, of a task with cores nomad.slice/reserve.slice/ALLOC.TASK.scope

const CONTROLLERS_V2 = ['cpuset', 'cpu', 'io', 'memory', 'pids'];
const CONTROLLERS_V1 = ['freezer', 'cpu', 'memory'];

type Named = Pick<TaskConfig, 'id' | 'resources'>;

/** The control groups of the tasks of one driver plugin. */
export class TaskCgroups {
  readonly #cgroups: Cgroups | undefined;
  readonly #log: DriverOptions['log'];

  /** `cgroups` undefined: the machine has none. */
  constructor(cgroups: Cgroups | undefined, log: DriverOptions['log']) {
    this.#cgroups = cgroups;
    this.#log = log;
  }

  /** Below which all of them lie; '' where there are none. */
  get parent(): string {
    if (!this.#cgroups) return '';
    return this.#cgroups.version === 2 ? 'nomad.slice' : '/nomad';
  }

  /** Where a plugin finds the group that says on which cores a task runs; '' where there are no groups. */
  pathOf({ id, resources }: Named): string {
    const cgroups = this.#cgroups;
    if (!cgroups) return '';
    const part = resources.cores.length > 0 ? 'reserve' : 'share';
    if (cgroups.version === 2) return join(cgroups.root, 'nomad.slice', `${part}.slice`, `${scopeOf(id)}.scope`);
    const root = cgroups.roots['cpuset'];
    if (root === undefined) return '';
    return part === 'share' ? join(root, 'nomad/share') : join(root, 'nomad/reserve', scopeOf(id));
  }

  /** Makes the groups of a task and those above them. An agent that may make none says so in its log: the plugin may need none. */
  make(task: Named): void {
    const cgroups = this.#cgroups;
    if (!cgroups) return;
    const made = ifAllowed(() => {
      if (cgroups.version === 2) makeUnified(cgroups.root, this.pathOf(task));
      else makeSplit(cgroups.roots, task);
      return true;
    });
    if (!made) this.#log('warn', 'this agent may not make control groups: a plugin that needs them fails at its tasks');
  }

  /** Kills what is left in the groups of a task, and removes them. Idempotent. */
  async remove(taskId: string): Promise<void> {
    const cgroups = this.#cgroups;
    if (!cgroups) return;
    const scope = scopeOf(taskId);
    if (cgroups.version === 2) {
      for (const part of ['share', 'reserve'])
        await removeGroup(join(cgroups.root, 'nomad.slice', `${part}.slice`, `${scope}.scope`));
      return;
    }
    // All of them: container runtimes make groups of the same name for further controllers.
    const roots = new Set([...Object.values(cgroups.roots), ...(cgroups.unified === null ? [] : [cgroups.unified])]);
    for (const root of roots) {
      await removeGroup(join(root, 'nomad', scope));
      await removeGroup(join(root, 'nomad/reserve', scope));
    }
  }
}

/** `ALLOC.TASK`, from `ALLOC/TASK/START`: what starts one after the other of a task have in common. */
export function scopeOf(taskId: string): string {
  const [alloc = '', ...rest] = taskId.split('/');
  return `${alloc}.${rest.slice(0, -1).join('_')}`;
}

function makeUnified(root: string, path: string): void {
  const parts = path.slice(root.length + 1).split('/');
  let dir = root;
  for (const part of parts) {
    handDown(dir, CONTROLLERS_V2);
    dir = makeDirs(dir, part);
  }
}

function makeSplit(roots: Readonly<Record<string, string>>, { id, resources }: Named): void {
  for (const name of CONTROLLERS_V1) {
    if (roots[name] !== undefined) makeDirs(roots[name], `nomad/${scopeOf(id)}`);
  }
  const root = roots['cpuset'];
  if (root === undefined) return;
  for (const part of ['share', 'reserve']) inheritCpuset(makeDirs(root, `nomad/${part}`));
  if (resources.cores.length === 0) return;
  const dir = makeDirs(root, `nomad/reserve/${scopeOf(id)}`);
  // A group takes nobody in before it has memory nodes; its cores are written by the plugin.
  writeGroup(dir, 'cpuset.mems', readGroup(join(root, 'nomad/reserve'), 'cpuset.mems'));
}
