import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Allocation, AllocDeploymentStatus, TaskState } from '../structs/allocation.js';
import type { Job } from '../structs/job.js';
import { RecordLog, writeRecordFile } from './client-db-log.js';

// What a client must know to take its work up again without any server: its allocations with their jobs, the handles of
// running tasks, task states, restart counts, and the last index it acted on. Everything is held in memory (the runners
// share the same objects) and appended to one file, `client.log`. An append is in the kernel's page cache when the call
// returns, so it survives the death of the agent at any instant; `sync` puts it on the disk, which only a power cut can
// tell from the former. A power cut ends the tasks too, so handles and states are never worth an fsync of their own.

/** How a driver finds its task again (the driver SDK's TaskHandle). */
export interface StoredHandle {
  driver: string;
  version: number;
  taskId: string;
  state: Record<string, unknown>;
  address?: { ip: string; advertise: boolean };
}

/** A task of an allocation as of the last write. */
export interface TaskRecord {
  /** The id of the newest start, '' before the first; written before the driver is asked to start it. */
  taskId: string;
  /** Null while no start has succeeded or after the task ended. */
  handle: StoredHandle | null;
  state: TaskState;
  /** Failures counted in the current restart interval, and when that interval began (ms). */
  restarts: { count: number; intervalStartMs: number };
}

export interface AllocRecord {
  alloc: Allocation;
  tasks: Record<string, TaskRecord>;
  /** The health this client found, null while undecided. */
  health: AllocDeploymentStatus | null;
  /** What the hooks of the allocation and of its tasks keep, by hook (`network`) or task and hook (`web/artifact`). */
  hooks: Readonly<Record<string, unknown>>;
}

/**
 * The client's memory on disk. The put methods throw MeshError E_STORAGE when the disk refuses: the memory has it
 * nevertheless, and the next put or sync writes everything anew.
 */
export interface ClientDb {
  readonly allocs: ReadonlyMap<string, AllocRecord>;
  /** The index of the newest answer of a server that this client acted on. */
  readonly lastIndex: number;
  /** What was wrong with the file when it was opened, in words for the log; empty when nothing was. */
  readonly problems: readonly string[];
  /** Stores an allocation whole; its job is written once for all allocations of that job version. */
  putAlloc(alloc: Allocation): void;
  putTask(allocId: string, task: string, record: TaskRecord): void;
  putHealth(allocId: string, health: AllocDeploymentStatus | null): void;
  /** Keeps what a hook must know after a restart of the agent: any JSON value; null forgets it. */
  putHook(allocId: string, key: string, state: unknown): void;
  removeAlloc(allocId: string): void;
  putLastIndex(index: number): void;
  /** Settles when all that was put before the call is on the disk. */
  sync(): Promise<void>;
  /** What is put after this is not stored: to the next agent it is as if this one had been killed here. */
  close(): Promise<void>;
}

type Entry =
  | { t: 'job'; key: string; job: Job }
  | { t: 'alloc'; alloc: Allocation; job: string | null }
  | { t: 'task'; id: string; task: string; record: TaskRecord }
  | { t: 'health'; id: string; health: AllocDeploymentStatus | null }
  | { t: 'hook'; id: string; key: string; state: unknown }
  | { t: 'remove'; id: string }
  | { t: 'index'; index: number };

const FILE = 'client.log';
const FORMAT = 'meshnomad client state 1\n';
/** Below this size the file is left alone; above, it is rewritten when less than half of it is still wanted. */
const COMPACT_MIN_BYTES = 512 * 1024;

/**
 * Opens or creates the memory in `dir`. A torn or corrupt end is cut off, kept beside the file as `client.log.corrupt-N`
 * and told in `problems`. Throws MeshError E_STORAGE for a file of another format version or when the disk refuses.
 */
