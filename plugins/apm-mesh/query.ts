/** What is asked of the mesh about itself. */
export type MeshQuery =
  | { kind: 'group'; operation: Operation; metric: GroupMetric; group: string; job: string; namespace: string }
  | ({ kind: 'nodes'; metric: NodeMetric } & NodeFilter)
  /** How many machines the work of a pool wants: those that have some, and one more while some waits. Not Nomad's. */
  | ({ kind: 'wanted' } & NodeFilter);

export interface NodeFilter {
  class: string | null;
  datacenter: string | null;
  pool: string | null;
}

export type Operation = 'sum' | 'avg' | 'max' | 'min';
export type GroupMetric = 'cpu' | 'cpu-allocated' | 'memory' | 'memory-allocated';
export type NodeMetric = 'cpu' | 'memory';

const GROUP = /^taskgroup_(sum|avg|max|min)_(cpu|cpu-allocated|memory|memory-allocated)\/([^/]+)\/([^@]+)(?:@(.+))?$/;
const NODES = /^node_(wanted|percentage-allocated_cpu|percentage-allocated_memory)\/(.*)$/;
const FORMS =
  'write avg_cpu, max_memory-allocated and the like in a job; "taskgroup_avg_cpu/GROUP/JOB@NAMESPACE" or "node_percentage-allocated_cpu/node_class=CLASS,datacenter=DC,node_pool=POOL" elsewhere';

/** Reads a query in Nomad's form. Throws an Error that says which forms there are. */
export function readQuery(text: string): MeshQuery {
  const group = GROUP.exec(text);
  if (group) {
    const [, operation, metric, name = '', job = '', namespace = 'default'] = group;
    return {
      kind: 'group',
      operation: operation as Operation,
      metric: metric as GroupMetric,
      group: name,
      job,
      namespace,
    };
  }
  const nodes = NODES.exec(text);
  if (!nodes) throw new Error(`invalid query ${JSON.stringify(text)}: ${FORMS}`);
  const filters = new Map<string, string>();
  for (const part of (nodes[2] ?? '').split(',').filter((one) => one !== '')) {
    const [key = '', value = ''] = part.split('=');
    // A lone word is a class, as older policies write it.
    if (value === '') filters.set('node_class', key);
    else if (!['node_class', 'class', 'datacenter', 'node_pool'].includes(key)) {
      throw new Error(
        `invalid query ${JSON.stringify(text)}: nodes have no ${JSON.stringify(key)} to choose by; ${FORMS}`,
      );
    } else filters.set(key === 'class' ? 'node_class' : key, value);
  }
  const chosen: NodeFilter = {
    class: filters.get('node_class') ?? null,
    datacenter: filters.get('datacenter') ?? null,
    pool: filters.get('node_pool') ?? null,
  };
  const what = nodes[1] ?? '';
  if (what === 'wanted') return { kind: 'wanted', ...chosen };
  return { kind: 'nodes', metric: what.replace('percentage-allocated_', '') as NodeMetric, ...chosen };
}

/** Takes the figures of all instances together. Undefined when there are none. */
export function combine(operation: Operation, values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  switch (operation) {
    case 'sum':
    case 'avg': {
      const sum = values.reduce((total, value) => total + value, 0);
      return operation === 'sum' ? sum : sum / values.length;
    }
    case 'max':
      return Math.max(...values);
    default:
      return Math.min(...values);
  }
}
