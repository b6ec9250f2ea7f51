import type { CsiInfo } from '../../lib/structs/csi.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { Job } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { RpcMethods } from '../../lib/structs/rpc.js';
import type { VolumeRequest } from '../../lib/structs/volume.js';
import type { RpcCaller, RpcMethod } from '../../lib/transport/rpc.js';
import { keyFromSeed } from '../../lib/transport/signature.js';
import { mockGroup, mockJob } from '../scheduler/mock.js';
import { placement, planResults } from '../state/world.js';
import { createTestWorld, type TestWorld, type TestWorldOptions } from './world.js';

/** A node as servers meet it: what it was asked, and answers to order. */
export interface FakeNode {
  readonly node: Node;
  readonly asked: { method: RpcMethod; args: Record<string, unknown>; timeoutMs?: number | undefined }[];
  /** By method; absent = an empty answer. */
  readonly answers: { [M in RpcMethod]?: (args: RpcMethods[M]['args']) => RpcMethods[M]['reply'] };
}

export function csiInfo(changes: Partial<CsiInfo> = {}): CsiInfo {
  return {
    PluginID: 'nfs',
    AllocID: '',
    Healthy: true,
    HealthDescription: '',
    UpdateTime: '',
    Provider: 'nfs.csi.test',
    ProviderVersion: '1.0',
    RequiresControllerPlugin: false,
    RequiresTopologies: false,
    ControllerInfo: null,
    NodeInfo: null,
    ...changes,
  };
}

export const nodeInfo = (ID: string): NonNullable<CsiInfo['NodeInfo']> => ({
  ID,
  MaxVolumes: 0,
  AccessibleTopology: null,
  RequiresNodeStageVolume: true,
  SupportsStats: false,
  SupportsExpand: true,
  SupportsCondition: false,
});

const CAN_ALL: NonNullable<CsiInfo['ControllerInfo']> = {
  SupportsCreateDelete: true,
  SupportsAttachDetach: true,
  SupportsListVolumes: true,
  SupportsGetCapacity: false,
  SupportsCreateDeleteSnapshot: true,
  SupportsListSnapshots: true,
  SupportsClone: true,
  SupportsReadOnlyAttach: true,
  SupportsExpand: true,
  SupportsListVolumesAttachedNodes: false,
  SupportsCondition: false,
  SupportsGet: false,
};

export const controllerInfo = (changes: Partial<typeof CAN_ALL> = {}): CsiInfo =>
  csiInfo({ RequiresControllerPlugin: true, ControllerInfo: { ...CAN_ALL, ...changes } });

/** Volumes have secrets, and only a server that has a key of its own keeps any. */
const OWN = keyFromSeed(new Uint8Array(32).fill(7));

export interface VolumeWorld extends TestWorld {
  /** A node that can be asked, with a node plugin `nfs`, and with a controller if so wished. */
  addFakeNode(number: number, options?: { controller?: boolean; changes?: Partial<Node> }): Promise<FakeNode>;
  /** An allocation of a job that uses volume `db`, put on a node. */
  place(
    node: FakeNode,
    options?: { jobId?: string; volume?: Partial<VolumeRequest> },
  ): Promise<{ job: Job; allocId: string }>;
  claim(node: FakeNode, allocId: string, changes?: object): Promise<RpcMethods['CSIVolume.Claim']['reply']>;
  end(node: FakeNode, allocId: string): Promise<void>;
}

export function createVolumeWorld(options: TestWorldOptions = {}): VolumeWorld {
  const world = createTestWorld({ ...options, config: { identity: OWN, ...options.config } });
  return {
    ...world,
    async addFakeNode(number, { controller = false, changes = {} } = {}) {
      const node = await world.addNode(number, {
        CSINodePlugins: { nfs: csiInfo({ NodeInfo: nodeInfo(`ext-${number}`), RequiresControllerPlugin: controller }) },
        CSIControllerPlugins: controller ? { nfs: controllerInfo() } : null,
        ...changes,
      });
      const fake: FakeNode = { node, asked: [], answers: {} };
      world.server.registerNodeLink(node.ID, callerOf(fake));
      return fake;
    },
    async place({ node }, { jobId = 'web', volume = {} } = {}) {
      const request: VolumeRequest = {
        Name: 'data',
        Type: 'csi',
        Source: 'db',
        ReadOnly: false,
        Sticky: false,
        AccessMode: 'single-node-writer',
        AttachmentMode: 'file-system',
        MountOptions: null,
        PerAlloc: false,
        ...volume,
      };
      // What has run ends, and nothing takes its place.
      const group = mockGroup({ Volumes: { data: request }, Migrate: null });
      const seed = mockJob({ ID: jobId, Type: 'batch', TaskGroups: [group] });
      await world.consensus.propose({ type: 'job-register', job: seed, eval: null, submission: null });
      const job = world.store.snapshot().jobById('default', jobId) as Job;
      const one = placement(job, { NodeID: node.ID });
      await world.consensus.propose(planResults(job, [one]));
      return { job, allocId: one.ID };
    },
    claim({ node }, AllocationID, changes = {}) {
      return world.call('CSIVolume.Claim', {
        NodeID: node.ID,
        SecretID: node.SecretID,
        VolumeID: 'db',
        AllocationID,
        Mode: 'write',
        AccessMode: 'single-node-writer',
        AttachmentMode: 'file-system',
        ...changes,
      });
    },
    async end({ node }, allocId) {
      const report = {
        ID: allocId,
        ClientStatus: 'complete' as const,
        ClientDescription: '',
        TaskStates: null,
        AllocStates: null,
        NetworkStatus: null,
        DeploymentStatus: null,
      };
      await world.call('Node.UpdateAlloc', { NodeID: node.ID, SecretID: node.SecretID, Alloc: [report] });
      await world.time.advance(20);
    },
  };
}

function callerOf(fake: FakeNode): RpcCaller {
  return {
    async call(method, args, { timeoutMs, signal } = {}) {
      fake.asked.push({ method, args: args as Record<string, unknown>, timeoutMs });
      await Promise.resolve();
      const answer = fake.answers[method] as ((args: unknown) => never) | undefined;
      const given = Promise.resolve(answer ? answer(args) : ({} as never));
      const left = new Promise<never>((_, leave) => {
        signal?.addEventListener('abort', () => leave(new MeshError('E_TIMEOUT', 'nobody waits any more')));
      });
      return Promise.race([given, left]);
    },
    stream() {
      throw new MeshError('E_NOT_SUPPORTED', 'no streams here');
    },
  };
}
