import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { main } from '../../lib/cli/main.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Deployment, DeploymentState } from '../../lib/structs/deployment.js';
import type { Evaluation } from '../../lib/structs/evaluation.js';
import { mockGroup, mockJob, mockTask } from '../scheduler/mock.js';

/** What a path answers: JSON, or a function that writes the answer itself or returns the JSON. */
type Reply = unknown | ((request: IncomingMessage, response: ServerResponse, body: string) => unknown);

export interface Ran {
  code: number;
  out: string;
  error: string;
}

/** The command line against a scripted agent. */
export interface CliWorld {
  address: string;
  /** `GET /v1/jobs` → answer; the query is not part of the key. */
  replies: Record<string, Reply>;
  /** `METHOD path?query` of every request, in order. */
  asked: string[];
  bodies: string[];
  run(...argv: string[]): Promise<Ran>;
  /** As on a terminal. */
  show(...argv: string[]): Promise<Ran>;
}

export class Refusal {
  readonly status: number;
  readonly text: string;
  constructor(status: number, text: string) {
    this.status = status;
    this.text = text;
  }
}

/** Runs the program in this process, its outputs kept. */
export async function runCli(argv: string[], env: Record<string, string> = {}, isTTY = false): Promise<Ran> {
  const texts = { out: '', error: '' };
  const sink = (name: 'out' | 'error') => ({
    isTTY,
    write(data: Uint8Array | string): boolean {
      texts[name] += typeof data === 'string' ? data : Buffer.from(data).toString();
      return true;
    },
    once: () => undefined,
  });
  const code = await main(argv, { env, stdout: sink('out'), stderr: sink('error') });
  return { code, ...texts };
}

export async function createCliWorld(t: Test, replies: Record<string, Reply> = {}): Promise<CliWorld> {
  const world: CliWorld = {
    address: '',
    replies,
    asked: [],
    bodies: [],
    run: async () => ({ code: -1, out: '', error: '' }),
    show: async () => ({ code: -1, out: '', error: '' }),
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = request.url?.split('?')[0] ?? '';
      const body = Buffer.concat(chunks).toString();
      world.asked.push(`${request.method} ${request.url}`);
      world.bodies.push(body);
      const key = `${request.method} ${path}`;
      const reply = key in world.replies ? world.replies[key] : new Refusal(404, `no such path: ${path}`);
      const value = typeof reply === 'function' ? reply(request, response, body) : reply;
      if (response.writableEnded || value === undefined) return;
      if (value instanceof Refusal) {
        response.writeHead(value.status, { 'Content-Type': 'text/plain' }).end(value.text);
        return;
      }
      response.writeHead(200, { 'Content-Type': 'application/json', 'X-Nomad-Index': '9' }).end(JSON.stringify(value));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  world.address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  world.run = (...argv) => runCli(argv, { NOMAD_ADDR: world.address });
  world.show = (...argv) => runCli(argv, { NOMAD_ADDR: world.address, NO_COLOR: '1' }, true);
  return world;
}

export const ALLOC_ID = 'a1b2c3d4-0000-4000-8000-000000000001';
export const EVAL_ID = 'e1b2c3d4-0000-4000-8000-000000000002';
export const NODE_ID = 'f1b2c3d4-0000-4000-8000-000000000003';
export const DEPLOYMENT_ID = 'd1b2c3d4-0000-4000-8000-000000000004';
/** 2026-05-01T10:00:00Z, in nanoseconds. */
export const MOMENT = Date.parse('2026-05-01T10:00:00Z') * 1e6;

export const job = (changes: object = {}) =>
  ({
    ...mockJob({
      ID: 'web',
      Name: 'web',
      Type: 'service',
      Status: 'running',
      SubmitTime: MOMENT,
      Datacenters: ['dc1', 'dc2'],
      TaskGroups: [mockGroup({ Name: 'front', Tasks: [mockTask({ Name: 'server' })] })],
    }),
    ...changes,
  }) as ReturnType<typeof mockJob>;

export const alloc = (changes: Partial<Allocation> = {}): Allocation =>
  ({
    ID: ALLOC_ID,
    EvalID: EVAL_ID,
    Name: 'web.front[0]',
    Namespace: 'default',
    NodeID: NODE_ID,
    NodeName: 'pi',
    JobID: 'web',
    Job: job(),
    JobVersion: 2,
    TaskGroup: 'front',
    DesiredStatus: 'run',
    DesiredDescription: '',
    ClientStatus: 'running',
    ClientDescription: 'Tasks are running',
    DeploymentID: '',
    DeploymentStatus: null,
    NextAllocation: '',
    PreviousAllocation: '',
    AllocatedResources: {
      Tasks: { server: { Cpu: { CpuShares: 500 }, Memory: { MemoryMB: 256, MemoryMaxMB: 0 } } },
      Shared: { DiskMB: 300, Ports: [{ Label: 'http', Value: 23456, To: 8080, HostIP: '192.0.2.7' }] },
    },
    TaskStates: {
      server: {
        State: 'running',
        Failed: false,
        Restarts: 1,
        LastRestart: '2026-05-01T10:00:03Z',
        StartedAt: '2026-05-01T10:00:04Z',
        FinishedAt: '0001-01-01T00:00:00Z',
        Events: [
          { Type: 'Received', Time: MOMENT, DisplayMessage: 'Task received by client', Message: '' },
          { Type: 'Started', Time: MOMENT + 4e9, DisplayMessage: 'Task started by client', Message: '' },
        ],
      },
    },
    CreateIndex: 5,
    ModifyIndex: 5,
    CreateTime: MOMENT,
    ModifyTime: MOMENT,
    ...changes,
  }) as unknown as Allocation;

export const evaluation = (changes: Partial<Evaluation> = {}): Evaluation =>
  ({
    ID: EVAL_ID,
    Namespace: 'default',
    Priority: 50,
    Type: 'service',
    TriggeredBy: 'job-register',
    JobID: 'web',
    NodeID: '',
    DeploymentID: '',
    Status: 'complete',
    StatusDescription: '',
    Wait: 0,
    WaitUntil: null,
    NextEval: '',
    PreviousEval: '',
    BlockedEval: '',
    FailedTGAllocs: null,
    CreateIndex: 5,
    ModifyIndex: 6,
    CreateTime: MOMENT,
    ModifyTime: MOMENT,
    ...changes,
  }) as unknown as Evaluation;

export const deployment = (changes: Partial<Deployment> = {}, group: Partial<DeploymentState> = {}): Deployment =>
  ({
    ID: DEPLOYMENT_ID,
    Namespace: 'default',
    JobID: 'web',
    JobVersion: 2,
    Status: 'running',
    StatusDescription: 'Deployment is running',
    TaskGroups: {
      front: {
        AutoRevert: false,
        AutoPromote: false,
        ProgressDeadline: 6e11,
        RequireProgressBy: '2026-05-01T10:10:00Z',
        Promoted: false,
        PlacedCanaries: null,
        DesiredCanaries: 0,
        DesiredTotal: 2,
        PlacedAllocs: 2,
        HealthyAllocs: 1,
        UnhealthyAllocs: 0,
        ...group,
      },
    },
    CreateIndex: 5,
    ModifyIndex: 6,
    ...changes,
  }) as unknown as Deployment;
