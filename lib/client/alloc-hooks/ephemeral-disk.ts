import { chmod, lstat, mkdir, rename, rmdir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeTree } from '../../plugin/sdk/remove-tree.js';
import type { SnapshotFrame } from '../../structs/rpc-migrate.js';
import { backoffMs } from '../../util/backoff.js';
import { formatBytes } from '../../util/byte-size.js';
import { ensureAllocDir } from '../alloc-dir.js';
import { dataDirs, dataPaths } from '../migrate/layout.js';
import { partOf, SnapshotReceiver, SnapshotRefused } from '../migrate/receive.js';
import type { SnapshotMark } from '../migrate/send.js';
import { sleep } from '../timers.js';
import { type AllocHookContext, allocHook } from './hook.js';

const PROGRESS_MS = 10_000;
/** Kept free when the data of another node is fetched. */
const FREE_BYTES = 64 * 1024 * 1024;
/** How often a stream that breaks is begun again while the servers say that its node is there. */
const ATTEMPTS_MAX = 12;
const RETRY_BASE_MS = 500;
const RETRY_MAX_MS = 30_000;

/**
 * The data of the allocation before: moved where it lies on this node (`sticky`), fetched from its node where the group
 * wants that (`migrate`). Done once; data that cannot be had is told, and the allocation starts without it, as in Nomad.
 */
export const ephemeralDiskHook = allocHook('ephemeral_disk', {
  async prerun(context) {
    const { alloc, group, reattach, state } = context;
    const { Sticky, Migrate } = group.EphemeralDisk;
    if (reattach || !(Sticky || Migrate) || alloc.PreviousAllocation === '' || state.get() === 'done') return;
    const root = context.client.config().allocDir;
    const local = await stat(join(root, alloc.PreviousAllocation)).catch(() => null);
    if (local?.isDirectory()) await moveData(context, join(root, alloc.PreviousAllocation));
    else if (Migrate) await fetchData(context);
    if (!context.signal.aborted) state.put('done');
  },
});

/** Puts what lies below `from` in the place of the allocation's own data. What was moved before is not there any more. */
async function moveData({ alloc, group, client }: AllocHookContext, from: string): Promise<void> {
  const root = client.config().allocDir;
  await ensureAllocDir(root, alloc.ID);
  const targets = dataDirs(root, alloc.ID, group);
  for (const [i, path] of dataPaths(group).entries()) {
    const target = targets[i] as string;
    const source = join(from, path);
    // A link that a task, or another machine, has put there would be followed by whoever mounts it.
    const there = await lstat(source).catch(() => null);
    if (!there?.isDirectory()) continue;
    const made = await mkdir(dirname(target), { recursive: true });
    // The process's umask takes bits away from mkdir's mode.
    if (made !== undefined) await chmod(dirname(target), 0o777);
    await rmdir(target).catch(() => {});
    await rename(source, target);
  }
}

async function fetchData(context: AllocHookContext): Promise<void> {
  const { alloc, client, group, tell, signal, paths, log } = context;
  const staging = join(paths.allocDir, '.migrating');
  await ensureAllocDir(client.config().allocDir, alloc.ID);
  await removeTree(staging);
  await mkdir(staging, { mode: 0o700 });
  const receiver = new SnapshotReceiver({
    staging,
    allowed: dataPaths(group),
    accept: (bytes) => accept(context, bytes),
    progress: teller(context),
  });
  try {
    const missing = await receive(context, receiver);
    if (signal.aborted) return;
    if (missing === null) {
      await moveData(context, staging);
      tell(`Data of allocation ${alloc.PreviousAllocation.slice(0, 8)} was fetched`);
    } else {
      tell(`Starting without the data of allocation ${alloc.PreviousAllocation.slice(0, 8)}: ${missing}`);
      log.warn('data was not migrated', { alloc: alloc.ID, from: alloc.PreviousAllocation, why: missing });
    }
  } finally {
    await receiver.close();
    await removeTree(staging);
  }
}

