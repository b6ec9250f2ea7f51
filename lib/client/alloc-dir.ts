import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { mayMount, mountSecrets, unmountSecrets } from './secrets-dir.js';

// Where an allocation's files lie: `alloc/{data,logs,tmp}` shared by its tasks, and per task `{local,secrets,private,tmp}`.

export interface AllocPaths {
  allocDir: string;
  sharedDir: string;
  dataDir: string;
  logDir: string;
}

export interface TaskPaths {
  taskDir: string;
  localDir: string;
  secretsDir: string;
  privateDir: string;
  tmpDir: string;
}

export function allocPaths(root: string, allocId: string): AllocPaths {
  const allocDir = join(root, allocId);
  const sharedDir = join(allocDir, 'alloc');
  return { allocDir, sharedDir, dataDir: join(sharedDir, 'data'), logDir: join(sharedDir, 'logs') };
}

export function taskPaths(root: string, allocId: string, task: string): TaskPaths {
  const taskDir = join(root, allocId, task);
  return {
    taskDir,
    localDir: join(taskDir, 'local'),
    secretsDir: join(taskDir, 'secrets'),
    privateDir: join(taskDir, 'private'),
    tmpDir: join(taskDir, 'tmp'),
  };
}

/** Creates the shared part. Tasks may run as any user, so what they share is open to all of them. */
export async function ensureAllocDir(root: string, allocId: string): Promise<void> {
  const { allocDir, sharedDir, dataDir, logDir } = allocPaths(root, allocId);
  await ensureDir(allocDir, 0o755);
  await ensureDir(sharedDir, 0o777);
  await Promise.all([ensureDir(dataDir, 0o777), ensureDir(logDir, 0o777), ensureDir(join(sharedDir, 'tmp'), 0o1777)]);
}

/**
 * Creates a task's own part; `secrets` and `private` are for the owner alone: the task's user, where that is known.
 * `isRoot`: it is the root of all that the task sees. Then it is not the task's to write in: who could put a link in the
 * place of `local` would have the agent write through it. `secretsMb`: the size of a file system in memory for the
 * secrets, 0 = they lie on the disk.
 */
export async function ensureTaskDir(
  root: string,
  allocId: string,
  task: string,
  { owner, isRoot, secretsMb }: { owner: { uid: number; gid: number } | null; isRoot: boolean; secretsMb: number },
): Promise<void> {
  const { taskDir, localDir, secretsDir, privateDir, tmpDir } = taskPaths(root, allocId, task);
  await ensureDir(taskDir, isRoot ? 0o755 : 0o777);
  // It may have been made before it was known whose it is: data of an earlier allocation lies in it.
  await chmod(taskDir, isRoot ? 0o755 : 0o777);
  await Promise.all([
    ensureDir(localDir, 0o777),
    ensureDir(secretsDir, 0o700),
    ensureDir(privateDir, 0o700),
    ensureDir(tmpDir, 0o1777),
  ]);
  if (secretsMb > 0 && mayMount()) await mountSecrets(secretsDir, secretsMb);
  // Only root can give files away; an agent of another user runs its tasks as that user anyway.
  if (owner && process.getuid?.() === 0)
    await Promise.all([localDir, secretsDir].map((path) => chown(path, owner.uid, owner.gid)));
}

export async function removeAllocDir(root: string, allocId: string): Promise<void> {
  await unmountSecrets(join(root, allocId));
  await rm(join(root, allocId), { recursive: true, force: true, maxRetries: 3, retryDelay: 100 });
}

async function ensureDir(path: string, mode: number): Promise<void> {
  const created = await mkdir(path, { recursive: true, mode });
  // The process's umask takes bits away from mkdir's mode.
  if (created !== undefined) await chmod(path, mode);
}
