/** What can be waited for: a whole table (key ''), one object, or the objects under one key of an index. */
export type WatchKind =
  | 'jobs'
  | 'scaled-jobs'
  | 'job'
  | 'evals'
  | 'eval'
  | 'evals-by-job'
  | 'allocs'
  | 'alloc'
  | 'allocs-by-job'
  | 'allocs-by-node'
  | 'allocs-by-eval'
  | 'allocs-by-deployment'
  | 'nodes'
  | 'node'
  | 'deployments'
  | 'deployment'
  | 'deployments-by-job'
  | 'job-summary'
  | 'scheduler-config'
  | 'autopilot-config'
  | 'node-pools'
  | 'services'
  | 'variables'
  | 'variable'
  | 'root-keys'
  | 'service'
  | 'csi-volumes'
  | 'csi-volume'
  | 'host-volumes'
  | 'host-volume'
  | 'host-volume-claims'
  | 'volume-archives'
  | 'mesh'
  | 'mesh-member';

export interface WatchKey {
  readonly kind: WatchKind;
  readonly key: string;
}

/** The key under which everything of one job lies: namespace and id. */
export function jobKey(namespace: string, id: string): string {
  if (namespace !== last.namespace || id !== last.id) {
    last.namespace = namespace;
    last.id = id;
    last.key = `${namespace}\0${id}`;
  }
  return last.key;
}

/** The key made last: a plan writes thousands of allocations of one job, each to several indexes. */
const last = { namespace: '', id: '', key: '\0' };

/** The keys of blocking queries. A job's key fires for the job, its versions and its stability. */
export const watchKeys = {
  jobs: (): WatchKey => ({ kind: 'jobs', key: '' }),
  /** Jobs with a scaling policy, and what of them an autoscaler goes by. */
  scaledJobs: (): WatchKey => ({ kind: 'scaled-jobs', key: '' }),
  job: (namespace: string, id: string): WatchKey => ({ kind: 'job', key: jobKey(namespace, id) }),
  jobSummary: (namespace: string, id: string): WatchKey => ({ kind: 'job-summary', key: jobKey(namespace, id) }),
  evals: (): WatchKey => ({ kind: 'evals', key: '' }),
  eval: (id: string): WatchKey => ({ kind: 'eval', key: id }),
  evalsByJob: (namespace: string, id: string): WatchKey => ({ kind: 'evals-by-job', key: jobKey(namespace, id) }),
  allocs: (): WatchKey => ({ kind: 'allocs', key: '' }),
  alloc: (id: string): WatchKey => ({ kind: 'alloc', key: id }),
  allocsByJob: (namespace: string, id: string): WatchKey => ({ kind: 'allocs-by-job', key: jobKey(namespace, id) }),
  allocsByNode: (nodeId: string): WatchKey => ({ kind: 'allocs-by-node', key: nodeId }),
  allocsByEval: (evalId: string): WatchKey => ({ kind: 'allocs-by-eval', key: evalId }),
  allocsByDeployment: (id: string): WatchKey => ({ kind: 'allocs-by-deployment', key: id }),
  nodes: (): WatchKey => ({ kind: 'nodes', key: '' }),
  node: (id: string): WatchKey => ({ kind: 'node', key: id }),
  deployments: (): WatchKey => ({ kind: 'deployments', key: '' }),
  deployment: (id: string): WatchKey => ({ kind: 'deployment', key: id }),
  deploymentsByJob: (namespace: string, id: string): WatchKey => ({
    kind: 'deployments-by-job',
    key: jobKey(namespace, id),
  }),
  csiVolumes: (): WatchKey => ({ kind: 'csi-volumes', key: '' }),
  csiVolume: (namespace: string, id: string): WatchKey => ({ kind: 'csi-volume', key: jobKey(namespace, id) }),
  hostVolumes: (): WatchKey => ({ kind: 'host-volumes', key: '' }),
  hostVolume: (id: string): WatchKey => ({ kind: 'host-volume', key: id }),
  hostVolumeClaims: (): WatchKey => ({ kind: 'host-volume-claims', key: '' }),
  volumeArchives: (): WatchKey => ({ kind: 'volume-archives', key: '' }),
  /** Whatever is known of the mesh: its members, its invites, itself. */
  mesh: (): WatchKey => ({ kind: 'mesh', key: '' }),
  meshMember: (key: string): WatchKey => ({ kind: 'mesh-member', key }),
  services: (): WatchKey => ({ kind: 'services', key: '' }),
  /** All instances of one name. */
  service: (namespace: string, name: string): WatchKey => ({ kind: 'service', key: jobKey(namespace, name) }),
  variables: (): WatchKey => ({ kind: 'variables', key: '' }),
  variable: (namespace: string, path: string): WatchKey => ({ kind: 'variable', key: jobKey(namespace, path) }),
  rootKeys: (): WatchKey => ({ kind: 'root-keys', key: '' }),
  nodePools: (): WatchKey => ({ kind: 'node-pools', key: '' }),
  schedulerConfig: (): WatchKey => ({ kind: 'scheduler-config', key: '' }),
  autopilotConfig: (): WatchKey => ({ kind: 'autopilot-config', key: '' }),
};

type Listener = (index: number) => void;

/** Who waits for what. Touching a key that nobody waits for costs one look-up and makes no garbage. */
export class Watch {
  #listeners = new Map<WatchKind, Map<string, Set<Listener>>>();
  #due = new Set<Listener>();

  /** Calls `listener` once after each apply that touched one of the keys, until unsubscribed. */
  subscribe(keys: readonly WatchKey[], listener: Listener): () => void {
    // Own identity for each subscription: one function may be given twice.
    const own: Listener = (index) => listener(index);
    for (const { kind, key } of keys) {
      const byKey = this.#listeners.get(kind) ?? new Map<string, Set<Listener>>();
      this.#listeners.set(kind, byKey);
      const set = byKey.get(key) ?? new Set<Listener>();
      byKey.set(key, set);
      set.add(own);
    }
    return () => {
      this.#due.delete(own);
      for (const { kind, key } of keys) this.#forget(kind, key, own);
    };
  }

  touch(kind: WatchKind, key: string): void {
    const set = this.#listeners.get(kind)?.get(key);
    if (set === undefined) return;
    for (const listener of set) this.#due.add(listener);
  }

  /** After a restore everything may have changed. */
  touchAll(): void {
    for (const byKey of this.#listeners.values()) {
      for (const set of byKey.values()) for (const listener of set) this.#due.add(listener);
    }
  }

  /** Calls whoever waits for what was touched since the last time. A listener may unsubscribe itself and others. */
  fire(index: number): void {
    for (const listener of this.#due) {
      this.#due.delete(listener);
      listener(index);
    }
  }

  #forget(kind: WatchKind, key: string, listener: Listener): void {
    const byKey = this.#listeners.get(kind);
    const set = byKey?.get(key);
    if (byKey === undefined || set === undefined) return;
    set.delete(listener);
    if (set.size === 0) byKey.delete(key);
    if (byKey.size === 0) this.#listeners.delete(kind);
  }
}