export function openClientDb(dir: string): ClientDb {
  const memory = new Memory();
  const path = join(dir, FILE);
  const log = RecordLog.open(path, FORMAT, (payload) => memory.apply(JSON.parse(payload) as Entry));
  return new FileClientDb(path, log, memory);
}

/** A memory that forgets when the process ends (`agent -dev`). */
export function createMemoryClientDb(): ClientDb {
  const memory = new Memory();
  return {
    allocs: memory.allocs,
    get lastIndex() {
      return memory.lastIndex;
    },
    problems: [],
    putAlloc: (alloc) => memory.apply({ t: 'alloc', alloc, job: null }),
    putTask: (id, task, record) => memory.apply({ t: 'task', id, task, record }),
    putHealth: (id, health) => memory.apply({ t: 'health', id, health }),
    putHook: (id, key, state) => memory.apply({ t: 'hook', id, key, state }),
    removeAlloc: (id) => memory.apply({ t: 'remove', id }),
    putLastIndex: (index) => memory.apply({ t: 'index', index }),
    sync: async () => {},
    close: async () => {},
  };
}

/** The state that the entries of the log add up to. */
class Memory {
  readonly allocs = new Map<string, AllocRecord>();
  readonly jobs = new Map<string, Job>();
  lastIndex = 0;

  apply(entry: Entry): void {
    switch (entry.t) {
      case 'job':
        this.jobs.set(entry.key, entry.job);
        return;
      case 'alloc': {
        const alloc = entry.job === null ? entry.alloc : { ...entry.alloc, Job: this.jobs.get(entry.job) ?? null };
        const known = this.allocs.get(alloc.ID);
        this.allocs.set(alloc.ID, {
          alloc,
          tasks: known?.tasks ?? {},
          health: known?.health ?? null,
          hooks: known?.hooks ?? {},
        });
        return;
      }
      case 'hook': {
        const known = this.allocs.get(entry.id);
        if (!known) return;
        const { [entry.key]: _, ...others } = known.hooks;
        const hooks = entry.state === null ? others : { ...others, [entry.key]: entry.state };
        this.allocs.set(entry.id, { ...known, hooks });
        return;
      }
      case 'task': {
        const known = this.allocs.get(entry.id);
        if (known) {
          this.allocs.set(entry.id, { ...known, tasks: { ...known.tasks, [entry.task]: entry.record } });
        }
        return;
      }
      case 'health': {
        const known = this.allocs.get(entry.id);
        if (known) this.allocs.set(entry.id, { ...known, health: entry.health });
        return;
      }
      case 'remove':
        this.allocs.delete(entry.id);
        return;
      case 'index':
        this.lastIndex = entry.index;
        return;
      default:
        // An entry of a kind that this version does not know cannot be here: the format line would differ.
        throw new Error(`unknown entry ${JSON.stringify(entry).slice(0, 80)}`);
    }
  }
}

class FileClientDb implements ClientDb {
  readonly problems: readonly string[];
  private readonly path: string;
  private readonly memory: Memory;
  private log: RecordLog;
  private bytesAfterCompaction: number;
  /** True after the disk refused a record: the file is then behind the memory until it is rewritten whole. */
  private behind = false;
  private closed = false;

  constructor(path: string, log: RecordLog, memory: Memory) {
    this.path = path;
    this.log = log;
    this.memory = memory;
    this.problems = log.problems;
    this.bytesAfterCompaction = 0;
    this.compactIfLarge();
  }

  get allocs(): ReadonlyMap<string, AllocRecord> {
    return this.memory.allocs;
  }

  get lastIndex(): number {
    return this.memory.lastIndex;
  }

