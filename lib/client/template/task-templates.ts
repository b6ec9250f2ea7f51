import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { hasOwnRoot, taskValues } from '../hooks/env.js';
import type { HookContext, TaskControl } from '../hooks/hook.js';
import { interpolateText } from '../interpolate.js';
import { type InsidePath, readInside } from '../sandbox.js';
import { readablePlace, taskPlace } from '../task-place.js';
import { parseEnvFile } from './env-file.js';
import { fileSource } from './file-source.js';
import { serverSources } from './server-sources.js';
import { type PlacedTemplate, TemplateSession } from './session.js';
import type { TemplateSources } from './source.js';

/** Files that a template is read from, or reads. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;

/** The sessions of the tasks that live, by their handle: they outlast a task's restarts. */
const sessions = new WeakMap<TaskControl, TemplateSession>();

/** Renders the templates of a task, or with `reattach` reads what they were rendered to. Throws Error, or what the disk said. */
export async function prepareTemplates(context: HookContext): Promise<void> {
  const session = (await usable(context)) ?? (await begin(context));
  if (context.reattach) {
    await readEnv(context, session);
  } else {
    await session.rendered();
  }
  for (const [index, { block }] of session.placed.entries()) {
    if (block.Envvars) addEnv(context, session.envTexts.get(index) ?? '', index);
  }
}

/** The session of the task's last start, unless it is over, its texts are to be made anew, or its files have gone. */
async function usable({ control, task, reattach }: HookContext): Promise<TemplateSession | null> {
  const session = sessions.get(control);
  if (!session || reattach) return null;
  const whole = session.placed.every(({ block }, index) => !block.Envvars || session.envTexts.has(index));
  const stays = !session.isClosed && whole && !task.RestartPolicy?.RenderTemplates;
  if (stays && (await session.isWhole().catch(() => false))) return session;
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
  const read = async (path: string): Promise<string | null> =>
    await readText(placeOf(path, context, readablePlace), context);
  return { ...serverSources(context), file: fileSource(read, context.client.timers) };
}

/** Without the sandbox an absolute path is one of the host. */
function placeOf(path: string, context: HookContext, inside = taskPlace): InsidePath {
  const { config, paths } = context;
  if (config.template.fileSandbox) return inside(path, { paths, ownRoot: hasOwnRoot(context) });
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

/** Runs the scripts of a task's templates that were to run at its start. */
export async function runFirstScripts(control: TaskControl): Promise<void> {
  await sessions.get(control)?.runFirstScripts();
}

/** Ends the templates of a task. */
export function endTemplates(control: TaskControl): void {
  sessions.get(control)?.close();
  sessions.delete(control);
}
