import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Change, Store } from '../../../lib/state/store.js';
import type { Allocation, TaskEvent, TaskState } from '../../../lib/structs/allocation.js';
import type { Node } from '../../../lib/structs/node.js';
import type { ClientAllocUpdate, RpcMethods } from '../../../lib/structs/rpc.js';
import type { RpcMethod } from '../../../lib/transport/rpc.js';
import type { Random } from '../../../lib/util/random.js';

/** A call as a client makes it. */
export type Call = <M extends RpcMethod>(method: M, args: RpcMethods[M]['args']) => Promise<RpcMethods[M]['reply']>;

/** In so many turns the reports of all clients come in, unless said otherwise. */
const TURNS = 8;

/** All clients of the cluster: they start what they are told to, stop what they are told to, and report both. */
export interface Clients {
  /** One pull of every client for which something has changed; resolves to how many reports were made. */
  obey(): Promise<number>;
  /** Machines that neither obey nor report. */
  readonly dead: Set<string>;
  /** Of a thousand tasks that start, so many fail. */
  failuresPerThousand: number;
  /** In so many turns the reports of all clients come in: as many as there are clients, and each comes in one of its own. */
  turns: number;
}

export function createClients(options: {
  store: Store;
  nodes: ReadonlyMap<string, Node>;
  call: Call;
  now: () => number;
  random: Random;
}): Clients {
  const { store, nodes, call, now, random } = options;
  const touched = new Set<string>();
  const dead = new Set<string>();
  store.onCommit(({ changes }) => {
    for (const change of changes) if (isNews(change)) touched.add(change.after.NodeID);
  });
  const clients: Clients = {
    dead,
    failuresPerThousand: 0,
    turns: TURNS,
    async obey() {
      let reports = 0;
      let heard = 0;
      const turn = [...touched];
      touched.clear();
      for (const id of turn) {
        const node = nodes.get(id);
        if (!node) continue;
        if (dead.has(id)) continue;
        const updates: ClientAllocUpdate[] = [];
        for (const alloc of store.snapshot().allocsByNode(id)) {
          const fails = clients.failuresPerThousand > 0 && random.next() * 1000 < clients.failuresPerThousand;
          const update = report(alloc, now(), fails);
          if (update) updates.push(update);
        }
        if (updates.length === 0) continue;
        reports += updates.length;
        // Where each comes in a turn of its own, what the client does is not the server's either.
        if (clients.turns >= nodes.size) await nextTurn();
        await call('Node.UpdateAlloc', { NodeID: id, SecretID: node.SecretID, Alloc: updates });
        // Now and then others have their turn: a server hears of its clients one after the other, of many in a second.
        if (++heard % Math.ceil(nodes.size / clients.turns) === 0) await nextTurn();
      }
      return reports;
    },
  };
  return clients;
}

type AllocNews = Change & { table: 'allocs'; after: Allocation };

/** Whether the change is one that the client did not make itself. */
function isNews(change: Change): change is AllocNews {
  if (change.table !== 'allocs' || !change.after) return false;
  return change.before?.AllocModifyIndex !== change.after.AllocModifyIndex;
}

function report(alloc: Allocation, nowMs: number, fails: boolean): ClientAllocUpdate | null {
  const { ID, ClientDescription, AllocStates, NetworkStatus } = alloc;
  const base = { ID, ClientDescription, AllocStates, NetworkStatus, DeploymentStatus: null };
  const isLive = alloc.ClientStatus === 'pending' || alloc.ClientStatus === 'running';
  if (!isLive) return null;
  if (alloc.DesiredStatus !== 'run') {
    return { ...base, ClientStatus: 'complete', TaskStates: states(nowMs, 'dead', false, true) };
  }
  const unproven = alloc.DeploymentID !== '' && typeof alloc.DeploymentStatus?.Healthy !== 'boolean';
  if (alloc.ClientStatus === 'running' && !unproven) return null;
  const isFailed = fails && alloc.ClientStatus === 'pending';
  const health = { Healthy: !isFailed, Timestamp: new Date(nowMs).toISOString(), Canary: false, ModifyIndex: 0 };
  return {
    ...base,
    ClientStatus: isFailed ? 'failed' : 'running',
    TaskStates: states(nowMs, isFailed ? 'dead' : 'running', isFailed),
    DeploymentStatus: unproven ? health : null,
  };
}

/** What a client tells of a task: the same three events that a real one has when it runs, each at its own time. */
function states(nowMs: number, State: TaskState['State'], Failed: boolean, killed = false): Record<string, TaskState> {
  const at = new Date(nowMs).toISOString();
  const zero = '0001-01-01T00:00:00Z';
  const Events = [
    event('Received', 'Task received by client', nowMs),
    event('Task Setup', 'Building Task Directory', nowMs + 1),
    event('Started', 'Task started by client', nowMs + 9),
    ...(killed ? [event('Killing', 'Sent interrupt. Waiting 5s before force killing', nowMs + 15)] : []),
    ...(State === 'dead' ? [event('Terminated', 'Exit Code: 1', nowMs + 20)] : []),
    ...(killed ? [event('Killed', 'Task successfully killed', nowMs + 21)] : []),
  ];
  const FinishedAt = State === 'dead' ? at : zero;
  return {
    main: { State, Failed, Restarts: 0, LastRestart: zero, StartedAt: at, FinishedAt, Events, TaskHandle: null },
  };
}

/**
 * Written out, without spreads: put together from several parts it would be three times as large and twenty times as slow to make as one
 * that comes from a link, and what the server does with it would be slow as well.
 */
function event(Type: string, DisplayMessage: string, ms: number): TaskEvent {
  return {
    Type,
    Time: ms * 1e6,
    Message: '',
    DisplayMessage,
    Details: {},
    FailsTask: false,
    RestartReason: '',
    SetupError: '',
    DriverError: '',
    DriverMessage: '',
    ExitCode: 0,
    Signal: 0,
    KillTimeout: 0,
    KillError: '',
    KillReason: '',
    StartDelay: 0,
    DownloadError: '',
    ValidationError: '',
    DiskLimit: 0,
    FailedSibling: '',
    VaultError: '',
    TaskSignalReason: '',
    TaskSignal: '',
    GenericSource: '',
  };
}
