import type { CsiAccessMode, CsiAttachmentMode } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import type { CsiClaimReply } from '../../structs/rpc-volume.js';
import { type VolumeRequest, volumeSource } from '../../structs/volume.js';
import { backoffMs } from '../../util/backoff.js';
import type { Millis } from '../../util/clock.js';
import { toCsiCapability } from '../csi/capability.js';
import { mayPass } from '../csi/errors.js';
import { CSI_HOOK, type CsiRecord, type CsiRecords } from '../csi/record.js';
import { sleep } from '../timers.js';
import { CsiLookout } from './csi-lookout.js';
import { type AllocHookContext, allocHook } from './hook.js';

const CLAIM_TIMEOUT_MS: Millis = 150_000;
/** A server that holds the question answers the moment the volume is free. */
const CLAIM_WAIT_MS: Millis = 20_000;
const RETRY = { baseMs: 1_000, maxMs: 60_000 };
/** Who is asked and says nothing is told of after this time. */
const TELL_SILENCE_MS: Millis = 3_000;
/** A plugin that fails again and again will hardly succeed: the allocation may fare better elsewhere. */
const MOUNT_ATTEMPTS_MAX = 8;
/** So long the end of an allocation waits for the release of its volumes; what takes longer goes on behind it. */
const RELEASE_PATIENCE_MS: Millis = 30_000;

/**
 * The CSI volumes of a group: claim at the servers (whose controller attaches), stage, publish; afterwards all of it backwards.
 * Each step is on record before it is taken (csi/record.ts).
 */
export const csiHook = allocHook(CSI_HOOK, {
  async prerun(context) {
    for (const [name, request] of csiRequests(context)) {
      const known = recordsIn(context)[name];
      if (context.reattach && known?.step === 'mounted') await showMounted(context, name, request, known);
      else await bring(context, name, request);
    }
    lookout.attend(context);
  },
  serve: (client, signal) => lookout.serve(client, signal),
  async postrun(context) {
    lookout.leave(context);
    const { client, log } = context;
    const untilMs = client.timers.now() + RELEASE_PATIENCE_MS;
    for (const name of Object.keys(recordsIn(context))) {
      for (let attempt = 0; recordsIn(context)[name]; attempt++) {
        const why = await release(context, name);
        if (why === null) break;
        if (client.timers.now() >= untilMs) {
          log.warn('volume is not released yet, it will be tried again', {
            alloc: context.alloc.ID,
            volume: name,
            why,
          });
          void releaseLater(context, name);
          break;
        }
        await sleep(client.timers, backoffMs({ attempt, ...RETRY, maxMs: 5_000, random: client.random }));
      }
    }
  },
  async destroy(context) {
    for (const [name, record] of Object.entries(recordsIn(context))) {
      if ((await release(context, name)) === null) continue;
      await context.client.csi.releases.adopt({ allocId: context.alloc.ID, record });
    }
  },
});

const lookout = new CsiLookout(async (context, name) => {
  const request = context.group.Volumes?.[name];
  if (request) await bring(context, name, request);
});

function csiRequests({ group }: AllocHookContext): [string, VolumeRequest][] {
  return Object.entries(group.Volumes ?? {}).filter(([, { Type }]) => Type === 'csi');
}

function recordsIn({ state }: AllocHookContext): CsiRecords {
  return (state.get() ?? {}) as CsiRecords;
}

function put({ state }: AllocHookContext, name: string, record: CsiRecord | null): void {
  const { [name]: _, ...others } = (state.get() ?? {}) as CsiRecords;
  const next = record ? { ...others, [name]: record } : others;
  state.put(Object.keys(next).length > 0 ? next : null);
}

/** Tells the tasks where the volume is. */
function show(context: AllocHookContext, name: string, { ReadOnly, AttachmentMode }: VolumeRequest): void {
  const record = recordsIn(context)[name];
  if (!record) return;
  const hostPath = context.client.csi.mounts.targetOf({ ...record, allocId: context.alloc.ID });
  const kind = AttachmentMode === 'block-device' ? 'block' : 'directory';
  context.shared.volumes = { ...context.shared.volumes, [name]: { hostPath, readOnly: ReadOnly, kind } };
}

/**
 * The volume of an allocation that was there before this agent was. After a restart of the machine nothing is mounted any more:
 * what would begin again then would write into an empty directory, so it is prepared anew like one that comes first.
 */
async function showMounted(
  context: AllocHookContext,
  name: string,
  request: VolumeRequest,
  known: CsiRecord,
): Promise<void> {
  const { mounts } = context.client.csi;
  if (known.isMount && !(await mounts.isMounted({ ...known, allocId: context.alloc.ID })))
    throw new Error(`volume "${known.volumeId}" is not mounted any more`);
  show(context, name, request);
}

/** Claims and mounts one volume. */
async function bring(context: AllocHookContext, name: string, request: VolumeRequest): Promise<void> {
  const { alloc } = context;
  const usage = {
    namespace: alloc.Namespace,
    volumeId: volumeSource(request, alloc.Name),
    readOnly: request.ReadOnly,
    attachmentMode: request.AttachmentMode as CsiAttachmentMode,
    accessMode: request.AccessMode as CsiAccessMode,
  };
  const mode = request.ReadOnly ? 'read' : 'write';
  const known = recordsIn(context)[name];
  // What may be mounted stays on record: a crash during this claim must not hide it.
  if (!known) put(context, name, { ...usage, mode, step: 'claiming', pluginId: '', externalId: '', fence: 0 });
  const { Volume, PublishContext, Fence } = await claim(context, usage, mode);
  const record: CsiRecord = {
    ...usage,
    mode,
    step: 'mounting',
    pluginId: Volume.PluginID,
    externalId: Volume.ExternalID,
    fence: Fence,
  };
  put(context, name, record);
  const options = request.MountOptions ?? Volume.MountOptions;
  const place = { ...record, allocId: alloc.ID };
  await mount(context, {
    ...place,
    capability: toCsiCapability({ AccessMode: usage.accessMode, AttachmentMode: usage.attachmentMode }, options),
    publishContext: PublishContext,
    volumeContext: Volume.Context ?? {},
    secrets: Volume.Secrets ?? {},
  });
  const isMount = await context.client.csi.mounts.isMounted(place);
  put(context, name, { ...record, step: 'mounted', isMount });
  show(context, name, request);
}