/** Null when everything has come, else why not. */
async function receive(context: AllocHookContext, receiver: SnapshotReceiver): Promise<string | null> {
  const { client, signal, tell } = context;
  const { timers, random } = client;
  let toldWaiting = false;
  let why = '';
  for (let attempt = 0; attempt < ATTEMPTS_MAX && !signal.aborted; ) {
    try {
      const source = await askSource(context);
      if (source.State === 'gone') return 'its node is gone';
      if (source.State === 'ended') {
        if (await receiver.take(open(context, source.Token, receiver.mark))) return null;
        attempt++;
        why = 'the stream ended early';
        tellBreak(context, receiver, why);
      } else if (!toldWaiting) {
        toldWaiting = true;
        tell('Waiting for the previous allocation to end before its data is fetched');
      }
      if (source.State === 'running') continue;
    } catch (error) {
      if (error instanceof SnapshotRefused) return error.message;
      why = error instanceof Error ? error.message : String(error);
      if ((error as { code?: string }).code === 'E_NOT_FOUND') return why;
      if (signal.aborted) break;
      attempt++;
      tellBreak(context, receiver, why);
    }
    // A stream that brought something on is no failure.
    if (receiver.cameOn()) attempt = 0;
    await sleep(timers, backoffMs({ attempt, baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS, random }), signal);
  }
  return why;
}

/** Nobody is to take an attempt for progress, or silence for an end. */
function tellBreak({ alloc, tell, log }: AllocHookContext, { part }: SnapshotReceiver, why: string): void {
  const from = alloc.PreviousAllocation.slice(0, 8);
  const so = part === '' ? 'cannot be fetched yet' : `was interrupted at ${part}`;
  tell(`Fetching the data of allocation ${from} ${so}: ${why}. Trying again`);
  log.warn('the data of another node does not come', { alloc: alloc.ID, from: alloc.PreviousAllocation, why });
}

/** Where the data is; a question about one that still runs is answered when that changes. */
async function askSource(context: AllocHookContext): Promise<{ State: 'running' | 'ended' | 'gone'; Token: string }> {
  const { client, alloc, signal } = context;
  const { ID: NodeID, SecretID } = client.node();
  const ask = { NodeID, SecretID, AllocID: alloc.ID, AllowStale: true };
  const first = await client.rpc.call('Alloc.GetMigrateToken', ask, { signal, timeoutMs: 30_000 });
  if (first.State !== 'running') return first;
  const blocking = { ...ask, MinQueryIndex: first.Index, MaxQueryTimeMs: 60_000 };
  return await client.rpc.call('Alloc.GetMigrateToken', blocking, { signal, timeoutMs: 90_000 });
}

async function* open(
  { client, alloc, signal }: AllocHookContext,
  token: string,
  { entries: Skip, bytes: Offset }: SnapshotMark,
): AsyncGenerator<SnapshotFrame> {
  const stream = client.rpc.stream('FileSystem.Snapshot', {
    AllocID: alloc.PreviousAllocation,
    Token: token,
    Skip,
    Offset,
  });
  const end = (): void => void stream.destroy();
  signal.addEventListener('abort', end, { once: true });
  try {
    yield* stream as AsyncIterable<SnapshotFrame>;
  } finally {
    signal.removeEventListener('abort', end);
    stream.destroy();
  }
}

async function accept({ paths, group, tell }: AllocHookContext, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(paths.allocDir);
  const free = bavail * bsize;
  if (bytes + FREE_BYTES > free)
    throw new SnapshotRefused(`it has ${formatBytes(bytes)}, and the disk has ${formatBytes(free)} left`);
  const asked = group.EphemeralDisk.SizeMB * 1024 * 1024;
  const more = bytes > asked ? `, more than ephemeral_disk.size asks for (${formatBytes(asked)})` : '';
  tell(`Fetching the data of the previous allocation: ${formatBytes(bytes)}${more}`);
}

function teller({ client, tell }: AllocHookContext): (done: number, total: number) => void {
  let toldMs = client.timers.now();
  return (done, total) => {
    const nowMs = client.timers.now();
    if (nowMs - toldMs < PROGRESS_MS) return;
    toldMs = nowMs;
    tell(`Fetching the data of the previous allocation: ${partOf(done, total)}`);
  };
}
