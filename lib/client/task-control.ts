import type { ExecOutput } from '../structs/rpc.js';
import type { TaskControl } from './hooks/hook.js';
import { taskEvents } from './task-events.js';
import type { TaskRunner } from './task-runner.js';

/** How much of a command's output is kept: its end. */
const OUTPUT_MAX_CHARS = 4_096;

/** What the hooks of a task may do to it. */
export function taskControl(runner: TaskRunner): TaskControl {
  return {
    async restart(reason) {
      if (runner.isRunning) await runner.restart(reason);
    },
    async signal(name, reason) {
      if (runner.isRunning) await runner.signal(name, reason);
    },
    fail: (reason) => runner.kill({ noShutdownDelay: true, failed: true, event: taskEvents.killedByHook(reason) }),
    exec: (command, timeoutMs) => run(runner, command, timeoutMs),
    tell: (message, type) => runner.tell(type ? taskEvents.told(message, type) : taskEvents.driver(message, {})),
  };
}

/** Runs a command inside the task to its end; throws what the driver throws, and when the time is over. */
function run(
  runner: TaskRunner,
  command: readonly string[],
  timeoutMs: number,
): Promise<{ exitCode: number; output: string }> {
  const stream = runner.exec({ command: [...command], tty: false });
  return new Promise((resolve, reject) => {
    let output = '';
    let exitCode: number | null = null;
    const timer = setTimeout(() => {
      stream.destroy(new Error(`the command did not end within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    stream.on('data', (said: ExecOutput) => {
      if (said.Type === 'exited') exitCode = said.ExitCode;
      if (said.Type === 'stdout' || said.Type === 'stderr')
        output = (output + Buffer.from(said.Data).toString('utf8')).slice(-OUTPUT_MAX_CHARS);
    });
    stream.once('error', reject);
    const over = (): void => {
      clearTimeout(timer);
      if (exitCode === null) reject(new Error('the command ended without an exit code'));
      else resolve({ exitCode, output });
      stream.destroy();
    };
    // All is said at the end; the stream closes only when both sides have ended it, and this one keeps its own open.
    stream.once('end', over);
    stream.once('close', over);
    stream.write({ Type: 'stdin-close' });
  });
}
