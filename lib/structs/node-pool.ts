import type { SchedulerConfiguration } from './rpc.js';

/** A named set of nodes, which jobs choose with node_pool. */
export interface NodePool {
  Name: string;
  Description: string;
  Meta: Record<string, string> | null;
  /** What differs from the scheduler configuration for jobs in this pool; null = nothing. */
  SchedulerConfiguration: NodePoolSchedulerConfiguration | null;
  CreateIndex: number;
  ModifyIndex: number;
}

export interface NodePoolSchedulerConfiguration {
  /** '' = as configured for all. */
  SchedulerAlgorithm: SchedulerConfiguration['SchedulerAlgorithm'] | '';
  /** null = as configured for all. */
  MemoryOversubscriptionEnabled: boolean | null;
}

/** The pool of every node, and the one of nodes that name none. They are always there, and as they are. */
export const BUILT_IN_POOLS: readonly NodePool[] = [
  { Name: 'all', Description: 'Node pool with all nodes in the cluster.' },
  { Name: 'default', Description: 'Default node pool.' },
].map((pool) => ({ ...pool, Meta: null, SchedulerConfiguration: null, CreateIndex: 1, ModifyIndex: 1 }));

export const NODE_POOL_NAME = /^[A-Za-z0-9-_]{1,128}$/;

/** A pool of a name, as it is made when a node is the first to name it. */
export function emptyPool(name: string, index: number): NodePool {
  return {
    Name: name,
    Description: '',
    Meta: null,
    SchedulerConfiguration: null,
    CreateIndex: index,
    ModifyIndex: index,
  };
}
