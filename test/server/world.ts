import type { Consensus, ServerPeers } from '../../lib/server/ports.js';
import { createServer, type Server } from '../../lib/server/server.js';
import type { Schedule } from '../../lib/server/worker.js';
import type { ServerConfig } from '../../lib/server/world.js';
import type { Command } from '../../lib/state/commands.js';
import { createStore, type Store } from '../../lib/state/store.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { Job } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { ClientAllocUpdate, RpcMethods } from '../../lib/structs/rpc.js';
import type { RpcMethod } from '../../lib/transport/rpc.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { mockGroup, mockJob, mockNode, mockResources, mockTask } from '../scheduler/mock.js';
import { createSimulatedTime, type SimulatedTime } from './simulated-time.js';

/** Consensus of one, in memory: every entry is committed a moment later. */
export interface FakeConsensus extends Consensus {
  lead(leads: boolean): void;
  /** Every command that was applied, in order (unless it was told not to keep them). */
  readonly log: Command[];
  /** While set, proposals are refused with it. */
  failWith: MeshError | null;
}

export function createFakeConsensus(store: Store, { keepLog = true } = {}): FakeConsensus {
  const listeners: ((leads: boolean) => void)[] = [];
  let leads = false;
  const log: Command[] = [];
  return {
    log,
    failWith: null,
    async propose(command) {
      if (!leads) throw new MeshError('E_NO_LEADER', 'No cluster leader');
      await Promise.resolve();
      if (this.failWith) throw this.failWith;
      if (keepLog) log.push(command);
      const index = store.index - store.indexOffset + 1;
      return { index, result: store.apply(index, command) };
    },
    async readIndex() {
      if (!leads) throw new MeshError('E_NO_LEADER', 'No cluster leader');
      return store.index;
    },
    get isLeader() {
      return leads;
    },
    get leader() {
      return leads ? 'me' : '';
    },
    lastContactMs: () => 0,
    onLeadership(listener) {
      listeners.push(listener);
    },
    lead(now) {
      leads = now;
      for (const listener of listeners) listener(now);
    },
  };
}

export interface TestWorld {
  server: Server;
  store: Store;
  consensus: FakeConsensus;
  time: SimulatedTime;
  call<M extends RpcMethod>(
    method: M,
    args: RpcMethods[M]['args'],
    signal?: AbortSignal,
  ): Promise<RpcMethods[M]['reply']>;
  /** Registers a ready node with room for `cpu` MHz. */
  addNode(number: number, changes?: Partial<Node>): Promise<Node>;
  /** The node's client does what is wished: starts what should run, stops what should not. */
  obey(node: Node, report?: (alloc: Allocation) => Partial<ClientAllocUpdate>): Promise<void>;
  allocs(jobId?: string): Allocation[];
}

export interface TestWorldOptions {
  schedule?: Schedule;
  config?: Partial<ServerConfig>;
  seed?: number;
  peers?: ServerPeers;
  /** Take part in the election at once (default). */
  lead?: boolean;
}

export function createTestWorld(options: TestWorldOptions = {}): TestWorld {
  const store = createStore();
  const consensus = createFakeConsensus(store);
  const time = createSimulatedTime();
  const server = createServer({
    consensus,
    store,
    ...(options.schedule && { schedule: options.schedule }),
    ...(options.peers && { peers: options.peers }),
    now: time.now,
    random: seededRandom(options.seed ?? 1),
    log: silentLog,
    timers: time.timers,
    // Nodes need not beat unless a test is about that.
    config: { region: 'global', heartbeat: { ttlMinMs: 24 * 3_600_000 }, ...options.config },
  });
  server.start();
  if (options.lead !== false) consensus.lead(true);

  const call: TestWorld['call'] = (method, args, signal = new AbortController().signal) => {
    const handler = server.handlers[method] as (args: unknown, context: unknown) => Promise<never>;
    return handler(args, { signal });
  };

  return {
    server,
    store,
    consensus,
    time,
    call,
    async addNode(number, changes) {
      const node = mockNode(number, { SecretID: `secret-${number}`, ComputedClass: '', ...changes });
      await call('Node.Register', { Node: node });
      await time.advance(20);
      return node;
    },
    async obey(node, report) {
      const updates = store
        .snapshot()
        .allocsByNode(node.ID)
        .flatMap((alloc) => follow(alloc, report, time.now()));
      if (updates.length === 0) return;
      await call('Node.UpdateAlloc', { NodeID: node.ID, SecretID: node.SecretID, Alloc: updates });
      await time.advance(20);
    },
    allocs: (jobId = 'web') => [...store.snapshot().allocsByJob('default', jobId)],
  };
}

function follow(
  alloc: Allocation,
  report: ((alloc: Allocation) => Partial<ClientAllocUpdate>) | undefined,
  nowMs: number,
): ClientAllocUpdate[] {
  const { ID, ClientDescription, TaskStates, AllocStates, NetworkStatus } = alloc;
  const base = { ID, ClientDescription, TaskStates, AllocStates, NetworkStatus, DeploymentStatus: null };
  const wanted = alloc.DesiredStatus === 'run';
  if (!wanted && ['pending', 'running'].includes(alloc.ClientStatus)) return [{ ...base, ClientStatus: 'complete' }];
  // An update in place makes a running one part of a new deployment: its health is asked for again.
  const unproven = alloc.DeploymentID !== '' && typeof alloc.DeploymentStatus?.Healthy !== 'boolean';
  const starts = alloc.ClientStatus === 'pending';
  if (!wanted || !(starts || (alloc.ClientStatus === 'running' && unproven))) return [];
  const health = { Healthy: true, Timestamp: new Date(nowMs).toISOString(), Canary: false, ModifyIndex: 0 };
  return [
    {
      ...base,
      ClientStatus: 'running',
      // Clients judge services also where no deployment asks: drains wait for that.
      DeploymentStatus: alloc.DeploymentID === '' && alloc.Job?.Type !== 'service' ? null : health,
      ...report?.(alloc),
    },
  ];
}

/** A service job of one group and one small task. */
export function webJob(changes: Partial<Job> & { count?: number; cpu?: number } = {}): Partial<Job> {
  const { count = 2, cpu = 100, ...rest } = changes;
  const task = mockTask({ Resources: mockResources({ CPU: cpu, MemoryMB: 10 }) });
  return mockJob({ TaskGroups: [mockGroup({ Count: count, Tasks: [task] })], ...rest });
}

/** The same as a batch. */
export function batchJob(changes: Parameters<typeof webJob>[0] = {}): Partial<Job> {
  const job = webJob({ ID: 'web', ...changes, Type: 'batch' });
  const TaskGroups = job.TaskGroups?.map((group) => ({ ...group, Migrate: null, ReschedulePolicy: null })) ?? [];
  return { ...job, TaskGroups };
}
