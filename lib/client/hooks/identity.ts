import { join } from 'node:path';
import type { WorkloadIdentity } from '../../structs/job.js';
import type { SignedIdentity } from '../../structs/rpc-variable.js';
import type { CallOptions } from '../../transport/rpc.js';
import type { Millis } from '../../util/clock.js';
import { OFFLINE_MS } from '../context.js';
import { holdDir, insidePath, SandboxError, writeInside } from '../sandbox.js';
import { belowTask } from '../task-place.js';
import { sleep } from '../timers.js';
import { type HookContext, HookError, taskHook } from './hook.js';

const DEFAULT_NAME = 'default';
const ASK_TIMEOUT_MS: Millis = 10_000;
/** A token is renewed when this part of its time is left, and asked for again after that long when nobody answers. */
const RENEW_PART = 0.5;
const RETRY_MS: Millis = 30_000;

type Kept = Record<string, SignedIdentity>;

/** Tasks whose tokens are renewed already: once for all attempts of a task, which share this signal. */
const renewing = new WeakSet<AbortSignal>();

/** The identities of a task, as Nomad hands them out: `NOMAD_TOKEN[_NAME]` and files among its secrets. */
export const identityHook = taskHook('identity', {
  async prestart(context) {
    const wanted = exposed(context);
    if (wanted.length === 0) return;
    const signed = context.reattach ? kept(context) : await sign(context, wanted);
    for (const identity of wanted) {
      const token = signed[identity.Name];
      if (!token) continue;
      if (identity.Env) context.draft.values.env[envName(identity)] = token.JWT;
      if (identity.File && !context.reattach) await writeToken(context, identity, token.JWT);
    }
    if (renewing.has(context.signal)) return;
    renewing.add(context.signal);
    void renew(context, wanted);
  },
});

function exposed({ task }: HookContext): WorkloadIdentity[] {
  const all = [...(task.Identity ? [{ ...task.Identity, Name: DEFAULT_NAME }] : []), ...(task.Identities ?? [])];
  return all.filter(({ Env, File }) => Env || File);
}

const kept = ({ state }: HookContext): Kept => (state.get() ?? {}) as Kept;

/** Fresh tokens; without a server those of before, as long as they are good: a machine that is offline starts its work. */
async function sign(context: HookContext, wanted: readonly WorkloadIdentity[]): Promise<Kept> {
  const known = kept(context);
  const nowS = context.client.timers.now() / 1_000;
  const areGood = wanted.every(({ Name }) => {
    const token = known[Name];
    return token !== undefined && (token.Expiration === 0 || token.Expiration > nowS);
  });
  try {
    return await ask(context, wanted, areGood ? { linklessMs: OFFLINE_MS } : {});
  } catch (error) {
    if (areGood) return known;
    const why = error instanceof Error ? error.message : String(error);
    throw new HookError(`failed to get the task's identity: ${why}`, { recoverable: true, cause: error });
  }
}

async function ask(context: HookContext, wanted: readonly WorkloadIdentity[], call: CallOptions = {}): Promise<Kept> {
  const { client, alloc, task } = context;
  const { ID: NodeID, SecretID } = client.node();
  const Identities = wanted.map(({ Name }) => Name);
  const args = { NodeID, SecretID, AllocID: alloc.ID, Task: task.Name, Identities };
  const { Signed } = await client.rpc.call('Alloc.SignIdentities', args, {
    signal: context.signal,
    timeoutMs: ASK_TIMEOUT_MS,
    ...call,
  });
  context.state.put({ ...kept(context), ...Signed });
  return Signed;
}

/** Renews tokens that end, until the task does. Those in the environment can only be renewed by a restart: change_mode. */
async function renew(context: HookContext, wanted: readonly WorkloadIdentity[]): Promise<void> {
  const ending = wanted.filter(({ TTL }) => TTL > 0);
  if (ending.length === 0) return;
  const { timers } = context.client;
  let waitMs = untilRenewalMs(context, ending);
  while (await sleep(timers, waitMs, context.signal)) {
    try {
      const signed = await ask(context, ending);
      for (const identity of ending) {
        const token = signed[identity.Name];
        if (token && identity.File) await writeToken(context, identity, token.JWT);
        await tell(context, identity);
      }
      waitMs = untilRenewalMs(context, ending);
    } catch (error) {
      waitMs = RETRY_MS;
      const why = error instanceof Error ? error.message : String(error);
      context.log.warn('identity not renewed, will be tried again', { task: context.task.Name, why });
    }
  }
}

function untilRenewalMs(context: HookContext, ending: readonly WorkloadIdentity[]): Millis {
  const nowMs = context.client.timers.now();
  const known = kept(context);
  const lefts = ending.map(({ Name }) => (known[Name]?.Expiration ?? 0) * 1_000 - nowMs);
  return Math.max(1_000, RENEW_PART * Math.min(...lefts));
}

async function tell({ control }: HookContext, { Name, ChangeMode, ChangeSignal }: WorkloadIdentity): Promise<void> {
  if (ChangeMode === 'restart') await control.restart(`identity "${Name}" was renewed`);
  if (ChangeMode === 'signal') await control.signal(ChangeSignal || 'SIGHUP', `identity "${Name}" was renewed`);
}

const envName = ({ Name }: WorkloadIdentity): string =>
  Name === DEFAULT_NAME ? 'NOMAD_TOKEN' : `NOMAD_TOKEN_${Name.replace(/[^A-Za-z0-9_]/g, '_')}`;

/** Replaced in one step, so that no reader sees half a token; for the task's user alone, where that is known. A link of the task's leads nowhere. */
async function writeToken({ paths }: HookContext, identity: WorkloadIdentity, token: string): Promise<void> {
  const usual = identity.Name === DEFAULT_NAME ? 'nomad_token' : `nomad_${identity.Name}.jwt`;
  const path = identity.Filepath === '' ? join('secrets', usual) : identity.Filepath;
  try {
    const { parts } = insidePath(paths.taskDir, path);
    const { uid, gid, isOpen } = await ownerOfSecrets(paths);
    await writeInside(belowTask(paths, parts), token, { mode: isOpen ? 0o644 : 0o600, uid, gid });
  } catch (cause) {
    if (!(cause instanceof SandboxError)) throw cause;
    throw new HookError(`identity file "${path}" escapes the task's directory: ${cause.message}`, {
      recoverable: false,
      cause,
    });
  }
}

/** Whose the secrets are (only root can give files away), and whether they are open to whoever gets so far: its directory is shut. */
async function ownerOfSecrets(
  paths: HookContext['paths'],
): Promise<{ uid: number | null; gid: number | null; isOpen: boolean }> {
  const secrets = await holdDir(belowTask(paths, ['secrets']), null);
  try {
    const { uid, gid, mode } = await secrets.handle.stat();
    const isOpen = (mode & 0o007) === 0o007;
    return process.getuid?.() === 0 ? { uid, gid, isOpen } : { uid: null, gid: null, isOpen };
  } finally {
    await secrets.handle.close();
  }
}
