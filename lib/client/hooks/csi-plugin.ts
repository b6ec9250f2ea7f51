import { chmod, mkdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { toMillis } from '../../util/clock.js';
import { nodeBase, socketDir } from '../csi/paths.js';
import { sleep } from '../timers.js';
import { type HookContext, HookError, taskHook } from './hook.js';

const SOCKET = 'csi.sock';

/**
 * A task that is a CSI plugin: gets a directory for its socket and, if it mounts volumes, one to mount them in that the host
 * sees too; then it is watched until it ends. One that is not healthy within its `health_timeout` is ended as failed.
 */
export const csiPluginHook = taskHook('csi_plugin', {
  async prestart(context) {
    const plugin = context.task.CSIPluginConfig;
    if (!plugin) return;
    const { client, driver, draft } = context;
    const { socket, base } = places(context);
    await mkdir(dirname(socket), { recursive: true, mode: 0o700 });
    await mkdir(base, { recursive: true, mode: 0o711 });
    // Paths of volumes are found by whoever may traverse; what is in them has rights of its own.
    for (const dir of [client.csi.csiDir, join(client.csi.csiDir, 'node'), base]) await chmod(dir, 0o711);
    const hasRoot = driver.capabilities.fsIsolation !== 'none';
    const inside = hasRoot ? join(plugin.MountDir, SOCKET) : socket;
    draft.values.env['CSI_ENDPOINT'] = `unix://${inside}`;
    if (hasRoot) {
      const mount = { readOnly: false, propagation: 'private' as const };
      draft.mounts.push({ hostPath: dirname(socket), taskPath: plugin.MountDir, ...mount });
      if (plugin.Type !== 'controller') await offerBase(context, base, plugin.StagePublishBaseDir);
    }
    if (context.reattach) watch(context);
  },
  async poststart(context) {
    if (!context.task.CSIPluginConfig) return;
    watch(context);
    void failUnlessHealthy(context);
  },
  async exited(context) {
    if (!context.task.CSIPluginConfig) return;
    context.client.csi.plugins.close(keyOf(context));
  },
  async stop(context) {
    const { alloc, task, client } = context;
    if (!task.CSIPluginConfig) return;
    const { socket, base } = places(context);
    const { csi } = client;
    const pluginId = task.CSIPluginConfig.ID;
    csi.plugins.close(keyOf(context));
    await rm(socket, { force: true });
    await rmdir(dirname(socket)).catch(() => {});
    await csi.bases.letGo(base, () => csi.isOnNode(pluginId, { allocId: alloc.ID, task: task.Name }));
  },
});

function keyOf({ alloc, task }: HookContext): string {
  return `${alloc.ID}/${task.Name}`;
}

function places({ alloc, task, client }: HookContext): { socket: string; base: string } {
  const { csiDir } = client.csi;
  return {
    socket: join(socketDir(csiDir, alloc.ID, task.Name), SOCKET),
    base: nodeBase(csiDir, task.CSIPluginConfig?.ID ?? ''),
  };
}

function watch(context: HookContext): void {
  const { client, task, alloc, driver } = context;
  const plugin = task.CSIPluginConfig;
  if (!plugin) return;
  const { socket, base } = places(context);
  const baseInside = driver.capabilities.fsIsolation === 'none' ? base : plugin.StagePublishBaseDir;
  const spec = { pluginId: plugin.ID, type: plugin.Type, allocId: alloc.ID, socket, baseInside };
  client.csi.plugins.open(keyOf(context), spec);
}

async function failUnlessHealthy(context: HookContext): Promise<void> {
  const { client, task, signal, control } = context;
  const { timers, csi } = client;
  const key = keyOf(context);
  const untilMs = timers.now() + toMillis(task.CSIPluginConfig?.HealthTimeout ?? 0);
  while (!csi.plugins.isHealthy(key)) {
    const changed = new AbortController();
    void csi.plugins.change(signal).then(() => changed.abort());
    const leftMs = untilMs - timers.now();
    if (leftMs > 0) await sleep(timers, leftMs, signal, changed.signal);
    if (signal.aborted) return;
    if (timers.now() < untilMs) continue;
    const why = csi.plugins.whyOf(key);
    await control.fail(`CSI plugin "${task.CSIPluginConfig?.ID}" did not become healthy in time: ${why}`);
    return;
  }
  control.tell(`CSI plugin "${task.CSIPluginConfig?.ID}" is healthy`);
}

/** What a plugin with a root of its own mounts must be seen by the host. */
async function offerBase({ client, draft, reattach }: HookContext, base: string, taskPath: string): Promise<void> {
  try {
    if (!reattach) await client.csi.bases.offer(base);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HookError(`${base} cannot be shared with the plugin: ${why}`, { recoverable: true, cause });
  }
  draft.mounts.push({ hostPath: base, taskPath, readOnly: false, propagation: 'bidirectional' });
  draft.mounts.push({ hostPath: '/dev', taskPath: '/dev', readOnly: false, propagation: 'private' });
}
