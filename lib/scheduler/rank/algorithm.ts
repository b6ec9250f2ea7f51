import type { NodePoolSchedulerConfiguration } from '../../structs/node-pool.js';
import { SMALL_CLUSTER_NODES } from '../../structs/operator.js';
import type { SchedulerConfiguration } from '../../structs/rpc.js';

/** How nodes are compared: by the fullest first, or by the emptiest first. */
export interface Algorithm {
  readonly name: SchedulerConfiguration['SchedulerAlgorithm'];
  /** Why this one, as a half sentence. */
  readonly because: string;
}

/**
 * The algorithm in force for jobs of a pool: what an operator has set for it or for all, whatever it is; else spread on
 * few nodes, where packing saves nothing and would put all that one owns on the machine that fails next, and binpack on
 * many, as in Nomad.
 */
export function algorithmOf(
  config: Pick<SchedulerConfiguration, 'SchedulerAlgorithm' | 'ModifyIndex'>,
  nodes: number,
  pool: NodePoolSchedulerConfiguration | null = null,
): Algorithm {
  if (pool && pool.SchedulerAlgorithm !== '') {
    return { name: pool.SchedulerAlgorithm, because: 'the configuration of the node pool says so' };
  }
  const { SchedulerAlgorithm: name, ModifyIndex } = config;
  // Nobody has written the configuration while its index is 0.
  if (ModifyIndex !== 0) return { name, because: 'the scheduler configuration says so' };
  if (nodes >= SMALL_CLUSTER_NODES) return { name, because: 'that is the default' };
  return {
    name: 'spread',
    because: `there are fewer than ${SMALL_CLUSTER_NODES} nodes and no scheduler configuration`,
  };
}
