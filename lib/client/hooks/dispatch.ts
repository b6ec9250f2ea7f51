import { insidePath, SandboxError, writeInside } from '../sandbox.js';
import { belowTask } from '../task-place.js';
import { HookError, taskHook } from './hook.js';

/** The payload of a dispatched job, as the file in the task's local directory that dispatch_payload names. */
export const dispatchHook = taskHook('dispatch_payload', {
  async prestart({ job, task, paths }) {
    if (!task.DispatchPayload || !job.Payload) return;
    try {
      // The task may have put a link in its place since the last start.
      const { parts } = insidePath(paths.localDir, task.DispatchPayload.File);
      const place = belowTask(paths, ['local', ...parts]);
      await writeInside(place, Buffer.from(job.Payload, 'base64'), { mode: 0o666, uid: null, gid: null });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const recoverable = !(cause instanceof SandboxError);
      throw new HookError(`failed to write the dispatch payload: ${why}`, { recoverable, cause });
    }
  },
});
