import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../../plugin/sdk/remove-tree.js';
import type { TaskArtifact } from '../../structs/job.js';
import { formatBytes } from '../../util/byte-size.js';
import { ArtifactError } from '../artifact/failure.js';
import type { FetchOptions } from '../artifact/fetch.js';
import { type Interpolation, interpolateValue } from '../interpolate.js';
import type { InsidePath } from '../sandbox.js';
import { taskPlace } from '../task-place.js';
import { findOwner } from './dir.js';
import { hasOwnRoot, taskValues } from './env.js';
import { type HookContext, HookError, taskHook } from './hook.js';

/** How often a long download is told of. */
const PROGRESS_MS = 10_000;

/** Artifacts: fetched once in an allocation's life, one after the other, before the task starts. */
export const artifactHook = taskHook('artifact', {
  async prestart(context) {
    const artifacts = context.task.Artifacts ?? [];
    // A task that runs has them.
    if (artifacts.length === 0 || context.reattach) return;
    const done = new Set((context.state.get() as string[] | null) ?? []);
    const values = taskValues(context);
    const wanted = artifacts
      .map((artifact) => interpolateValue(artifact, values))
      .filter((one) => !done.has(keyOf(one)));
    if (wanted.length === 0) return;
    await removeRests(context);
    context.control.tell('Client is downloading artifacts', 'Downloading Artifacts');
    for (const artifact of wanted) {
      await fetchOne(artifact, context, values);
      context.state.put([...done.add(keyOf(artifact))]);
    }
  },
});

async function fetchOne(artifact: TaskArtifact, context: HookContext, values: Interpolation): Promise<void> {
  try {
    const { fetchArtifact } = await import('../artifact/fetch.js');
    const { client, config, signal, paths } = context;
    const owner = artifact.Chown ? await ownerOf(context, values) : null;
    await fetchArtifact(artifact, {
      config: config.artifact,
      scratch: join(paths.privateDir, SCRATCH),
      destination: destinationOf(artifact, context),
      owner,
      signal,
      now: () => client.timers.now(),
      progress: teller(context),
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const recoverable = cause instanceof ArtifactError && cause.recoverable;
    throw new HookError(why, { recoverable, download: true, cause });
  }
}

/** The user that the task runs as, where the host knows it. */
async function ownerOf({ draft, driver }: HookContext, values: Interpolation): Promise<ReturnType<typeof findOwner>> {
  const user = interpolateValue(draft.user, values) || (driver.capabilities.defaultUser ?? '');
  return findOwner(user, await readFile('/etc/passwd', 'utf8').catch(() => ''));
}

const SCRATCH = '.artifacts';

function destinationOf({ RelativeDest }: TaskArtifact, context: HookContext): InsidePath {
  return taskPlace(RelativeDest || 'local/', { paths: context.paths, ownRoot: hasOwnRoot(context) });
}

/** Tells of what takes long now and then. */
function teller({ client, control }: HookContext): FetchOptions['progress'] {
  let toldMs = client.timers.now();
  return (act, done, total) => {
    const nowMs = client.timers.now();
    if (nowMs - toldMs < PROGRESS_MS) return;
    toldMs = nowMs;
    const part = total ? `${Math.floor((100 * done) / total)} % of ${formatBytes(total)}` : formatBytes(done);
    control.tell(`${act} artifacts: ${part}`, 'Downloading Artifacts');
  };
}

/** What an agent left that ended in the middle of a download. */
async function removeRests({ paths }: HookContext): Promise<void> {
  const scratch = join(paths.privateDir, SCRATCH);
  for (const name of await readdir(scratch).catch(() => [])) await removeTree(join(scratch, name));
}

/** What tells one artifact from another: another source in the same place is fetched too. The state holds no secrets. */
function keyOf(artifact: TaskArtifact): string {
  return createHash('sha256').update(JSON.stringify(artifact)).digest('base64');
}
