import type { CsiInfo } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import type { Log } from '../../util/log.js';
import type { Timers } from '../timers.js';
import { CsiInstance, type CsiInstanceSpec } from './instance.js';
import type { CsiFacts } from './probe.js';
import type { CsiRpc } from './rpc.js';

/** A plugin that can be called now. */
export interface ReadyPlugin {
  pluginId: string;
  rpc: CsiRpc;
  facts: CsiFacts;
  baseInside: string;
}

/** The CSI plugins that run on this machine. */
export class CsiPlugins {
  private readonly instances = new Map<string, CsiInstance>();
  private readonly options: { timers: Timers; log: Log; onChange: () => void };
  /** Those who wait for any plugin to change. */
  private readonly waiting = new Set<() => void>();

  constructor(options: { timers: Timers; log: Log; onChange: () => void }) {
    this.options = options;
  }

  /** Begins to watch a process under `key`, unless it is watched already. */
  open(key: string, spec: CsiInstanceSpec): void {
    if (this.instances.has(key)) return;
    const instance = new CsiInstance(spec, { ...this.options, onChange: () => this.changed() });
    this.instances.set(key, instance);
    void instance.watch();
  }

  /** The process has ended. */
  close(key: string): void {
    const instance = this.instances.get(key);
    if (!instance) return;
    instance.close();
    this.instances.delete(key);
    this.changed();
  }

  closeAll(): void {
    for (const instance of this.instances.values()) instance.close();
    this.instances.clear();
  }

  /** Whether the process under `key` is healthy. */
  isHealthy(key: string): boolean {
    return this.instances.get(key)?.isHealthy === true;
  }

  /** Why the process under `key` is not. */
  whyOf(key: string): string {
    return this.instances.get(key)?.why ?? 'it does not run';
  }

  /**
   * A healthy process of the plugin with that part. Throws MeshError E_NOT_FOUND, or E_CONFLICT for one that is not healthy, and for a
   * controller: servers ask where they know one, and an agent that has just begun has not found it yet.
   */
  async find(pluginId: string, part: 'controller' | 'node'): Promise<ReadyPlugin> {
    const mine = [...this.instances.values()].filter(
      ({ spec, facts }) => spec.pluginId === pluginId && isPart(spec.type, part) && (!facts || facts[part] !== null),
    );
    const healthy = mine.find(({ isHealthy }) => isHealthy);
    if (healthy?.facts) {
      const { spec, facts } = healthy;
      return { pluginId, rpc: await healthy.rpc, facts, baseInside: spec.baseInside };
    }
    if (mine.length === 0) {
      const code = part === 'controller' ? 'E_CONFLICT' : 'E_NOT_FOUND';
      throw new MeshError(code, `CSI plugin "${pluginId}" does not run on this node as a ${part}`);
    }
    const why = mine.map((instance) => instance.why || 'it has not answered yet').join('; ');
    throw new MeshError('E_CONFLICT', `CSI plugin "${pluginId}" is not healthy on this node: ${why}`);
  }

  /** Settles at the next change of any plugin here, or when `signal` is aborted. */
  change(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.waiting.add(done);
      signal.addEventListener('abort', done);
    });
  }

  /** As the node tells the servers, by plugin; a healthy process goes before one that is not. Null: none. */
  infos(part: 'controller' | 'node'): Record<string, CsiInfo> | null {
    const infos: Record<string, CsiInfo> = {};
    for (const instance of this.instances.values()) {
      const info = instance.info(part);
      if (info && !infos[info.PluginID]?.Healthy) infos[info.PluginID] = info;
    }
    return Object.keys(infos).length > 0 ? infos : null;
  }

  private changed(): void {
    for (const done of [...this.waiting]) done();
    this.options.onChange();
  }
}

function isPart(type: CsiInstanceSpec['type'], part: 'controller' | 'node'): boolean {
  return type === 'monolith' || type === part;
}
