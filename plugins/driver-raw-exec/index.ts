import { basename, isAbsolute, join } from 'node:path';
import { type Cgroups, findCgroups } from '../../lib/plugin/sdk/cgroup-tree.js';
import { decodeFields } from '../../lib/plugin/sdk/config-schema.js';
import {
  type Driver,
  type DriverCapabilities,
  DriverError,
  type DriverOptions,
  type DriverPlugin,
  type ExitResult,
  type TaskConfig,
} from '../../lib/plugin/sdk/driver.js';
import { oomKills } from './cgroup.js';
import {
  allowedEnv,
  decodeTask,
  ensureAllowedUser,
  PLUGIN_FIELDS,
  pluginProblems,
  type RawExecConfig,
  type RawExecOptions,
} from './config.js';
import type { ExecCommand } from './exec.js';
import { findProgram, findUser, startFailure, type TaskUser } from './lookup.js';
import { makeCgroup, removeCgroup } from './own-cgroup.js';
import { treeUsage } from './processes.js';
import { digest, type SupervisedState } from './records.js';
import { type Launch, logsOf, type RunningTask, SupervisedDriver } from './supervised.js';

/** Runs programs of the node itself, without isolation, each under a tiny supervisor that outlives the agent. */
const plugin: DriverPlugin = {
  name: 'raw_exec',
  configProblems: pluginProblems,
  create: (options) => new RawExecDriver(options),
};
export default plugin;

class RawExecDriver extends SupervisedDriver<RawExecConfig> {
  readonly name = 'raw_exec';
  readonly #options: RawExecOptions;
  /** Null: tasks get no cgroup here. */
  readonly #cgroups: Cgroups | null;
  #isWarned = false;

  constructor(options: DriverOptions) {
    super(options);
    const decoded = decodeFields(PLUGIN_FIELDS, options.config);
    if ('problems' in decoded) throw new DriverError(decoded.problems[0]?.message ?? '', { recoverable: false });
    this.#options = decoded.config;
    const mayMake = process.platform === 'linux' && process.getuid?.() === 0 && !this.#options.no_cgroups;
    this.#cgroups = (mayMake ? findCgroups() : null) ?? null;
  }

  get capabilities(): DriverCapabilities {
    const { cgroup_parent: cgroupParent } = this.#options;
    return { sendSignals: true, exec: true, fsIsolation: 'none', joinsNetwork: true, cgroupParent };
  }

  decodeConfig(config: Record<string, unknown>): ReturnType<Driver<RawExecConfig>['decodeConfig']> {
    return decodeTask(config);
  }

  async fingerprint(): ReturnType<Driver['fingerprint']> {
    if (!this.#options.enabled) return { health: 'undetected', healthDescription: 'disabled', attributes: {} };
    const binary = await this.supervisor();
    if ('missing' in binary) return { health: 'undetected', healthDescription: binary.missing, attributes: {} };
    return { health: 'healthy', healthDescription: 'Healthy', attributes: { 'driver.raw_exec': '1' } };
  }

  protected async launch(task: TaskConfig<RawExecConfig>, dir: string): Promise<Launch> {
    const env = this.#envOf(task);
    const user = await this.#userOf(task);
    const program = await findProgram(task.config.command, { ...task, path: env['PATH'] });
    const cwd = workDir(task);
    return {
      explain: ({ stage, code }) => startFailure(stage, code, program, cwd),
      spec: {
        program,
        argv: [program, ...task.config.args],
        env,
        cwd,
        user,
        logs: logsOf(task),
        cgroupFiles: this.#cgroupFiles(task, dir),
        oomScoreAdj: task.config.oom_score_adj === 0 ? null : task.config.oom_score_adj,
        netns: task.network?.netnsPath ?? null,
        container: null,
      },
    };
  }

  protected usage({ state, sample }: RunningTask<RawExecConfig>): ReturnType<typeof treeUsage> {
    return treeUsage(state.supervisorPid, sample);
  }

  protected async execCommand({ task }: RunningTask<RawExecConfig>, command: string[]): Promise<ExecCommand> {
    const [name = '', ...args] = command;
    const env = this.#envOf(task);
    const program = await findProgram(name, { ...task, path: env['PATH'] });
    const user = await this.#userOf(task);
    if (!task.network) return { program, args, env, cwd: workDir(task), user };
    return { ...inNamespace(task.network.netnsPath, { program, args, user }), env, cwd: workDir(task) };
  }

  protected override async judge(state: SupervisedState, exit: ExitResult): Promise<ExitResult> {
    if (exit.exitCode === 0 || !this.#cgroups) return exit;
    return { ...exit, oomKilled: oomKills(this.#cgroups, this.#cgroupOf(state.dir)) > 0 };
  }

  protected override async clear(dir: string): Promise<void> {
    if (this.#cgroups) await removeCgroup(this.#cgroups, this.#cgroupOf(dir));
  }

  /** Those of the job itself, else one of the task's own. */
  #cgroupFiles(task: TaskConfig<RawExecConfig>, dir: string): string[] {
    const given = overrideFiles(task.config);
    if (given.length > 0 || !this.#cgroups) return given;
    const files = makeCgroup(this.#cgroups, this.#cgroupOf(dir), task.resources);
    if (files === null && !this.#isWarned) {
      this.#isWarned = true;
      this.log('warn', 'tasks run without limits: this agent may not make cgroups', {
        parent: this.#options.cgroup_parent,
      });
    }
    return files ?? [];
  }

  /** Each start has its own; other agents of the machine may use the same parent. */
  #cgroupOf(dir: string): string {
    return join('/', this.#options.cgroup_parent, `${basename(dir)}-${digest(dir)}`);
  }

  #envOf(task: TaskConfig<RawExecConfig>): Record<string, string> {
    return allowedEnv(task.env, [...this.#options.denied_envvars, ...task.config.denied_envvars]);
  }

  async #userOf(task: TaskConfig<RawExecConfig>): Promise<TaskUser | null> {
    const user = task.user === '' ? null : await findUser(task.user);
    const uid = user?.uid ?? process.getuid?.() ?? 0;
    ensureAllowedUser(this.#options, { uid, groups: user?.groups ?? [process.getgid?.() ?? 0] });
    return user;
  }
}

/** Node itself can neither join a namespace nor, once in one, become another user. */
function inNamespace(
  path: string,
  { program, args, user }: Pick<ExecCommand, 'program' | 'args' | 'user'>,
): Pick<ExecCommand, 'program' | 'args' | 'user'> {
  const become = user ? ['--setuid', String(user.uid), '--setgid', String(user.gid)] : [];
  return { program: 'nsenter', args: [`--net=${path}`, ...become, '--', program, ...args], user: null };
}

function workDir(task: TaskConfig<RawExecConfig>): string {
  const dir = task.config.work_dir;
  if (dir === '') return task.taskDir;
  return isAbsolute(dir) ? dir : join(task.taskDir, dir);
}

function overrideFiles(config: RawExecConfig): string[] {
  const root = '/sys/fs/cgroup';
  if (config.cgroup_v2_override !== '') {
    const path = config.cgroup_v2_override;
    return [join(path.startsWith(root) ? path : join(root, path), 'cgroup.procs')];
  }
  return Object.entries(config.cgroup_v1_override).map(([controller, path]) =>
    join(root, controller, path, 'cgroup.procs'),
  );
}