/** Asks until the claim is granted or refused for good. */
async function claim(
  context: AllocHookContext,
  usage: Pick<CsiRecord, 'namespace' | 'volumeId' | 'accessMode' | 'attachmentMode'>,
  mode: CsiRecord['mode'],
): Promise<CsiClaimReply> {
  const { client, alloc, signal } = context;
  const { ID: NodeID, SecretID } = client.node();
  let asked = 0;
  const slow = `Waiting for volume "${usage.volumeId}": the servers have not answered yet, who have its controller attach it`;
  return patiently(context, `volume "${usage.volumeId}"`, { maxMs: 3_000 }, async () => {
    const askedMs = client.timers.now();
    const answer = client.rpc.call(
      'CSIVolume.Claim',
      {
        NodeID,
        SecretID,
        Namespace: usage.namespace,
        VolumeID: usage.volumeId,
        AllocationID: alloc.ID,
        Mode: mode,
        AccessMode: usage.accessMode,
        AttachmentMode: usage.attachmentMode,
        // Asked for the first time, who is in the way is told at once; later the servers answer as soon as nobody is.
        WaitMs: asked++ === 0 ? 0 : CLAIM_WAIT_MS,
      },
      { timeoutMs: CLAIM_TIMEOUT_MS, signal },
    );
    // Asked again, who is in the way was told, and the answer comes when nobody is.
    const reply = await (asked === 1 ? orTell(context, slow, answer) : answer);
    // What is granted is a lease, from the question on. An answer that took as long as that may be about what others have now.
    client.lease.renewed(askedMs, client.timers.now());
    if (client.lease.covers(askedMs, client.timers.now())) return reply;
    throw new MeshError('E_CONFLICT', `the answer to the claim on volume "${usage.volumeId}" came too late`);
  });
}

/** Waits for the plugin, however long it takes, then mounts. */
async function mount(
  context: AllocHookContext,
  order: Parameters<AllocHookContext['client']['csi']['mounts']['mount']>[0],
): Promise<void> {
  const { csi } = context.client;
  const isReady = (): Promise<string | null> =>
    csi.plugins.find(order.pluginId, 'node').then(
      () => null,
      (error: Error) => error.message,
    );
  const attempt = async (): Promise<void> => {
    let told = '';
    for (let why = await isReady(); why !== null; why = await isReady()) {
      if (why !== told) context.tell(`Waiting for the plugin of volume "${order.volumeId}": ${why}`);
      told = why;
      await csi.plugins.change(context.signal);
      if (context.signal.aborted) throw new Error(`the allocation ended before volume "${order.volumeId}" was mounted`);
    }
    const slow = `Waiting for plugin "${order.pluginId}" to mount volume "${order.volumeId}": it has not answered yet`;
    await orTell(context, slow, csi.mounts.mount(order, context.signal));
  };
  await patiently(context, `mounting volume "${order.volumeId}"`, { attemptsMax: MOUNT_ATTEMPTS_MAX }, attempt);
}

/** Says what is waited for when it takes long. */
async function orTell<T>({ client, tell }: AllocHookContext, what: string, work: Promise<T>): Promise<T> {
  const cancel = client.timers.after(TELL_SILENCE_MS, () => tell(what));
  try {
    return await work;
  } finally {
    cancel();
  }
}

/** Tries again what may pass, telling each new reason once. */
async function patiently<T>(
  { client, signal, tell }: AllocHookContext,
  what: string,
  { attemptsMax = Number.POSITIVE_INFINITY, maxMs = RETRY.maxMs }: { attemptsMax?: number; maxMs?: Millis },
  work: () => Promise<T>,
): Promise<T> {
  let told = '';
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (signal.aborted || attempt + 1 >= attemptsMax || !mayPass(error)) throw new Error(`${what}: ${why}`);
      if (why !== told) tell(`Waiting for ${what}: ${why}`);
      told = why;
      await sleep(client.timers, backoffMs({ attempt, ...RETRY, maxMs, random: client.random }), signal);
      if (signal.aborted) throw new Error(`${what}: ${why}`);
    }
  }
}

/** One attempt to unmount and tell the servers; gives why it failed, null when it is done. */
async function release(context: AllocHookContext, name: string): Promise<string | null> {
  const { csi } = context.client;
  const allocId = context.alloc.ID;
  try {
    const record = recordsIn(context)[name];
    if (!record) return null;
    await csi.unmount(allocId, record, (next) => put(context, name, next));
    await csi.unpublish(allocId, record);
    put(context, name, null);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Goes on in the background while the allocation is known here; what a restart of the agent ends, the next postrun resumes. */
async function releaseLater(context: AllocHookContext, name: string): Promise<void> {
  const { client } = context;
  for (let attempt = 5; client.db.allocs.has(context.alloc.ID); attempt++) {
    await sleep(client.timers, backoffMs({ attempt, ...RETRY, random: client.random }), client.csi.releases.ending);
    if (client.csi.releases.ending.aborted || (await release(context, name)) === null) return;
  }
}
