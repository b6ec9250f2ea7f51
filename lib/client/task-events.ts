import type { TaskEvent } from '../structs/allocation.js';
import { CLIENT_DISCONNECTED } from '../structs/separation.js';
import { RUN_LIMIT_EVENT } from '../structs/stopped.js';
import { type Millis, type Nanos, toNanos } from '../util/clock.js';
import { formatDuration } from '../util/duration.js';
import { REASON_WITHIN_POLICY } from './restart-tracker.js';

// The story of a task in Nomad's words: its users, scripts and CLI know the types and the display messages.

/** Newest events kept per task. */
export const TASK_EVENTS_MAX = 10;

/** Percentages and sizes: what moves in a message of progress. */
const QUANTITY = /\b\d+(?:\.\d+)? (?:%|B\b|[KMGT]iB\b)/g;

/** Whether an event only tells of the one before it how far that has come. */
export function goesOn(last: TaskEvent, next: TaskEvent): boolean {
  const [before, after] = [last.DisplayMessage, next.DisplayMessage].map((text) => text.replace(QUANTITY, ''));
  return last.Type === next.Type && before === after && after !== next.DisplayMessage;
}

/** What hooks tell of: progress of downloads, templates that wait, and what their scripts did. */
export type HookEventType = 'Downloading Artifacts' | 'Template' | 'Task hook message' | 'Task hook failed';

/** Builds an event of a type from the fields that matter to it. */
function event(
  type: string,
  displayMessage: string,
  details: Record<string, string | number | boolean>,
  fields: Partial<TaskEvent> = {},
): (atMs: Millis) => TaskEvent {
  const text = Object.fromEntries(Object.entries(details).map(([key, value]) => [key, String(value)]));
  return (atMs) => ({
    Type: type,
    Time: toNanos(atMs),
    Message: '',
    DisplayMessage: displayMessage,
    Details: text,
    FailsTask: false,
    RestartReason: '',
    SetupError: '',
    DriverError: '',
    DriverMessage: '',
    ExitCode: 0,
    Signal: 0,
    KillTimeout: 0,
    KillError: '',
    KillReason: '',
    StartDelay: 0,
    DownloadError: '',
    ValidationError: '',
    DiskLimit: 0,
    FailedSibling: '',
    VaultError: '',
    TaskSignalReason: '',
    TaskSignal: '',
    GenericSource: '',
    ...fields,
  });
}

/** An event that lacks only its time. */
export type TimelessEvent = (atMs: Millis) => TaskEvent;

