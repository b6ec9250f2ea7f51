import {
  block,
  bool,
  type Decoded,
  decodeFields,
  durationMs,
  number,
  refused,
  text,
} from '../../lib/plugin/sdk/config-schema.js';
import type { ConfigProblem } from '../../lib/plugin/sdk/driver.js';

/** What a pretended command prints and how it ends: the same words for a task and for a command run inside it. */
const COMMAND = {
  run_for: durationMs(0),
  exit_code: number(0),
  exit_signal: number(0),
  exit_err_msg: text(),
  signal_error: text(),
  stdout_string: text(),
  stdout_repeat: number(0),
  stdout_repeat_duration: durationMs(0),
  stderr_string: text(),
  stderr_repeat: number(0),
  stderr_repeat_duration: durationMs(0),
};

export const TASK_FIELDS = {
  ...COMMAND,
  start_error: text(),
  start_error_recoverable: bool(),
  start_block_for: durationMs(0),
  /** How long it goes on after it was asked to stop. */
  kill_after: durationMs(0),
  exec_command: block(COMMAND),
  plugin_exit_after: refused('has no meaning here: this driver is no process of its own'),
  driver_ip: refused(),
  driver_advertise: refused(),
  driver_port_map: refused(),
};

export const PLUGIN_FIELDS = { enabled: bool(), fs_isolation: text() };

export type MockConfig = Decoded<typeof TASK_FIELDS>;

/** A task's config, or what is wrong with it. */
export function decodeTask(config: Record<string, unknown>): { config: MockConfig } | { problems: ConfigProblem[] } {
  return decodeFields(TASK_FIELDS, config);
}
