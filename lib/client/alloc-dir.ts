import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../plugin/sdk/remove-tree.js';
import { holdDir, type InsidePath } from './sandbox.js';
import { mayMount, mountSecrets } from './secrets-dir.js';

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
  await mkdir(root, { recursive: true });
  await ensureDir({ root, parts: [allocId] }, { mode: 0o755 });
  const shared = { root: join(root, allocId), parts: ['alloc'] };
  await ensureDir(shared, { mode: 0o777 });
  const within = async (name: string, mode: number): Promise<void> =>
    await ensureDir({ ...shared, parts: ['alloc', name] }, { mode });
  await Promise.all([within('data', 0o777), within('logs', 0o777), within('tmp', 0o1777)]);
}

/** How a task's directory is made. */
export interface TaskDirWish {
  /** Whose `local` and `secrets` are, where that is known: for anybody else `secrets` is shut. */
  owner: { uid: number; gid: number } | null;
  /**
   * 'work': the task works in it. 'root': it is the root of all that the task sees, and not the task's to write in: who could put a
   * link in the place of `local` would have the agent write through it. 'source': only an engine goes there, which shows parts of it
   * to the task; where the owner is known to the image alone, `secrets` is open to all, and this directory shut.
   */
  use: 'work' | 'root' | 'source';
  /** The size of a file system in memory for the secrets; 0 = they lie on the disk. */
  secretsMb: number;
}

const MODES: Record<TaskDirWish['use'], number> = { work: 0o777, root: 0o755, source: 0o700 };

/** Creates a task's own part. */
export async function ensureTaskDir(
  root: string,
  allocId: string,
  task: string,
  { owner, use, secretsMb }: TaskDirWish,
): Promise<void> {
  const at = { root: join(root, allocId), parts: [task] };
  // It may have been made before it was known whose it is: data of an earlier allocation lies in it.
  await ensureDir(at, { mode: MODES[use], force: true });
  const secretsMode = use === 'source' && owner === null ? 0o777 : 0o700;
  const within = async (name: string, made: DirStyle): Promise<void> =>
    await ensureDir({ ...at, parts: [task, name] }, made);
  await Promise.all([
    within('local', { mode: 0o777, owner }),
    within('secrets', { mode: secretsMode, force: true, owner }),
    within('private', { mode: 0o700 }),
    within('tmp', { mode: 0o1777 }),
  ]);
  if (secretsMb === 0 || !mayMount()) return;
  await mountSecrets(taskPaths(root, allocId, task).secretsDir, secretsMb);
  // What was mounted is root's.
  await within('secrets', { mode: secretsMode, force: true, owner });
}

/** Removes its files. What a task has mounted among them, or this agent (secrets, roots), is detached and stays what it is. */
export async function removeAllocDir(root: string, allocId: string): Promise<void> {
  await removeTree(join(root, allocId));
}

interface DirStyle {
  mode: number;
  /** Put on one that is there already too. */
  force?: boolean;
  owner?: { uid: number; gid: number } | null;
}

/** The directory itself: where a task has put a link in its place since its last start, this throws SandboxError. */
async function ensureDir(path: InsidePath, { mode, force = false, owner = null }: DirStyle): Promise<void> {
  const { handle } = await holdDir(path, { mode });
  try {
    if (force) await handle.chmod(mode);
    // Only root can give files away; an agent of another user runs its tasks as that user anyway.
    if (owner && process.getuid?.() === 0) await handle.chown(owner.uid, owner.gid);
  } finally {
    await handle.close();
  }
}
