import { type HookContext, HookError, taskHook } from './hook.js';

/** Templates: rendered before the start, kept rendered while the task runs, and told to it when they change. */
export const templateHook = taskHook('template', {
  async prestart(context) {
    if (!hasTemplates(context)) return;
    try {
      const { prepareTemplates } = await work();
      await prepareTemplates(context);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new HookError(`template: ${why}`, { recoverable: isTemporary(cause), cause });
    }
  },
  async poststart(context) {
    if (hasTemplates(context)) await (await work()).runFirstScripts(context.control);
  },
  async stop(context) {
    if (hasTemplates(context)) (await work()).endTemplates(context.control);
  },
});

/** Loaded with the first task that has templates: it is a fifth of the client. */
const work = (): Promise<typeof import('../template/task-templates.js')> => import('../template/task-templates.js');

function hasTemplates({ task }: HookContext): boolean {
  return (task.Templates ?? []).length > 0;
}

/** What the disk refused may be different at the next attempt; a bad template will not be. */
function isTemporary(cause: unknown): boolean {
  const code = (cause as NodeJS.ErrnoException | null)?.code;
  return code === 'ENOSPC' || code === 'EIO' || code === 'EMFILE' || code === 'EDQUOT';
}
