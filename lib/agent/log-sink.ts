import {
  formatLogJson,
  formatLogLine,
  LOG_LEVELS,
  type LogLevel,
  type LogListen,
  type LogRecord,
} from '../util/log.js';

export interface LogSink {
  /** Null: nothing. */
  level: LogLevel | null;
  /** JSON lines instead of text. */
  readonly json: boolean;
  write(record: LogRecord): void;
  /** For who watches the agent: whatever level it writes itself. */
  readonly listen: LogListen;
}

/** Writes what is at least as grave as `level` to `out`, a line each, with the time it is written. */
export function logSink(options: { level: LogLevel | null; json: boolean; out: (line: string) => void }): LogSink {
  const listeners = new Set<{ level: LogLevel; hear: (record: LogRecord) => void }>();
  const sink: LogSink = {
    level: options.level,
    json: options.json,
    write(record) {
      for (const { level, hear } of listeners) if (isAsGrave(record.level, level)) hear(record);
      if (sink.level === null || !isAsGrave(record.level, sink.level)) return;
      const time = new Date().toISOString();
      options.out(options.json ? formatLogJson(record, time) : formatLogLine(record, time));
    },
    listen(level, hear) {
      const listener = { level, hear };
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  return sink;
}

const isAsGrave = (level: LogLevel, least: LogLevel): boolean => LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least);
