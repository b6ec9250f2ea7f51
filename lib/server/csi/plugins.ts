import { isTerminal } from '../../scheduler/usage.js';
import type { StateSnapshot } from '../../state/store.js';
import type { Allocation } from '../../structs/allocation.js';
import type { CsiInfo, CsiPlugin, CsiPluginHealth, CsiPluginListStub } from '../../structs/csi.js';
import type { Job } from '../../structs/job.js';
import { allocStub } from '../stubs.js';

// Plugins are not kept anywhere: each is what the nodes report of it, and what the jobs that run it should bring. So the counts
// are right after a drain, a reboot or a purge.

/** A plugin as the state shows it now. */
export interface PluginView {
  readonly id: string;
  readonly controllers: ReadonlyMap<string, CsiInfo>;
  readonly nodes: ReadonlyMap<string, CsiInfo>;
  /** Allocations that run it. */
  readonly allocs: readonly Allocation[];
  readonly health: CsiPluginHealth;
  /** The names of the drivers that run under the id. */
  readonly providers: readonly string[];
  readonly version: string;
  /** The controller must attach a volume to a node before it can be used there. */
  readonly attaches: boolean;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

interface Draft {
  controllers: Map<string, CsiInfo>;
  nodes: Map<string, CsiInfo>;
  allocs: Map<string, Allocation>;
  controllersExpected: number;
  nodesExpected: number;
  controllersHealthy: number;
  nodesHealthy: number;
  createIndex: number;
  modifyIndex: number;
}

/** The plugins of a snapshot, by id; made once for each. */
export function pluginsOf(state: StateSnapshot): ReadonlyMap<string, PluginView> {
  let plugins = known.get(state);
  if (!plugins) {
    plugins = derive(state);
    known.set(state, plugins);
  }
  return plugins;
}

const known = new WeakMap<StateSnapshot, ReadonlyMap<string, PluginView>>();

function derive(state: StateSnapshot): ReadonlyMap<string, PluginView> {
  const drafts = new Map<string, Draft>();
  const draft = (id: string): Draft => {
    const made = drafts.get(id) ?? emptyDraft();
    drafts.set(id, made);
    return made;
  };
  for (const job of state.jobs()) {
    for (const { group, id, type } of pluginTasks(job)) {
      for (const alloc of state.allocsByJob(job.Namespace, job.ID)) {
        if (alloc.TaskGroup !== group || isTerminal(alloc)) continue;
        const plugin = draft(id);
        plugin.allocs.set(alloc.ID, alloc);
        if (type !== 'node') plugin.controllersExpected++;
        if (type !== 'controller') plugin.nodesExpected++;
        touch(plugin, alloc);
      }
    }
  }
  for (const node of state.nodes()) {
    const add = (info: CsiInfo, part: 'controllers' | 'nodes'): void => {
      const plugin = draft(info.PluginID);
      plugin[part].set(node.ID, info);
      const runs = info.AllocID === '' || plugin.allocs.has(info.AllocID);
      if (info.AllocID === '' && node.Status !== 'down') plugin[`${part}Expected`]++;
      if (runs && info.Healthy && node.Status === 'ready') plugin[`${part}Healthy`]++;
      touch(plugin, node);
    };
    for (const info of Object.values(node.CSIControllerPlugins ?? {})) add(info, 'controllers');
    for (const info of Object.values(node.CSINodePlugins ?? {})) add(info, 'nodes');
  }
  const ids = [...drafts.keys()].sort();
  return new Map(ids.map((id) => [id, finish(id, drafts.get(id) as Draft)]));
}

function emptyDraft(): Draft {
  return {
    controllers: new Map(),
    nodes: new Map(),
    allocs: new Map(),
    controllersExpected: 0,
    nodesExpected: 0,
    controllersHealthy: 0,
    nodesHealthy: 0,
    createIndex: 0,
    modifyIndex: 0,
  };
}

function touch(plugin: Draft, { CreateIndex, ModifyIndex }: { CreateIndex: number; ModifyIndex: number }): void {
  if (plugin.createIndex === 0 || CreateIndex < plugin.createIndex) plugin.createIndex = CreateIndex;
  plugin.modifyIndex = Math.max(plugin.modifyIndex, ModifyIndex);
}

interface PluginTask {
  group: string;
  id: string;
  type: string;
}

const tasksOfJobs = new WeakMap<Job, readonly PluginTask[]>();
const NONE: readonly PluginTask[] = [];

function pluginTasks(job: Job): readonly PluginTask[] {
  let tasks = tasksOfJobs.get(job);
  if (!tasks) {
    const found = job.TaskGroups.flatMap((group) =>
      group.Tasks.flatMap(({ CSIPluginConfig: plugin }) =>
        plugin ? [{ group: group.Name, id: plugin.ID, type: plugin.Type }] : [],
      ),
    );
    tasks = found.length > 0 ? found : NONE;
    tasksOfJobs.set(job, tasks);
  }
  return tasks;
}

function finish(id: string, draft: Draft): PluginView {
  const infos = [...draft.nodes.values(), ...draft.controllers.values()];
  const first = infos.find(({ Healthy }) => Healthy) ?? infos[0];
  return {
    id,
    controllers: draft.controllers,
    nodes: draft.nodes,
    allocs: [...draft.allocs.values()],
    // One that has not answered yet has no name.
    providers: [...new Set(infos.flatMap(({ Provider }) => (Provider === '' ? [] : [Provider])))].sort(),
    version: first?.ProviderVersion ?? '',
    attaches: [...draft.controllers.values()].some(({ ControllerInfo }) => ControllerInfo?.SupportsAttachDetach),
    createIndex: draft.createIndex,
    modifyIndex: draft.modifyIndex,
    health: {
      Provider: first?.Provider ?? '',
      ControllerRequired: infos.some(({ RequiresControllerPlugin }) => RequiresControllerPlugin),
      ControllersHealthy: draft.controllersHealthy,
      ControllersExpected: draft.controllersExpected,
      NodesHealthy: draft.nodesHealthy,
      NodesExpected: draft.nodesExpected,
    },
  };
}

export function pluginStub({ id, health, providers, createIndex, modifyIndex }: PluginView): CsiPluginListStub {
  const mixed = providers.length > 1 ? { Providers: [...providers] } : {};
  return {
    ID: id,
    ...health,
    ...mixed,
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex,
    CreateTime: 0,
    ModifyTime: 0,
  };
}

export function pluginView(plugin: PluginView): CsiPlugin {
  return {
    ...pluginStub(plugin),
    Version: plugin.version,
    Controllers: Object.fromEntries(plugin.controllers),
    Nodes: Object.fromEntries(plugin.nodes),
    Allocations: plugin.allocs.map((alloc) => allocStub(alloc)),
  };
}

/** Why no volume of a plugin can be used at the moment; '' = it can. */
export function whyUnschedulable(id: string, plugin: PluginView | undefined): string {
  if (!plugin) return `plugin "${id}" is on no node: run its job, and it waits no more`;
  const { ControllerRequired, ControllersHealthy, NodesHealthy } = plugin.health;
  if (NodesHealthy === 0) return `no node has a healthy plugin "${id}"`;
  if (ControllerRequired && ControllersHealthy === 0) return `no controller of plugin "${id}" is healthy`;
  return '';
}