export const taskEvents = {
  received: (): TimelessEvent => event('Received', 'Task received by client', {}),
  setup: (message: string): TimelessEvent => event('Task Setup', message, { message }, { Message: message }),
  driver: (message: string, annotations: Record<string, string>): TimelessEvent =>
    event('Driver', message, { ...annotations, driver_message: message }, { DriverMessage: message }),
  /** The group has written more than its `ephemeral_disk`. */
  diskExceeded: (usedMb: number, limitMb: number): TimelessEvent => {
    const text = `Its group uses ${usedMb} MB of disk, and asked for ${limitMb} MB (ephemeral_disk)`;
    return event('Disk Resources Exceeded', text, { disk_limit: limitMb }, { DiskLimit: limitMb });
  },
  /** Told by a hook of the task; the types are Nomad's. */
  told: (message: string, type: HookEventType): TimelessEvent =>
    event(type, message, { message }, { Message: message }),
  downloadFailed: (error: string, fatal: boolean): TimelessEvent =>
    event('Failed Artifact Download', error, { download_error: error }, { DownloadError: error, FailsTask: fatal }),
  started: (): TimelessEvent => event('Started', 'Task started by client', {}),
  terminated: (exit: { exitCode: number; signal: number; oomKilled: boolean; error?: string }): TimelessEvent => {
    const parts = [`Exit Code: ${exit.exitCode}`];
    if (exit.signal !== 0) parts.push(`Signal: ${exit.signal}`);
    const message = exit.error ?? (exit.oomKilled ? 'OOM Killed' : '');
    if (message !== '') parts.push(`Exit Message: ${JSON.stringify(message)}`);
    const details = {
      exit_code: exit.exitCode,
      signal: exit.signal,
      oom_killed: exit.oomKilled,
      ...(message === '' ? {} : { exit_message: message }),
    };
    return event('Terminated', parts.join(', '), details, {
      ExitCode: exit.exitCode,
      Signal: exit.signal,
      Message: message,
    });
  },
  restarting: (reason: string, delayMs: Millis): TimelessEvent => {
    const delay = toNanos(Math.round(delayMs));
    const when = `Task restarting in ${formatDuration(delay)}`;
    const message = reason === '' || reason === REASON_WITHIN_POLICY ? when : `${reason} - ${when}`;
    return event(
      'Restarting',
      message,
      { restart_reason: reason, start_delay: delay },
      { RestartReason: reason, StartDelay: delay },
    );
  },
  notRestarting: (reason: string, failsTask: boolean): TimelessEvent =>
    event(
      'Not Restarting',
      reason === '' ? 'Task exceeded restart policy' : reason,
      { restart_reason: reason, fails_task: failsTask },
      { RestartReason: reason, FailsTask: failsTask },
    ),
  killedByHook: (reason: string): TimelessEvent =>
    event('Killing', reason, { kill_reason: reason }, { KillReason: reason }),
  killing: (killTimeoutMs: Millis, reason = ''): TimelessEvent => {
    const timeout = toNanos(killTimeoutMs);
    const interrupt =
      timeout > 0 ? `Sent interrupt. Waiting ${formatDuration(timeout)} before force killing` : 'Sent interrupt';
    return event(
      'Killing',
      reason === '' ? interrupt : reason,
      { kill_timeout: formatDuration(timeout), ...(reason === '' ? {} : { kill_reason: reason }) },
      { KillTimeout: timeout, KillReason: reason },
    );
  },
  killed: (error = ''): TimelessEvent =>
    event('Killed', error === '' ? 'Task successfully killed' : error, error === '' ? {} : { kill_error: error }, {
      KillError: error,
    }),
  shutdownDelay: (delayMs: Millis): TimelessEvent => {
    const message = `Waiting for shutdown_delay of ${formatDuration(toNanos(delayMs))} before killing the task.`;
    return event('Waiting for shutdown delay', message, {}, { Message: message });
  },
  driverFailure: (error: string): TimelessEvent =>
    event(
      'Driver Failure',
      error === '' ? 'Failed to start task' : error,
      { driver_error: error },
      {
        DriverError: error,
      },
    ),
  setupFailure: (error: string, failsTask: boolean): TimelessEvent =>
    event(
      'Setup Failure',
      error,
      { setup_error: error, fails_task: failsTask },
      { SetupError: error, FailsTask: failsTask },
    ),
  failedValidation: (error: string): TimelessEvent =>
    event(
      'Failed Validation',
      error,
      { validation_error: error, fails_task: true },
      {
        ValidationError: error,
        FailsTask: true,
      },
    ),
  siblingFailed: (sibling: string): TimelessEvent =>
    event(
      'Sibling Task Failed',
      `Task's sibling "${sibling}" failed`,
      { failed_sibling: sibling },
      {
        FailedSibling: sibling,
      },
    ),
  leaderDead: (): TimelessEvent => event('Leader Task Dead', 'Leader Task in Group dead', {}),
  /** The scheduler knows the type: what was stopped so has not done its work. */
  clientDisconnected: (afterNs: Nanos): TimelessEvent =>
    event(CLIENT_DISCONNECTED, `Stopped: no server was reached for ${formatDuration(afterNs)}`, {}),
  /** As above: what is stopped so has to run elsewhere. `silentMs`: null when this agent has never reached a server. */
  leaseLost: (volumes: readonly string[], silentMs: Millis | null): TimelessEvent =>
    event(
      CLIENT_DISCONNECTED,
      `Stopped: no server was reached ${silentMs === null ? 'since the agent was started' : `for ${formatDuration(toNanos(silentMs))}`}, so the claim on ${volumes.join(', ')} may be passed on`,
      {},
    ),
  /** A person had it taken away: the allocation cannot go on without. */
  volumeTaken: (volume: string, reason: string): TimelessEvent =>
    event('Volume Detached', `Stopped: volume "${volume}" was detached by force: ${reason}`, { reason }),
  reconnected: (): TimelessEvent => event('Reconnected', 'Client reconnected', {}),
  runLimit: (limitNs: Nanos): TimelessEvent =>
    event(RUN_LIMIT_EVENT, `Stopped: max_run_duration of ${formatDuration(limitNs)} is over`, {}),
  mainDead: (): TimelessEvent => event('Main Tasks Dead', 'Main tasks in the group died', {}),
  restartSignaled: (reason: string): TimelessEvent =>
    event(
      'Restart Signaled',
      reason === '' ? 'Task signaled to restart' : reason,
      { restart_reason: reason },
      {
        RestartReason: reason,
      },
    ),
  signaling: (signal: string, reason: string): TimelessEvent =>
    event(
      'Signaling',
      reason === '' ? `Task being sent signal ${signal}` : `Task being sent signal ${signal}: ${reason}`,
      { signal, task_signal_reason: reason },
      { TaskSignal: signal, TaskSignalReason: reason },
    ),
  unhealthy: (message: string): TimelessEvent => event('Alloc Unhealthy', message, { message }, { Message: message }),
} as const;
