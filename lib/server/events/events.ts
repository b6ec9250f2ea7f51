import type { Command } from '../../state/commands.js';
import type { Change, Commit, StateSnapshot } from '../../state/store.js';
import type { EventPayload, EventTopic, StreamEvent } from '../../structs/event.js';
import { volumeView } from '../csi/view.js';
import { publicNode, variableMetadata } from '../stubs.js';

/** What Nomad calls the events that a command makes. Of other commands no events are told. */
const TYPES: { readonly [T in Command['type']]?: string } = {
  'job-register': 'JobRegistered',
  'job-deregister': 'JobDeregistered',
  'job-batch-deregister': 'JobBatchDeregistered',
  'evals-upsert': 'EvaluationUpdated',
  'node-register': 'NodeRegistration',
  'node-deregister': 'NodeDeregistration',
  'node-status': 'NodeStreamEvent',
  'node-eligibility': 'NodeEligibility',
  'node-drain': 'NodeDrain',
  'node-pool-upsert': 'NodePoolUpserted',
  'node-pool-delete': 'NodePoolDeleted',
  'allocs-client-update': 'AllocationUpdated',
  'allocs-desired-transition': 'AllocationUpdateDesiredStatus',
  'plan-results': 'PlanResult',
  'deployment-status': 'DeploymentStatusUpdate',
  'deployment-promote': 'DeploymentPromotion',
  'deployment-alloc-health': 'DeploymentAllocHealth',
  'service-delete': 'ServiceDeregistration',
  'host-volume-upsert': 'HostVolumeRegistered',
  'host-volume-delete': 'HostVolumeDeleted',
  'csi-volume-upsert': 'CSIVolumeRegistered',
  'csi-volume-deregister': 'CSIVolumeDeregistered',
  'csi-claim': 'CSIVolumeClaim',
  'csi-claim-steps': 'CSIVolumeClaim',
  'variable-put': 'VariableUpdated',
  'variable-delete': 'VariableUpdated',
};

/** Whether there can be anything in a commit that a reader of the stream wants. */
export function tellsEvents({ causes }: Commit): boolean {
  return causes.some(({ type }) => TYPES[type] !== undefined);
}

/** One thing that a reader may want to hear of; its payload is made for those who do. */
export interface Told {
  readonly about: Omit<StreamEvent, 'Payload'>;
  readonly payload: () => EventPayload;
}

/** The events of a commit, one for each thing that a command changed, as it was last. `state` shows who holds volumes. */
export function* eventsOf({ index, changes, causes }: Commit, state: StateSnapshot): Generator<Told> {
  let from = 0;
  for (const { type, end } of causes) {
    const cause = TYPES[type];
    const told = new Map<string, Told>();
    for (let at = from; cause !== undefined && at < end; at++) {
      const one = tell(changes[at] as Change, { cause, index, state });
      if (one) told.set(`${one.about.Topic}\0${one.about.Namespace}\0${one.about.Key}`, one);
    }
    yield* told.values();
    from = end;
  }
}

type Row<T extends Change['table']> = NonNullable<Extract<Change, { table: T }>['after']>;

interface Topic<R> {
  readonly topic: EventTopic;
  readonly key: (row: R) => string;
  /** Other names by which it may be asked for. */
  readonly names?: (row: R) => string[];
  /** Absent: what becomes of it, and nothing when it is collected, as in Nomad. */
  readonly whenGone?: true;
  readonly payload: (row: R, gone: boolean, state: StateSnapshot) => EventPayload;
}

const byId = ({ ID }: { ID: string }): string => ID;
const ofJob = ({ JobID, DeploymentID }: { JobID: string; DeploymentID: string }): string[] => [JobID, DeploymentID];
const ofPlugin = (row: { ID: string; Name: string; PluginID: string }): string[] => [row.ID, row.Name, row.PluginID];

/** What is told of the rows of each table. Of the mesh, its keys and settings nothing is. */
const TOPICS: { readonly [T in Change['table']]?: Topic<Row<T>> } = {
  jobs: {
    topic: 'Job',
    key: byId,
    whenGone: true,
    payload: (Job, gone) => (gone ? { Job, Deleted: true } : { Job }),
  },
  evals: { topic: 'Evaluation', key: byId, names: ofJob, payload: (Evaluation) => ({ Evaluation }) },
  allocs: {
    topic: 'Allocation',
    key: byId,
    names: ofJob,
    payload: (alloc) => ({ Allocation: { ...alloc, Job: null } }),
  },
  deployments: {
    topic: 'Deployment',
    key: byId,
    names: ({ JobID }) => [JobID],
    payload: (Deployment) => ({ Deployment }),
  },
  nodes: { topic: 'Node', key: byId, whenGone: true, payload: (node) => ({ Node: publicNode(node) }) },
  node_pools: { topic: 'NodePool', key: ({ Name }) => Name, whenGone: true, payload: (NodePool) => ({ NodePool }) },
  services: {
    topic: 'Service',
    key: byId,
    names: ({ JobID, ServiceName }) => [JobID, ServiceName],
    whenGone: true,
    payload: (Service) => ({ Service }),
  },
  host_volumes: {
    topic: 'HostVolume',
    key: byId,
    names: ofPlugin,
    whenGone: true,
    payload: (Volume) => ({ Volume }),
  },
  csi_volumes: {
    topic: 'CSIVolume',
    key: byId,
    names: ofPlugin,
    whenGone: true,
    payload: (volume, _, state) => ({ Volume: volumeView(volume, state) }),
  },
  variables: {
    topic: 'Variable',
    key: ({ Path }) => Path,
    whenGone: true,
    payload: (row, Deleted) => ({ Metadata: variableMetadata(row), Deleted }),
  },
};

function tell(
  { table, before, after }: Change,
  { cause, index, state }: { cause: string; index: number; state: StateSnapshot },
): Told | undefined {
  const topic = TOPICS[table] as Topic<Row<Change['table']>> | undefined;
  const row = after ?? (topic?.whenGone ? before : undefined);
  if (!topic || !row) return undefined;
  const about = {
    Topic: topic.topic,
    // Services come and go with their allocations, whatever command that was.
    Type: topic.topic !== 'Service' ? cause : after ? 'ServiceRegistration' : 'ServiceDeregistration',
    Key: topic.key(row),
    Namespace: 'Namespace' in row ? row.Namespace : '',
    FilterKeys: topic.names?.(row) ?? null,
    Index: index,
  };
  return { about, payload: () => topic.payload(row, after === undefined, state) };
}