  putAlloc(alloc: Allocation): void {
    const { Job: job } = alloc;
    if (!job) {
      this.put({ t: 'alloc', alloc, job: null });
      return;
    }
    const key = jobKey(job);
    const isNew = !this.memory.jobs.has(key);
    if (isNew) this.memory.apply({ t: 'job', key, job });
    // The memory keeps the caller's object, the file refers to the job by its key.
    this.memory.apply({ t: 'alloc', alloc: { ...alloc, Job: this.memory.jobs.get(key) ?? job }, job: null });
    // By now the memory has both: an append may rewrite the file, and leaves out a job that no allocation has.
    if (isNew) this.append({ t: 'job', key, job });
    this.append({ t: 'alloc', alloc: { ...alloc, Job: null }, job: key });
  }

  putTask(allocId: string, task: string, record: TaskRecord): void {
    if (this.memory.allocs.has(allocId)) this.put({ t: 'task', id: allocId, task, record });
  }

  putHealth(allocId: string, health: AllocDeploymentStatus | null): void {
    if (this.memory.allocs.has(allocId)) this.put({ t: 'health', id: allocId, health });
  }

  putHook(allocId: string, key: string, state: unknown): void {
    if (this.memory.allocs.has(allocId)) this.put({ t: 'hook', id: allocId, key, state });
  }

  removeAlloc(allocId: string): void {
    if (this.memory.allocs.has(allocId)) this.put({ t: 'remove', id: allocId });
  }

  putLastIndex(index: number): void {
    if (index !== this.memory.lastIndex) this.put({ t: 'index', index });
  }

  async sync(): Promise<void> {
    if (this.behind && !this.closed) this.rewrite();
    await this.log.sync();
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.log.close();
  }

  private put(entry: Entry): void {
    this.memory.apply(entry);
    this.append(entry);
  }

  private append(entry: Entry): void {
    if (this.closed) return;
    if (this.behind) {
      this.rewrite();
      return;
    }
    try {
      this.log.append(JSON.stringify(entry));
    } catch (error) {
      this.behind = true;
      throw error;
    }
    this.compactIfLarge();
  }

  private compactIfLarge(): void {
    if (this.log.sizeBytes >= Math.max(COMPACT_MIN_BYTES, 2 * this.bytesAfterCompaction)) this.rewrite();
  }

  /** Writes the memory whole into a new file. */
  private rewrite(): void {
    const wanted = new Map<string, Job>();
    for (const { alloc } of this.memory.allocs.values()) if (alloc.Job) wanted.set(jobKey(alloc.Job), alloc.Job);
    this.memory.jobs.clear();
    for (const [key, job] of wanted) this.memory.jobs.set(key, job);
    writeRecordFile(this.path, FORMAT, this.entries());
    this.log = this.log.replaced();
    this.bytesAfterCompaction = this.log.sizeBytes;
    this.behind = false;
  }

  private *entries(): Generator<string> {
    for (const [key, job] of this.memory.jobs) yield JSON.stringify({ t: 'job', key, job } satisfies Entry);
    for (const [id, { alloc, tasks, health, hooks }] of this.memory.allocs) {
      const job = alloc.Job ? jobKey(alloc.Job) : null;
      yield JSON.stringify({ t: 'alloc', alloc: { ...alloc, Job: null }, job } satisfies Entry);
      for (const [task, record] of Object.entries(tasks)) {
        yield JSON.stringify({ t: 'task', id, task, record } satisfies Entry);
      }
      for (const [key, state] of Object.entries(hooks)) {
        yield JSON.stringify({ t: 'hook', id, key, state } satisfies Entry);
      }
      if (health) yield JSON.stringify({ t: 'health', id, health } satisfies Entry);
    }
    yield JSON.stringify({ t: 'index', index: this.memory.lastIndex } satisfies Entry);
  }
}

const JOB_KEYS = new WeakMap<Job, string>();

/** A job's content decides: indexes begin anew when the servers do, and then another job may have the same ones. */
function jobKey(job: Job): string {
  const known = JOB_KEYS.get(job);
  if (known !== undefined) return known;
  const key = createHash('sha256').update(JSON.stringify(job)).digest('base64url').slice(0, 22);
  JOB_KEYS.set(job, key);
  return key;
}
