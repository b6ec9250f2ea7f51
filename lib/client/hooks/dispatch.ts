import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HookError, taskHook } from './hook.js';

/** The payload of a dispatched job, as the file in the task's local directory that dispatch_payload names. */
export const dispatchHook = taskHook('dispatch_payload', {
  async prestart({ job, task, paths }) {
    if (!task.DispatchPayload || !job.Payload) return;
    const file = join(paths.localDir, task.DispatchPayload.File);
    if (!file.startsWith(`${paths.localDir}/`)) {
      throw new HookError(`dispatch_payload file "${task.DispatchPayload.File}" escapes the task's directory`, {
        recoverable: false,
      });
    }
    try {
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, Buffer.from(job.Payload, 'base64'), { mode: 0o666 });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new HookError(`failed to write the dispatch payload: ${why}`, { recoverable: true, cause });
    }
  },
});
