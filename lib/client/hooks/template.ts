import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { interpolateText } from '../interpolate.js';
import { type InsidePath, readInside } from '../sandbox.js';
import { taskPlace } from '../task-place.js';
import { parseEnvFile } from '../template/env-file.js';
import { fileSource } from '../template/file-source.js';
import { serverSources } from '../template/server-sources.js';
import { type PlacedTemplate, TemplateSession } from '../template/session.js';
import type { TemplateSources } from '../template/source.js';
import { hasOwnRoot, taskValues } from './env.js';
import { type HookContext, HookError, type TaskControl, taskHook } from './hook.js';

/** Files that a template is read from, or reads. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;

/** The sessions of the tasks that live, by their handle: they outlast a task's restarts. */
const sessions = new WeakMap<TaskControl, TemplateSession>();

/** Templates: rendered before the start, kept rendered while the task runs, and told to it when they change. */
export const templateHook = taskHook('template', {
  async prestart(context) {
    if ((context.task.Templates ?? []).length === 0) return;
    try {
      await prepare(context);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new HookError(`template: ${why}`, { recoverable: isTemporary(cause), cause });
    }
  },
  async poststart({ control }) {
    await sessions.get(control)?.runFirstScripts();
  },
  async stop({ control }) {
    sessions.get(control)?.close();
    sessions.delete(control);
  },
});

async function prepare(context: HookContext): Promise<void> {
  const session = usable(context) ?? (await begin(context));
  if (context.reattach) {
    await readEnv(context, session);
  } else {
    await session.rendered();
  }
  for (const [index, { block }] of session.placed.entries()) {
    if (block.Envvars) addEnv(context, session.envTexts.get(index) ?? '', index);
  }
}

/** The session of the task's last start, unless it is over or its texts are to be made anew. */
function usable({ control, task, reattach }: HookContext): TemplateSession | null {
  const session = sessions.get(control);
  if (!session || reattach) return null;
  const whole = session.placed.every(({ block }, index) => !block.Envvars || session.envTexts.has(index));
  if (!session.isClosed && whole && !task.RestartPolicy?.RenderTemplates) return session;
  session.close();
  return null;
}

async function begin(context: HookContext): Promise<TemplateSession> {
  sessions.get(context.control)?.close();
  const values = taskValues(context);
  const place = (path: string): InsidePath => placeOf(interpolateText(path, values), context);
  const placed: PlacedTemplate[] = [];
  for (const block of context.task.Templates ?? []) {
    const source = block.SourcePath === '' ? block.EmbeddedTmpl : await readText(place(block.SourcePath), context);
    if (source === null) throw new Error(`the source ${block.SourcePath} does not exist`);
    placed.push({ block, source, destination: place(block.DestPath) });
  }
  const session = new TemplateSession(context, { placed, values, sources: sourcesOf(context) });
  sessions.set(context.control, session);
  return session;
}

function sourcesOf(context: HookContext): TemplateSources {
  const read = async (path: string): Promise<string | null> => await readText(placeOf(path, context), context);
  return { ...serverSources(context), file: fileSource(read, context.client.timers) };
}

/** Without the sandbox an absolute path is one of the host. */
function placeOf(path: string, context: HookContext): InsidePath {
  const { config, paths } = context;
  if (config.template.fileSandbox) return taskPlace(path, { paths, ownRoot: hasOwnRoot(context) });
  const full = isAbsolute(path) ? path : join(paths.taskDir, path);
  return { root: '/', parts: full.split('/').filter((part) => part !== '') };
}

async function readText(place: InsidePath, { config }: HookContext): Promise<string | null> {
  if (config.template.fileSandbox) return (await readInside(place, FILE_BYTES_MAX))?.toString('utf8') ?? null;
  return await readFile(join(place.root, ...place.parts), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}

/** What a running task was started with, as far as it is still there. */
async function readEnv(context: HookContext, session: TemplateSession): Promise<void> {
  for (const [index, { block, destination }] of session.placed.entries()) {
    if (!block.Envvars) continue;
    const text = await readText(destination, context).catch(() => null);
    if (text !== null) session.envTexts.set(index, text);
  }
}

function addEnv(context: HookContext, text: string, index: number): void {
  const parsed = parseEnvFile(text);
  if (!parsed.ok) throw new Error(`template ${index + 1} with env = true: ${parsed.error}`);
  // What hooks before have put there (a device that was reserved) stands over it.
  context.draft.values.env = { ...parsed.value, ...context.draft.values.env };
}

/** What the disk refused may be different at the next attempt; a bad template will not be. */
function isTemporary(cause: unknown): boolean {
  const code = (cause as NodeJS.ErrnoException | null)?.code;
  return code === 'ENOSPC' || code === 'EIO' || code === 'EMFILE' || code === 'EDQUOT';
}
