import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { DriverError } from '../../lib/plugin/sdk/driver.js';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The file that `command` means: an absolute path; else one in the task's local directory or in the task's directory;
 * else, for a bare name, one in PATH. Throws a DriverError that names the file and what is wrong with it.
 */
export async function findProgram(
  command: string,
  from: { taskDir: string; localDir: string; path: string | undefined },
): Promise<string> {
  if (isAbsolute(command)) return ensureProgram(command);
  const near = [join(from.localDir, command), join(from.taskDir, command)];
  for (const path of near) if (await isFile(path)) return ensureProgram(path);
  if (command.includes('/')) {
    throw refused(`no such file: ${near[1]}; a relative command is looked up in the task's directory`);
  }
  const dirs = (from.path || DEFAULT_PATH).split(':').filter(isAbsolute);
  for (const dir of dirs) {
    const path = join(dir, command);
    if ((await isFile(path)) && (await isExecutable(path))) return path;
  }
  throw refused(`no such program: "${command}" is neither in the task's directory nor in ${dirs.join(', ')}`);
}

async function ensureProgram(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (!found)
    throw refused(`no such file: ${path}; install it on this node, or constrain the job to nodes that have it`);
  if (found.isDirectory()) throw refused(`${path} is a directory, not a program`);
  if (!(await isExecutable(path))) throw refused(`${path} is not executable; give it the mode with chmod +x`);
  return path;
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** What a start that failed in the supervisor means for the one who wrote the job. */
export function startFailure(stage: string, code: string, program: string, cwd: string): DriverError {
  if (stage === 'exec' && code === 'ENOENT') {
    return refused(`${program} cannot start: the interpreter of its first line, or its loader, does not exist`);
  }
  if (stage === 'exec' && code === 'ENOEXEC') {
    return refused(`${program} cannot start: it is neither a program for this machine nor a script with a #! line`);
  }
  if (stage === 'exec' && code === 'EACCES') {
    return refused(`${program} cannot start: permission denied (its mode, its interpreter's, or a noexec mount)`);
  }
  if (stage === 'exec' && code === 'E2BIG') {
    return refused(`${program} cannot start: its arguments and environment are too large`);
  }
  if (stage === 'cwd') return refused(`the working directory ${cwd} cannot be entered: ${code}`);
  if (stage === 'user')
    return refused(`the task's user cannot be assumed: ${code}; the agent must run as root for that`);
  if (stage === 'netns') return refused(`the network namespace of the group cannot be joined: ${code}`);
  if (stage === 'cgroup')
    return refused(`the cgroup of cgroup_v1_override or cgroup_v2_override cannot be joined: ${code}`);
  if (stage === 'oom_score_adj') return refused(`oom_score_adj cannot be set: ${code}; lowering it needs root`);
  if (stage === 'log') return new DriverError(`the task's log files cannot be opened: ${code}`, { recoverable: true });
  return new DriverError(`${program} cannot start: ${stage} failed with ${code}`, { recoverable: true });
}

/** Whom a task runs as. */
export interface TaskUser {
  uid: number;
  gid: number;
  groups: number[];
}

/** The ids of a user given by name or number. Throws a DriverError when there is none of that name. */
export async function findUser(name: string): Promise<TaskUser> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  for (const line of passwd.split('\n')) {
    const [user = '', , uid = '', gid = ''] = line.split(':');
    if (user === '' || (user !== name && uid !== name)) continue;
    return { uid: Number(uid), gid: Number(gid), groups: [Number(gid), ...(await groupsOf(user))] };
  }
  return findUserElsewhere(name);
}

async function groupsOf(user: string): Promise<number[]> {
  const text = await readFile('/etc/group', 'utf8').catch(() => '');
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields[3]?.split(',').includes(user))
    .map((fields) => Number(fields[2]));
}

/** Users that are not in /etc/passwd (LDAP, systemd-homed): `id` asks the system's own name services. */
async function findUserElsewhere(name: string): Promise<TaskUser> {
  if (/^\d+$/.test(name)) return { uid: Number(name), gid: Number(name), groups: [Number(name)] };
  const run = promisify(execFile);
  try {
    const ids = await Promise.all(['-u', '-g', '-G'].map(async (flag) => (await run('id', [flag, '--', name])).stdout));
    const groups = (ids[2] ?? '').trim().split(/\s+/).map(Number);
    return { uid: Number(ids[0]), gid: Number(ids[1]), groups };
  } catch (cause) {
    throw new DriverError(`there is no user "${name}" on this node`, { recoverable: false, cause });
  }
}

function refused(message: string): DriverError {
  return new DriverError(message, { recoverable: false });
}
